"""Requests about the service itself: namespaces, task queues, the system."""

from __future__ import annotations

from temporalio.api.namespace.v1 import BadBinaries, NamespaceConfig, NamespaceFilter, UpdateNamespaceInfo
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    DeleteNamespaceRequest,
    ListClustersRequest,
    ListSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueueVersionSelection
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetClusterInfoRequest,
    GetSearchAttributesRequest,
    GetSystemInfoRequest,
    ListNamespacesRequest,
    ListTaskQueuePartitionsRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
    UpdateTaskQueueConfigRequest,
)

from .rows import Rows

_TOKEN = "nothing is protected by it, on a Temporal server neither"
_ARCHIVAL: dict[str, str] = dict.fromkeys(
    ("history_archival_state", "history_archival_uri", "visibility_archival_state", "visibility_archival_uri"),
    "no archive is configured; a Temporal server without one leaves it out of account as well",
)

ROWS = (
    Rows(
        DescribeNamespaceRequest,
        honoured={"namespace", "id"},
        no_effect={"weak_consistency": "the answer is always consistent"},
    ),
    Rows(
        ListNamespacesRequest,
        honoured={"page_size", "next_page_token", "namespace_filter"},
    ),
    Rows(NamespaceFilter, honoured={"include_deleted"}),
    Rows(
        RegisterNamespaceRequest,
        honoured={
            "namespace",
            "description",
            "owner_email",
            "data",
            "workflow_execution_retention_period",
            "clusters",
            "active_cluster_name",
            "is_global_namespace",
        },
        no_effect={"security_token": _TOKEN, **_ARCHIVAL},
    ),
    Rows(
        UpdateNamespaceRequest,
        honoured={
            "namespace",
            "update_info",
            "config",
            "replication_config",
            "delete_bad_binary",
            "promote_namespace",
        },
        no_effect={"security_token": _TOKEN},
    ),
    Rows(UpdateNamespaceInfo, honoured={"description", "owner_email", "data", "state"}),
    Rows(
        NamespaceConfig,
        honoured={"workflow_execution_retention_ttl", "bad_binaries"},
        refused={"custom_search_attribute_aliases": "search attributes are added by AddSearchAttributes"},
        no_effect=_ARCHIVAL,
    ),
    Rows(BadBinaries, refused={"binaries": "builds cannot be called bad"}),
    Rows(DeprecateNamespaceRequest, honoured={"namespace"}, no_effect={"security_token": _TOKEN}),
    Rows(DeleteNamespaceRequest, honoured={"namespace", "namespace_id", "namespace_delete_delay"}),
    Rows(AddSearchAttributesRequest, honoured={"namespace", "search_attributes"}),
    Rows(RemoveSearchAttributesRequest, honoured={"namespace", "search_attributes"}),
    Rows(ListSearchAttributesRequest, honoured={"namespace"}),
    Rows(GetSearchAttributesRequest),
    Rows(GetSystemInfoRequest),
    Rows(GetClusterInfoRequest),
    Rows(
        ListClustersRequest,
        honoured={"next_page_token"},
        no_effect={"page_size": "there is one cluster, which fits on every page"},
    ),
    Rows(
        DescribeTaskQueueRequest,
        honoured={
            "namespace",
            "task_queue",
            "task_queue_type",
            "report_stats",
            "api_mode",
            "versions",
            "task_queue_types",
            "report_pollers",
            "report_task_reachability",
            "include_task_queue_status",
            "report_config",
        },
    ),
    Rows(
        UpdateTaskQueueConfigRequest,
        honoured={"namespace", "identity", "task_queue", "task_queue_type", "update_queue_rate_limit"},
        no_effect=dict.fromkeys(
            (
                "update_fairness_key_rate_limit_default",
                "set_fairness_weight_overrides",
                "unset_fairness_weight_overrides",
            ),
            "kept and shown; fairness keys do not order tasks, as on a Temporal server that has fairness switched off",
        ),
    ),
    Rows(UpdateTaskQueueConfigRequest.RateLimitUpdate, honoured={"rate_limit", "reason"}),
    Rows(RateLimit, honoured={"requests_per_second"}),
    Rows(TaskQueueVersionSelection, honoured={"build_ids", "unversioned", "all_active"}),
    Rows(ListTaskQueuePartitionsRequest, honoured={"namespace", "task_queue"}),
)
