"""Messages that are part of several requests."""

from __future__ import annotations

from temporalio.api.common.v1 import (
    Priority,
    RetryPolicy,
    WorkerVersionCapabilities,
    WorkerVersionStamp,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue, TaskQueueMetadata
from temporalio.api.update.v1 import Input, Meta, UpdateRef, WaitPolicy
from temporalio.api.update.v1 import Request as UpdateRequest
from temporalio.api.workflow.v1 import OnConflictOptions

from .rows import PRIORITY, UNVERSIONED, Rows

ROWS = (
    Rows(TaskQueue, honoured={"name", "kind", "normal_name"}),
    Rows(StickyExecutionAttributes, honoured={"worker_task_queue", "schedule_to_start_timeout"}),
    Rows(
        TaskQueueMetadata,
        honoured={"max_tasks_per_second"},
    ),
    Rows(WorkflowExecution, honoured={"workflow_id", "run_id"}),
    Rows(WorkflowType, honoured={"name"}),
    Rows(WorkflowQuery, honoured={"query_type", "query_args", "header"}),
    Rows(
        UpdateRequest,
        honoured={"meta", "input", "request_id", "links"},
        refused={
            "completion_callbacks": "callbacks are not there yet",
            "propagated_nexus_serialization_context": "Nexus is not there yet",
        },
    ),
    Rows(Meta, honoured={"update_id", "identity"}),
    Rows(Input, honoured={"header", "name", "args"}),
    Rows(WaitPolicy, honoured={"lifecycle_stage"}),
    Rows(UpdateRef, honoured={"workflow_execution", "update_id"}),
    Rows(
        RetryPolicy,
        honoured={
            "initial_interval", "backoff_coefficient", "maximum_interval", "maximum_attempts",
            "non_retryable_error_types",
        },
    ),
    Rows(
        OnConflictOptions,
        honoured={"attach_request_id", "attach_links"},
        refused={"attach_completion_callbacks": "callbacks are not there yet"},
    ),
    Rows(Priority, no_effect={"priority_key": PRIORITY, "fairness_key": PRIORITY, "fairness_weight": PRIORITY}),
    Rows(
        WorkerDeploymentOptions,
        honoured={"worker_versioning_mode"},
        no_effect={"deployment_name": UNVERSIONED, "build_id": UNVERSIONED},
    ),
    Rows(
        WorkerVersionCapabilities,
        honoured={"build_id", "use_versioning"},
        no_effect={"deployment_series_name": UNVERSIONED},
    ),
    Rows(WorkerVersionStamp, honoured={"build_id", "use_versioning"}),
)  # fmt: skip
