"""A worker in a process of its own: ``python -m tests.quorum.worker_process CONNECTION``."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "orders"


@activity.defn
async def charge(order: int) -> int:
    return order


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: int) -> int:
        return await workflow.execute_activity(charge, order, start_to_close_timeout=timedelta(seconds=10))


async def main(connection: str) -> None:
    client = await Client.connect(connection=connection)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Order],
        activities=[charge],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=100,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
