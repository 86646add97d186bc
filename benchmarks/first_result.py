"""A whole application on the embedded default, to be timed from outside: import, connect, one workflow, its result."""

from __future__ import annotations

import asyncio

from benchmarks.workloads import Hello, say
from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import Worker


async def main() -> None:
    """Print the result."""
    client = await Client.connect()
    async with Worker(client, task_queue="hello", workflows=[Hello], activities=[say]):
        print(await client.execute_workflow(Hello.run, "World", id="hello", task_queue="hello"), flush=True)
    await client.close()


asyncio.run(main())
