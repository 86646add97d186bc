"""Schedules."""

from __future__ import annotations

from temporalio.api.schedule.v1 import (
    BackfillRequest,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
    TriggerImmediatelyRequest,
)
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    ListScheduleMatchingTimesRequest,
    ListSchedulesRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)

from .rows import PRIORITY, Rows

_IDENTITY = {"identity": "a Temporal server notes it in the history of its own workflow, which no answer shows"}

ROWS = (
    Rows(
        CreateScheduleRequest,
        honoured={
            "namespace", "schedule_id", "schedule", "initial_patch", "request_id", "memo", "search_attributes",
        },
        no_effect=_IDENTITY,
    ),
    Rows(DescribeScheduleRequest, honoured={"namespace", "schedule_id"}),
    Rows(
        UpdateScheduleRequest,
        honoured={
            "namespace", "schedule_id", "schedule", "conflict_token", "request_id", "search_attributes", "memo",
        },
        no_effect=_IDENTITY,
    ),
    Rows(
        PatchScheduleRequest, honoured={"namespace", "schedule_id", "patch", "request_id"}, no_effect=_IDENTITY
    ),
    Rows(DeleteScheduleRequest, honoured={"namespace", "schedule_id"}, no_effect=_IDENTITY),
    Rows(ListSchedulesRequest, honoured={"namespace", "maximum_page_size", "next_page_token", "query"}),
    Rows(CountSchedulesRequest, honoured={"namespace", "query"}),
    Rows(ListScheduleMatchingTimesRequest, honoured={"namespace", "schedule_id", "start_time", "end_time"}),
    Rows(Schedule, honoured={"spec", "action", "policies", "state"}),
    Rows(
        ScheduleSpec,
        honoured={
            "structured_calendar", "cron_string", "calendar", "interval", "exclude_calendar",
            "exclude_structured_calendar", "start_time", "end_time", "jitter", "timezone_name", "timezone_data",
        },
    ),
    Rows(ScheduleAction, honoured={"start_workflow"}),
    Rows(
        NewWorkflowExecutionInfo,
        honoured={
            "workflow_id", "workflow_type", "task_queue", "input", "workflow_execution_timeout",
            "workflow_run_timeout", "workflow_task_timeout", "workflow_id_reuse_policy", "retry_policy",
            "cron_schedule", "memo", "search_attributes", "header", "user_metadata",
        },
        refused={"versioning_override": "worker versioning is not there yet"},
        no_effect={"priority": PRIORITY},
    ),
    Rows(
        SchedulePolicies,
        honoured={"overlap_policy", "catchup_window", "pause_on_failure"},
        no_effect={
            "keep_original_workflow_id": "shown as it was given; a Temporal server adds the time to the id as well"
        },
    ),
    Rows(ScheduleState, honoured={"notes", "paused", "limited_actions", "remaining_actions"}),
    Rows(SchedulePatch, honoured={"trigger_immediately", "backfill_request", "pause", "unpause"}),
    Rows(TriggerImmediatelyRequest, honoured={"overlap_policy", "scheduled_time"}),
    Rows(BackfillRequest, honoured={"start_time", "end_time", "overlap_policy"}),
)  # fmt: skip
