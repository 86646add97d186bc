"""Requests about executions: start, signal, cancel, terminate, query, describe, read, list."""

from __future__ import annotations

from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    ExecuteMultiOperationRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    PollWorkflowExecutionUpdateRequest,
    QueryWorkflowRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)

from .rows import PRIORITY, ROUTING, Rows

_START = frozenset(
    {
        "namespace", "workflow_id", "workflow_type", "task_queue", "input", "header", "identity", "request_id",
        "workflow_execution_timeout", "workflow_run_timeout", "workflow_task_timeout", "workflow_start_delay",
        "workflow_id_reuse_policy", "workflow_id_conflict_policy", "retry_policy", "cron_schedule",
        "memo", "search_attributes", "user_metadata", "links",
    }
)  # fmt: skip
_START_REFUSED = {
    "versioning_override": "worker versioning is not there yet",
    "time_skipping_config": "time skipping is not there yet",
}

ROWS = (
    Rows(
        StartWorkflowExecutionRequest,
        honoured=_START
        | {"request_eager_execution", "continued_failure", "last_completion_result", "on_conflict_options"},
        refused={
            **_START_REFUSED,
            "completion_callbacks": "callbacks are not there yet",
            "propagated_nexus_serialization_context": "Nexus is not there yet",
        },
        no_effect={
            "priority": PRIORITY,
            "eager_worker_deployment_options": "the worker of an eager start polls as well, and is refused then if "
            "it uses versioning",
        },
    ),
    Rows(
        SignalWithStartWorkflowExecutionRequest,
        honoured=_START | {"signal_name", "signal_input"},
        refused=_START_REFUSED,
        no_effect={"control": "deprecated, a Temporal server drops it too", "priority": PRIORITY},
    ),
    Rows(
        SignalWorkflowExecutionRequest,
        honoured={
            "namespace",
            "workflow_execution",
            "signal_name",
            "input",
            "identity",
            "request_id",
            "header",
            "links",
        },
        no_effect={"control": "deprecated, a Temporal server drops it too"},
    ),
    Rows(
        RequestCancelWorkflowExecutionRequest,
        honoured={"namespace", "workflow_execution", "identity", "first_execution_run_id", "reason", "links"},
        no_effect={"request_id": "a second request changes nothing, whichever id it has"},
    ),
    Rows(DeleteWorkflowExecutionRequest, honoured={"namespace", "workflow_execution"}),
    Rows(
        TerminateWorkflowExecutionRequest,
        honoured={
            "namespace",
            "workflow_execution",
            "reason",
            "details",
            "identity",
            "first_execution_run_id",
            "links",
        },
    ),
    Rows(
        ExecuteMultiOperationRequest,
        honoured={"namespace", "operations"},
        no_effect={"resource_id": ROUTING},
    ),
    Rows(ExecuteMultiOperationRequest.Operation, honoured={"start_workflow", "update_workflow"}),
    Rows(
        UpdateWorkflowExecutionRequest,
        honoured={"namespace", "workflow_execution", "first_execution_run_id", "wait_policy", "request"},
    ),
    Rows(
        PollWorkflowExecutionUpdateRequest,
        honoured={"namespace", "update_ref", "wait_policy"},
        no_effect={"identity": "a Temporal server drops it too"},
    ),
    Rows(
        ResetWorkflowExecutionRequest,
        honoured={
            "namespace",
            "workflow_execution",
            "reason",
            "workflow_task_finish_event_id",
            "request_id",
            "reset_reapply_type",
            "reset_reapply_exclude_types",
            "post_reset_operations",
        },
        no_effect={"identity": "a Temporal server drops it too"},
    ),
    Rows(
        PostResetOperation,
        honoured={"signal_workflow"},
        refused={"update_workflow_options": "the change of an execution's options is not there yet"},
    ),
    Rows(QueryWorkflowRequest, honoured={"namespace", "execution", "query", "query_reject_condition"}),
    Rows(
        GetWorkflowExecutionHistoryRequest,
        honoured={
            "namespace",
            "execution",
            "maximum_page_size",
            "next_page_token",
            "wait_new_event",
            "history_event_filter_type",
        },
        no_effect={"skip_archival": "there is no archive"},
    ),
    Rows(
        GetWorkflowExecutionHistoryReverseRequest,
        honoured={"namespace", "execution", "maximum_page_size", "next_page_token"},
    ),
    Rows(DescribeWorkflowExecutionRequest, honoured={"namespace", "execution"}),
)
