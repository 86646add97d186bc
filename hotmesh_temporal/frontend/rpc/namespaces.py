"""Namespaces: register, describe, list, update, deprecate, delete."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ArchivalState, NamespaceState, ReplicationState
from temporalio.api.namespace.v1 import BadBinaries, NamespaceConfig, NamespaceInfo
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DeprecateNamespaceResponse,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)

from ...engine.protos import duration, nanos
from ...errors import (
    Code,
    RpcError,
    invalid_argument,
    namespace_being_removed,
    namespace_exists,
    namespace_not_found,
    unavailable,
)
from ...runtime.cluster import CLUSTER_NAME
from ...runtime.namespaces import DELETED, DEPRECATED, NORMAL, SYSTEM, NamespaceRecord, fields_of
from ...runtime.retention import note_retention
from ...runtime.service import Runtime
from .. import validate

if TYPE_CHECKING:
    from ..server import Call

_ANSWER_LIMIT = "workflow_task_completion_size_limit_error"
"""A field that the oldest supported SDK does not know."""

_DEFAULT_PAGE = 100
_UUID_LENGTHS = (32, 36, 38, 45)


async def register_namespace(
    runtime: Runtime, request: RegisterNamespaceRequest, call: Call
) -> RegisterNamespaceResponse:
    """Make a namespace. It can be used at once."""
    del call
    _check_name(request.namespace)
    _check_retention(runtime, request.workflow_execution_retention_period)
    if request.is_global_namespace:
        raise invalid_argument("Cannot register global namespace when not enabled")
    _check_clusters([each.cluster_name for each in request.clusters], request.active_cluster_name)
    record = NamespaceRecord(
        request.namespace,
        str(uuid.uuid4()),
        description=request.description,
        owner=request.owner_email,
        data=dict(request.data),
        retention=nanos(request.workflow_execution_retention_period),
        replication_state=NORMAL,
        created_at=runtime.clock.now(),
    )
    if not await runtime.namespaces.create(record):
        if await runtime.namespaces.is_being_removed(request.namespace):
            raise namespace_being_removed(request.namespace)
        raise namespace_exists(request.namespace)
    await runtime.retention.arm(record)
    return RegisterNamespaceResponse()


async def describe_namespace(
    runtime: Runtime, request: DescribeNamespaceRequest, call: Call
) -> DescribeNamespaceResponse:
    """A namespace by name or id, as it is right now."""
    del call
    if request.id and request.namespace:
        raise invalid_argument("GetNamespace operation failed.  Both ID and Name specified in request.")
    if not request.id:
        _check_name(request.namespace)
        record = await runtime.namespaces.find(request.namespace, now=True)
    else:
        record = await runtime.namespaces.by_id(_normal_id(request.id))
    if record is None:
        raise namespace_not_found(request.namespace or request.id)
    return DescribeNamespaceResponse(
        namespace_info=_info(runtime, record), config=_config(record), replication_config=_replication(record)
    )


async def list_namespaces(runtime: Runtime, request: ListNamespacesRequest, call: Call) -> ListNamespacesResponse:
    """A page of all namespaces, in the order of their ids."""
    del call
    if request.page_size < 0:
        raise unavailable(
            "ListNamespaces operation failed. Failed to get namespace rows. Error: missing one or more args for API"
        )
    size = request.page_size or _DEFAULT_PAGE
    with_deleted = request.namespace_filter.include_deleted
    records, following = await runtime.namespaces.page(size, request.next_page_token, with_deleted=with_deleted)
    described = [
        DescribeNamespaceResponse(
            namespace_info=_info(runtime, each), config=_config(each), replication_config=_replication(each)
        )
        for each in records
    ]
    return ListNamespacesResponse(namespaces=described, next_page_token=following)


async def update_namespace(runtime: Runtime, request: UpdateNamespaceRequest, call: Call) -> UpdateNamespaceResponse:
    """Change what is given."""
    del call
    _check_name(request.namespace)
    replication = request.replication_config
    if request.promote_namespace:
        raise invalid_argument(
            "global namespace is not enabled on this cluster, cannot update global namespace or promote local "
            f"namespace: {request.namespace}"
        )
    _check_clusters([each.cluster_name for each in replication.clusters], replication.active_cluster_name)
    if request.delete_bad_binary:
        raise invalid_argument(f"Bad binary checksum {request.delete_bad_binary} doesn't exists.")
    if request.config.HasField("workflow_execution_retention_ttl"):
        _check_retention(runtime, request.config.workflow_execution_retention_ttl)

    now = runtime.clock.now()
    record = await runtime.namespaces.update(request.namespace, lambda record: _apply(record, request, now))
    if request.config.HasField("workflow_execution_retention_ttl"):
        await runtime.retention.arm(record)
    return UpdateNamespaceResponse(
        namespace_info=_info(runtime, record), config=_config(record), replication_config=_replication(record)
    )


async def deprecate_namespace(
    runtime: Runtime, request: DeprecateNamespaceRequest, call: Call
) -> DeprecateNamespaceResponse:
    """Let nothing new start in a namespace. There is no way back."""
    del call
    _check_name(request.namespace)

    def change(record: NamespaceRecord) -> None:
        record.state = DEPRECATED

    await runtime.namespaces.update(request.namespace, change)
    return DeprecateNamespaceResponse()


async def delete_namespace(runtime: Runtime, request: DeleteNamespaceRequest, call: Call) -> DeleteNamespaceResponse:
    """Take a namespace out of use, and have everything in it removed. Its name is free again when that is done."""
    del call
    name = request.namespace
    if name and request.namespace_id:
        raise invalid_argument("Only one of namespace name or Id should be set on request.")
    if request.namespace_id:
        found = await runtime.namespaces.by_id(request.namespace_id)
        if found is None:
            raise namespace_not_found(request.namespace_id)
        name = found.name
    _check_name(name)
    if name == SYSTEM:
        raise RpcError(Code.FAILED_PRECONDITION, "unable to delete system namespace")
    record = await runtime.removal.begin(name, max(nanos(request.namespace_delete_delay), 0))
    return DeleteNamespaceResponse(deleted_namespace=record.name)


# -- checks ---------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not name:
        raise invalid_argument("Namespace not set on request.")
    validate.length("Namespace", name)


def _check_retention(runtime: Runtime, given: Duration) -> None:
    if nanos(given) < runtime.limits.shortest_retention or given.nanos < 0:
        raise invalid_argument("A valid retention period is not set on request.")


def _check_clusters(names: list[str], active: str) -> None:
    for name in (*names, active):
        if name not in ("", CLUSTER_NAME):
            raise invalid_argument(f"Invalid cluster name: {name}")


def _normal_id(given: str) -> str:
    if len(given) not in _UUID_LENGTHS:
        raise RpcError(Code.UNKNOWN, f"invalid UUID length: {len(given)}")
    try:
        return str(uuid.UUID(given))
    except ValueError as error:
        raise RpcError(Code.UNKNOWN, "invalid UUID format") from error


# -- records --------------------------------------------------------------------------------------------------


def _apply(record: NamespaceRecord, request: UpdateNamespaceRequest, now: int) -> None:
    given, config = request.update_info, request.config
    record.description = given.description or record.description
    record.owner = given.owner_email or record.owner
    record.data = {**record.data, **given.data}
    if given.state and given.state != record.state:
        if given.state not in (DEPRECATED, DELETED) or given.state < record.state:
            raise invalid_argument("Invalid namespace state update.")
        record.state = given.state
    if config.HasField("workflow_execution_retention_ttl"):
        note_retention(record, nanos(config.workflow_execution_retention_ttl), now)


def _info(runtime: Runtime, record: NamespaceRecord) -> NamespaceInfo:
    limits = runtime.limits
    info = NamespaceInfo(
        name=record.name,
        id=record.id,
        state=NamespaceState.ValueType(record.state),
        description=record.description,
        owner_email=record.owner,
        data=record.data,
        supports_schedules=True,
        capabilities=NamespaceInfo.Capabilities(
            eager_workflow_start=True, sync_update=True, async_update=True, worker_heartbeats=True
        ),
        limits=NamespaceInfo.Limits(blob_size_limit_error=limits.blob_size, memo_size_limit_error=limits.memo_size),
    )
    if _ANSWER_LIMIT in NamespaceInfo.Limits.DESCRIPTOR.fields_by_name:
        setattr(info.limits, _ANSWER_LIMIT, limits.answer_size)
    return info


def _config(record: NamespaceRecord) -> NamespaceConfig:
    return NamespaceConfig(
        workflow_execution_retention_ttl=duration(record.retention),
        bad_binaries=BadBinaries(),
        history_archival_state=ArchivalState.ARCHIVAL_STATE_DISABLED,
        visibility_archival_state=ArchivalState.ARCHIVAL_STATE_DISABLED,
        custom_search_attribute_aliases=fields_of(record),
    )


def _replication(record: NamespaceRecord) -> NamespaceReplicationConfig:
    return NamespaceReplicationConfig(
        active_cluster_name=CLUSTER_NAME,
        clusters=[ClusterReplicationConfig(cluster_name=CLUSTER_NAME)],
        state=ReplicationState.ValueType(record.replication_state),
    )
