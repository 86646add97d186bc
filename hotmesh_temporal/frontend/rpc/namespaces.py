"""DescribeNamespace and ListNamespaces. There is one namespace so far: ``default``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ArchivalState, NamespaceState
from temporalio.api.namespace.v1 import BadBinaries, NamespaceConfig, NamespaceInfo
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
)

from ...errors import invalid_argument, namespace_not_found
from ...runtime.keys import namespace_id
from ...runtime.service import Runtime
from .. import validate

if TYPE_CHECKING:
    from ..server import Call

_ANSWER_LIMIT = "workflow_task_completion_size_limit_error"
"""A field that the oldest supported SDK does not know."""

_RETENTION_SECONDS = 24 * 3600
_DEFAULT_ID = namespace_id("default")


async def describe_namespace(
    runtime: Runtime, request: DescribeNamespaceRequest, call: Call
) -> DescribeNamespaceResponse:
    """A namespace by name or id."""
    del call
    if request.id and not request.namespace:
        if request.id != _DEFAULT_ID:
            raise namespace_not_found(request.id)
    else:
        if not request.namespace:
            raise invalid_argument("Namespace not set on request.")
        validate.namespace(request.namespace)
    return _default(runtime)


async def list_namespaces(runtime: Runtime, request: ListNamespacesRequest, call: Call) -> ListNamespacesResponse:
    """All namespaces."""
    del request, call
    return ListNamespacesResponse(namespaces=[_default(runtime)])


def _default(runtime: Runtime) -> DescribeNamespaceResponse:
    limits = runtime.limits
    info = NamespaceInfo(
        name=validate.DEFAULT_NAMESPACE,
        id=_DEFAULT_ID,
        state=NamespaceState.NAMESPACE_STATE_REGISTERED,
        capabilities=NamespaceInfo.Capabilities(worker_heartbeats=True),
        limits=NamespaceInfo.Limits(blob_size_limit_error=limits.blob_size, memo_size_limit_error=limits.memo_size),
    )
    if _ANSWER_LIMIT in NamespaceInfo.Limits.DESCRIPTOR.fields_by_name:
        setattr(info.limits, _ANSWER_LIMIT, limits.answer_size)
    config = NamespaceConfig(
        workflow_execution_retention_ttl=Duration(seconds=_RETENTION_SECONDS),
        bad_binaries=BadBinaries(),
        history_archival_state=ArchivalState.ARCHIVAL_STATE_DISABLED,
        visibility_archival_state=ArchivalState.ARCHIVAL_STATE_DISABLED,
    )
    replication = NamespaceReplicationConfig(
        active_cluster_name="active", clusters=[ClusterReplicationConfig(cluster_name="active")]
    )
    return DescribeNamespaceResponse(namespace_info=info, config=config, replication_config=replication)
