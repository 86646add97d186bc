"""What the service says of itself."""

from __future__ import annotations

import uuid

from temporalio.api.operatorservice.v1 import ListClustersRequest
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest

from compat_tests.env import Env


async def scenario_cluster(env: Env) -> None:
    """Its id is the same wherever it is shown; where the data lies is the server's own affair."""
    info = await env.rpc.get_cluster_info(GetClusterInfoRequest())
    again = await env.rpc.get_cluster_info(GetClusterInfoRequest())
    assert info.cluster_id == again.cluster_id == str(uuid.UUID(info.cluster_id))
    assert info.persistence_store
    assert info.visibility_store
    (listed,) = (await env.client.operator_service.list_clusters(ListClustersRequest())).clusters
    assert listed.cluster_id == info.cluster_id
    for name in ("persistence_store", "visibility_store"):
        info.ClearField(name)
    for name in ("address", "http_address"):
        listed.ClearField(name)
    env.record("cluster", info)
    env.record("listed", listed)
