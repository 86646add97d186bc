"""The commands of a workflow."""

from __future__ import annotations

from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    ProtocolMessageCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)

from .rows import PRIORITY, UNVERSIONED, Rows

_NOT_THERE = "this command is not there yet"

ROWS = (
    Rows(
        Command,
        honoured={
            "command_type", "user_metadata", "schedule_activity_task_command_attributes",
            "request_cancel_activity_task_command_attributes", "start_timer_command_attributes",
            "cancel_timer_command_attributes", "complete_workflow_execution_command_attributes",
            "fail_workflow_execution_command_attributes", "cancel_workflow_execution_command_attributes",
            "continue_as_new_workflow_execution_command_attributes", "record_marker_command_attributes",
            "upsert_workflow_search_attributes_command_attributes", "modify_workflow_properties_command_attributes",
            "protocol_message_command_attributes", "event_group_markers",
            "start_child_workflow_execution_command_attributes",
            "request_cancel_external_workflow_execution_command_attributes",
            "signal_external_workflow_execution_command_attributes",
        },
        refused={
            "schedule_nexus_operation_command_attributes": _NOT_THERE,
            "request_cancel_nexus_operation_command_attributes": _NOT_THERE,
        },
    ),
    Rows(
        ScheduleActivityTaskCommandAttributes,
        honoured={
            "activity_id", "activity_type", "task_queue", "header", "input", "schedule_to_close_timeout",
            "schedule_to_start_timeout", "start_to_close_timeout", "heartbeat_timeout", "retry_policy",
            "request_eager_execution",
        },
        no_effect={"use_workflow_build_id": UNVERSIONED, "priority": PRIORITY},
    ),
    Rows(RequestCancelActivityTaskCommandAttributes, honoured={"scheduled_event_id"}),
    Rows(StartTimerCommandAttributes, honoured={"timer_id", "start_to_fire_timeout"}),
    Rows(CancelTimerCommandAttributes, honoured={"timer_id"}),
    Rows(CompleteWorkflowExecutionCommandAttributes, honoured={"result"}),
    Rows(FailWorkflowExecutionCommandAttributes, honoured={"failure"}),
    Rows(CancelWorkflowExecutionCommandAttributes, honoured={"details"}),
    Rows(
        ContinueAsNewWorkflowExecutionCommandAttributes,
        honoured={
            "workflow_type", "task_queue", "input", "workflow_run_timeout", "workflow_task_timeout",
            "backoff_start_interval", "retry_policy", "initiator", "failure", "last_completion_result",
            "cron_schedule", "header", "memo", "search_attributes",
        },
        no_effect={"inherit_build_id": UNVERSIONED, "initial_versioning_behavior": UNVERSIONED},
    ),
    Rows(RecordMarkerCommandAttributes, honoured={"marker_name", "details", "header", "failure"}),
    Rows(ProtocolMessageCommandAttributes, honoured={"message_id"}),
    Rows(UpsertWorkflowSearchAttributesCommandAttributes, honoured={"search_attributes"}),
    Rows(ModifyWorkflowPropertiesCommandAttributes, honoured={"upserted_memo"}),
    Rows(
        StartChildWorkflowExecutionCommandAttributes,
        honoured={
            "namespace", "workflow_id", "workflow_type", "task_queue", "input", "workflow_execution_timeout",
            "workflow_run_timeout", "workflow_task_timeout", "parent_close_policy", "control",
            "workflow_id_reuse_policy", "retry_policy", "cron_schedule", "header", "memo", "search_attributes",
        },
        refused={"versioning_override": "worker versioning is not there yet"},
        no_effect={"inherit_build_id": UNVERSIONED, "priority": PRIORITY},
    ),
    Rows(
        SignalExternalWorkflowExecutionCommandAttributes,
        honoured={"namespace", "execution", "signal_name", "input", "control", "child_workflow_only", "header"},
    ),
    Rows(
        RequestCancelExternalWorkflowExecutionCommandAttributes,
        honoured={"namespace", "workflow_id", "run_id", "control", "child_workflow_only", "reason"},
    ),
)  # fmt: skip
