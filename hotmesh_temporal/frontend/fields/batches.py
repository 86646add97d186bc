"""Batch operations."""

from __future__ import annotations

from temporalio.api.batch.v1 import (
    BatchOperationCancellation,
    BatchOperationDeletion,
    BatchOperationReset,
    BatchOperationResetActivities,
    BatchOperationSignal,
    BatchOperationTermination,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateActivityOptions,
    BatchOperationUpdateWorkflowExecutionOptions,
)
from temporalio.api.common.v1 import ResetOptions
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    ListBatchOperationsRequest,
    StartBatchOperationRequest,
    StopBatchOperationRequest,
)

from .rows import Rows

_STANDALONE = "standalone activities are not there yet"
_ATTEMPTS = {"reset_attempts": "a reset does that anyway; a Temporal server does not pass it on"}

ROWS = (
    Rows(
        StartBatchOperationRequest,
        honoured={
            "namespace", "visibility_query", "job_id", "reason", "executions", "target_executions",
            "max_operations_per_second", "termination_operation", "deletion_operation", "signal_operation",
            "cancellation_operation",
            "reset_operation", "update_workflow_options_operation", "unpause_activities_operation",
            "reset_activities_operation", "update_activity_options_operation",
        },
        refused={
            "cancel_activities_operation": _STANDALONE,
            "terminate_activities_operation": _STANDALONE,
            "delete_activities_operation": _STANDALONE,
        },
    ),
    Rows(
        StopBatchOperationRequest,
        honoured={"namespace", "job_id", "reason"},
        no_effect={"identity": "a Temporal server notes it in a place that no answer shows"},
    ),
    Rows(DescribeBatchOperationRequest, honoured={"namespace", "job_id"}),
    Rows(ListBatchOperationsRequest, honoured={"namespace", "page_size", "next_page_token"}),
    Rows(BatchOperationTermination, honoured={"details", "identity"}),
    Rows(BatchOperationDeletion, honoured={"identity"}),
    Rows(BatchOperationCancellation, honoured={"identity"}),
    Rows(BatchOperationSignal, honoured={"signal", "input", "header", "identity"}),
    Rows(
        BatchOperationReset,
        honoured={"identity", "options", "reset_type", "reset_reapply_type", "post_reset_operations"},
    ),
    Rows(
        ResetOptions,
        honoured={
            "first_workflow_task", "last_workflow_task", "workflow_task_id", "build_id", "reset_reapply_type",
            "current_run_only", "reset_reapply_exclude_types",
        },
    ),
    Rows(
        BatchOperationUpdateWorkflowExecutionOptions,
        honoured={"identity", "workflow_execution_options", "update_mask"},
    ),
    Rows(
        BatchOperationUnpauseActivities,
        honoured={"identity", "type", "match_all", "reset_attempts", "reset_heartbeat", "jitter"},
    ),
    Rows(
        BatchOperationResetActivities,
        honoured={
            "identity", "type", "match_all", "reset_heartbeat", "keep_paused", "jitter", "restore_original_options",
        },
        no_effect=_ATTEMPTS,
    ),
    Rows(
        BatchOperationUpdateActivityOptions,
        honoured={"identity", "type", "match_all", "activity_options", "update_mask", "restore_original"},
    ),
)  # fmt: skip
