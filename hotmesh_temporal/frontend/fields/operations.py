"""Operations on executions and on their activities, from outside."""

from __future__ import annotations

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    PauseActivityExecutionRequest,
    PauseActivityRequest,
    PauseWorkflowExecutionRequest,
    ResetActivityExecutionRequest,
    ResetActivityRequest,
    UnpauseActivityExecutionRequest,
    UnpauseActivityRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateActivityExecutionOptionsRequest,
    UpdateActivityOptionsRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from .rows import ROUTING, Rows

_WHICH = frozenset({"namespace", "execution", "id", "type"})
_ONE = frozenset({"namespace", "workflow_id", "run_id", "activity_id"})
_IDENTITY = {"identity": "a Temporal server drops it too"}
_AGAIN = {"request_id": "doing it again changes nothing more, as on a Temporal server"}
_WORDS = {"reason": "a Temporal server drops it too", **_AGAIN}

_OFF = "executions cannot be paused, as on a Temporal server unless it is configured to"

ROWS = (
    Rows(
        UpdateWorkflowExecutionOptionsRequest,
        honoured={"namespace", "workflow_execution", "workflow_execution_options", "update_mask", "identity"},
    ),
    Rows(
        WorkflowExecutionOptions,
        honoured={"priority"},
        refused={
            "versioning_override": "worker versioning is not there yet",
            "time_skipping_config": "time skipping is not there yet",
        },
    ),
    Rows(
        PauseWorkflowExecutionRequest,
        honoured={"namespace"},
        no_effect=dict.fromkeys(("workflow_id", "run_id", "identity", "reason", "request_id"), _OFF),
    ),
    Rows(
        UnpauseWorkflowExecutionRequest,
        honoured={"namespace", "workflow_id", "run_id"},
        no_effect=dict.fromkeys(("identity", "reason", "request_id"), _OFF),
    ),
    Rows(PauseActivityRequest, honoured=_WHICH | {"identity", "reason", "request_id"}),
    Rows(
        UnpauseActivityRequest,
        honoured=_WHICH | {"unpause_all", "reset_attempts", "reset_heartbeat", "jitter"},
        no_effect=_IDENTITY,
    ),
    Rows(
        ResetActivityRequest,
        honoured=_WHICH | {"match_all", "reset_heartbeat", "keep_paused", "jitter", "restore_original_options"},
        no_effect=_IDENTITY,
    ),
    Rows(
        UpdateActivityOptionsRequest,
        honoured=_WHICH | {"match_all", "activity_options", "update_mask", "restore_original"},
        no_effect=_IDENTITY,
    ),
    Rows(
        PauseActivityExecutionRequest,
        honoured=_ONE | {"identity", "reason", "request_id"},
        no_effect={"resource_id": ROUTING},
    ),
    Rows(
        UnpauseActivityExecutionRequest,
        honoured=_ONE | {"jitter"},
        no_effect={**_IDENTITY, **_WORDS, "resource_id": ROUTING},
    ),
    Rows(
        ResetActivityExecutionRequest,
        honoured=_ONE | {"reset_heartbeat", "keep_paused", "jitter", "restore_original_options"},
        no_effect={**_IDENTITY, **_AGAIN, "resource_id": ROUTING},
    ),
    Rows(
        UpdateActivityExecutionOptionsRequest,
        honoured=_ONE | {"activity_options", "update_mask", "restore_original"},
        no_effect={**_IDENTITY, **_AGAIN, "resource_id": ROUTING},
    ),
    Rows(
        ActivityOptions,
        honoured={
            "task_queue", "schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout",
            "heartbeat_timeout", "retry_policy", "priority",
        },
        no_effect={"start_delay": "activities of workflows have none; a Temporal server only repeats it in its answer"},
    ),
)  # fmt: skip
