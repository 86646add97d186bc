"""Processes of the tests on several databases: one that starts workflows, one that works.

``python -m tests.faults.mixed_process ROLE CONNECTIONS``; the connections as JSON. It prints ``ready``, and then does
what it reads from its standard input: ``start ID`` starts a workflow, anything else ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.client import Client

QUEUE = "mixed"


@activity.defn
async def greet(name: str) -> str:
    """Greet."""
    return f"hello {name}"


@workflow.defn
class Inner:
    """A child with an activity."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=20))


@workflow.defn
class Outer:
    """A workflow that has its child greet, after a while."""

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.sleep(0.05)
        return await workflow.execute_child_workflow(Inner.run, name, id=f"{workflow.info().workflow_id}/inner")

    @workflow.query
    def who(self) -> str:
        """Which workflow this is."""
        return workflow.info().workflow_id

    @workflow.query
    def much(self, size: int, sent: str) -> str:
        """An answer of that size, whatever was sent."""
        return "x" * size


async def run_worker(client: Client) -> None:
    """Work until the standard input ends."""
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Outer, Inner],
        activities=[greet],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        await _obey(client)


async def _obey(client: Client) -> None:
    print("ready", flush=True)
    while (line := await asyncio.to_thread(sys.stdin.readline)).startswith("start "):
        workflow_id = line.split()[1]
        await client.start_workflow(Outer.run, workflow_id, id=workflow_id, task_queue=QUEUE)
        print("started", flush=True)


async def _main(role: str, connections: str) -> None:
    client = await Client.connect(connections=json.loads(connections))
    await (run_worker(client) if role == "worker" else _obey(client))
    await client.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
