"""GetSystemInfo, GetClusterInfo, ListClusters and the health check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.operatorservice.v1 import ClusterMetadata, ListClustersRequest, ListClustersResponse
from temporalio.api.workflowservice.v1 import (
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)
from temporalio.bridge.proto.health.v1 import HealthCheckRequest, HealthCheckResponse

from ...errors import invalid_argument, not_found
from ...runtime.cluster import CLUSTER_NAME
from ...runtime.service import Runtime

if TYPE_CHECKING:
    from ..server import Call

SERVER_VERSION = "1.32.0"
"""The Temporal server whose behaviour this service follows; clients choose features by it."""

_SHARDS, _FIRST_FAILOVER_VERSION, _FAILOVER_INCREMENT = 1, 1, 10
"""What a Temporal server says that stands alone, too."""

_HEALTHY = {
    "",
    "temporal.api.workflowservice.v1.WorkflowService",
    "temporal.api.operatorservice.v1.OperatorService",
}
"""Whose health may be asked for."""

_CLIENTS = {
    "temporal-go": "<2.0.0",
    "temporal-java": "<2.0.0",
    "temporal-php": "<2.0.0",
    "temporal-typescript": "<2.0.0",
    "temporal-cli": "<2.0.0",
    "temporal-server": "<2.0.0",
    "temporal-ui": "<3.0.0",
    "Nexus-go-sdk": "<2.0.0",
}


async def get_system_info(runtime: Runtime, request: GetSystemInfoRequest, call: Call) -> GetSystemInfoResponse:
    """The version, and only those capabilities that are there."""
    del runtime, request, call
    return GetSystemInfoResponse(
        server_version=SERVER_VERSION,
        capabilities=GetSystemInfoResponse.Capabilities(
            signal_and_query_header=True,
            internal_error_differentiation=True,
            activity_failure_include_heartbeat=True,
            supports_schedules=True,
            encoded_failure_attributes=True,
            upsert_memo=True,
            sdk_metadata=True,
            eager_workflow_start=True,
            count_group_by_execution_status=True,
            build_id_based_versioning=True,
        ),
    )


async def get_cluster_info(runtime: Runtime, request: GetClusterInfoRequest, call: Call) -> GetClusterInfoResponse:
    """What the CLI and the Web UI show of a cluster."""
    del request, call
    return GetClusterInfoResponse(
        supported_clients=_CLIENTS,
        server_version=SERVER_VERSION,
        cluster_id=await runtime.cluster.id(),
        cluster_name=CLUSTER_NAME,
        history_shard_count=_SHARDS,
        persistence_store=runtime.backend.identity.split(":", 1)[0],
        visibility_store=runtime.backend.identity.split(":", 1)[0],
        initial_failover_version=_FIRST_FAILOVER_VERSION,
        failover_version_increment=_FAILOVER_INCREMENT,
    )


async def list_clusters(runtime: Runtime, request: ListClustersRequest, call: Call) -> ListClustersResponse:
    """The database as the one cluster that there is. It has no address: each process serves it at one of its own."""
    del call
    if request.next_page_token:
        raise invalid_argument("invalid next_page_token: there is one page")
    cluster = ClusterMetadata(
        cluster_name=CLUSTER_NAME,
        cluster_id=await runtime.cluster.id(),
        initial_failover_version=_FIRST_FAILOVER_VERSION,
        history_shard_count=_SHARDS,
        is_connection_enabled=True,
    )
    return ListClustersResponse(clusters=[cluster])


async def check_health(runtime: Runtime, request: HealthCheckRequest, call: Call) -> HealthCheckResponse:
    """The service is up as long as it answers, but nobody should be sent to one that is about to stop."""
    del call
    if request.service not in _HEALTHY:
        raise not_found("unknown service")
    leaving = runtime.draining.begun
    return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING if leaving else HealthCheckResponse.SERVING)
