"""Requests about the service itself: namespaces, task queues, the system."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetClusterInfoRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
)

from .rows import Rows

_ONE_NAMESPACE = "there is one namespace, it fits on any page"
_ENHANCED = "the enhanced description of task queues is not there yet"

ROWS = (
    Rows(
        DescribeNamespaceRequest,
        honoured={"namespace", "id"},
        no_effect={"weak_consistency": "the answer is always consistent"},
    ),
    Rows(
        ListNamespacesRequest,
        no_effect={
            "page_size": _ONE_NAMESPACE,
            "next_page_token": _ONE_NAMESPACE,
            "namespace_filter": "there are no deleted namespaces",
        },
    ),
    Rows(GetSystemInfoRequest),
    Rows(GetClusterInfoRequest),
    Rows(
        DescribeTaskQueueRequest,
        honoured={"namespace", "task_queue", "task_queue_type", "report_stats"},
        refused={
            "include_task_queue_status": "the deprecated status of a task queue is not there",
            "api_mode": _ENHANCED,
            "versions": _ENHANCED,
            "task_queue_types": _ENHANCED,
            "report_pollers": _ENHANCED,
            "report_task_reachability": _ENHANCED,
        },
        no_effect={"report_config": "no task queue has a configuration: UpdateTaskQueueConfig is refused"},
    ),
)
