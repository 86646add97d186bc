"""The node that has an app is killed while workflows run, and its replica takes over."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.verify import Report, verify
from tests.support.redis_cluster import Cluster, running_cluster

WORKFLOWS = 8
STEPS = 8


@activity.defn
async def one_more(number: int) -> int:
    """What comes next."""
    return number + 1


@workflow.defn
class Count:
    """Counts by activities, with a pause after each."""

    @workflow.run
    async def run(self, steps: int) -> int:
        number = 0
        for _ in range(steps):
            number = await workflow.execute_activity(one_more, number, start_to_close_timeout=timedelta(seconds=3))
            await workflow.sleep(0.2)
        return number


async def test_workflows_go_on_with_the_replica() -> None:
    with running_cluster(replicas=True) as cluster:
        node = cluster.owner(cluster.slot(HOTMESH_NAMESPACE, APP_ID))
        # Of another node, which has to know the way; every commit is on the replica before it is acknowledged.
        url = cluster.servers[node - 1].url + "?wait_replicas=1"
        client = await Client.connect(connection=url)
        worker = Worker(
            client,
            task_queue="q",
            workflows=[Count],
            activities=[one_more],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            starts = [client.start_workflow(Count.run, STEPS, id=f"w{n}", task_queue="q") for n in range(WORKFLOWS)]
            handles = await asyncio.gather(*starts)
            await asyncio.sleep(1)
            await asyncio.to_thread(_fail_over, cluster, node)
            results = await asyncio.wait_for(asyncio.gather(*(each.result() for each in handles)), 60)
        await client.close()
        assert results == [STEPS] * WORKFLOWS
        report = await _verified(url)
        assert (report.problems, report.runs, report.open_runs) == ([], WORKFLOWS, 0)


def _fail_over(cluster: Cluster, node: int) -> None:
    """Kill a node; once its replica has taken over it comes back, as the replica."""
    cluster.servers[node].kill9()
    deadline = time.monotonic() + 20
    while b"role:master" not in cluster.replicas[node].command("INFO", "replication"):
        assert time.monotonic() < deadline, "the replica did not take over"
        time.sleep(0.05)
    cluster.servers[node].start()


async def _verified(url: str) -> Report:
    backend = resolve(connection=url).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "verify")
    try:
        return await verify(backend)
    finally:
        await backend.close()
