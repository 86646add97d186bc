"""What workers send: polls, answers, heartbeats."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    DescribeWorkerRequest,
    ListWorkersRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatRequest,
    RecordWorkerHeartbeatRequest,
    ResetStickyTaskQueueRequest,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedRequest,
    RespondQueryTaskCompletedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    ShutdownWorkerRequest,
)

from .rows import CONTROL_QUEUE, LIFE_CYCLE, NO_SYSTEM_WORKERS, OLD_BUILD, ROUTING, UNVERSIONED, Rows

_VERSIONS = {"deployment": UNVERSIONED, "deployment_options": UNVERSIONED}
_WORKER = {"worker_instance_key": LIFE_CYCLE, "worker_control_task_queue": CONTROL_QUEUE}
_TOKEN = frozenset({"task_token", "namespace"})
_BY_ID = frozenset({"namespace", "workflow_id", "run_id", "activity_id"})
_CAUSE = "a hint for the metrics of a Temporal server"

WORKFLOW_TASKS = (
    Rows(
        PollWorkflowTaskQueueRequest,
        honoured={"namespace", "task_queue", "identity", "worker_version_capabilities", "deployment_options"},
        no_effect={"poller_group_id": ROUTING, "binary_checksum": OLD_BUILD, **_WORKER},
    ),
    Rows(
        RespondWorkflowTaskCompletedRequest,
        honoured=_TOKEN
        | {
            "commands",
            "identity",
            "sticky_attributes",
            "return_new_workflow_task",
            "force_create_new_workflow_task",
            "binary_checksum",
            "query_results",
            "worker_version_stamp",
            "sdk_metadata",
            "metering_metadata",
            "messages",
            "capabilities",
        },
        refused={
            "page_number": "answers in pages are not there yet, and not announced to workers",
            "intermediate_page": "answers in pages are not there yet, and not announced to workers",
        },
        no_effect={
            "resource_id": ROUTING,
            "versioning_behavior": UNVERSIONED,
            **_VERSIONS,
            **_WORKER,
        },
    ),
    Rows(
        RespondWorkflowTaskFailedRequest,
        honoured=_TOKEN | {"cause", "failure", "identity", "binary_checksum"},
        no_effect={
            "messages": "a Temporal server drops them too",
            "resource_id": ROUTING,
            "worker_version": "a Temporal server drops it too",
            **_VERSIONS,
        },
    ),
    Rows(
        RespondQueryTaskCompletedRequest,
        honoured=_TOKEN | {"completed_type", "query_result", "error_message", "failure"},
        no_effect={"cause": _CAUSE, "poller_group_id": ROUTING},
    ),
    Rows(ResetStickyTaskQueueRequest, honoured={"namespace", "execution"}),
)

ACTIVITY_TASKS = (
    Rows(
        PollActivityTaskQueueRequest,
        honoured={
            "namespace",
            "task_queue",
            "identity",
            "worker_version_capabilities",
            "deployment_options",
            "task_queue_metadata",
        },
        no_effect={"poller_group_id": ROUTING, **_WORKER},
    ),
    Rows(
        RecordActivityTaskHeartbeatRequest,
        honoured=_TOKEN | {"details"},
        no_effect={"identity": "a Temporal server drops it too", "resource_id": ROUTING},
    ),
    Rows(
        RecordActivityTaskHeartbeatByIdRequest,
        honoured=_BY_ID | {"details"},
        no_effect={"identity": "a Temporal server drops it too", "resource_id": ROUTING},
    ),
    Rows(
        RespondActivityTaskCompletedRequest,
        honoured=_TOKEN | {"result", "identity", "worker_version"},
        no_effect={"resource_id": ROUTING, **_VERSIONS},
    ),
    Rows(
        RespondActivityTaskCompletedByIdRequest,
        honoured=_BY_ID | {"result", "identity"},
        no_effect={"resource_id": ROUTING},
    ),
    Rows(
        RespondActivityTaskFailedRequest,
        honoured=_TOKEN | {"failure", "identity", "last_heartbeat_details", "worker_version"},
        no_effect={"resource_id": ROUTING, "cause": _CAUSE, **_VERSIONS},
    ),
    Rows(
        RespondActivityTaskFailedByIdRequest,
        honoured=_BY_ID | {"failure", "identity", "last_heartbeat_details"},
        no_effect={"resource_id": ROUTING, "cause": _CAUSE},
    ),
    Rows(
        RespondActivityTaskCanceledRequest,
        honoured=_TOKEN | {"details", "identity"},
        no_effect={"resource_id": ROUTING, "worker_version": UNVERSIONED, **_VERSIONS},
    ),
    Rows(
        RespondActivityTaskCanceledByIdRequest,
        honoured=_BY_ID | {"details", "identity"},
        no_effect={"resource_id": ROUTING, "deployment_options": UNVERSIONED},
    ),
)

LIFE = (
    Rows(
        ShutdownWorkerRequest,
        honoured={"namespace", "sticky_task_queue", "worker_heartbeat"},
        no_effect={
            "identity": LIFE_CYCLE,
            "reason": "a Temporal server only logs it",
            "worker_instance_key": LIFE_CYCLE,
            "task_queue": "polls end with the worker's own connections",
            "task_queue_types": "polls end with the worker's own connections",
        },
    ),
    Rows(
        RecordWorkerHeartbeatRequest,
        honoured={"namespace", "worker_heartbeat"},
        no_effect={"identity": LIFE_CYCLE, "resource_id": ROUTING},
    ),
    Rows(
        ListWorkersRequest,
        honoured={"namespace", "page_size", "next_page_token", "query"},
        no_effect={"include_system_workers": NO_SYSTEM_WORKERS},
    ),
    Rows(
        CountWorkersRequest,
        honoured={"namespace", "query"},
        no_effect={"include_system_workers": NO_SYSTEM_WORKERS},
    ),
    Rows(DescribeWorkerRequest, honoured={"namespace", "worker_instance_key"}),
)

ROWS = (*WORKFLOW_TASKS, *ACTIVITY_TASKS, *LIFE)
