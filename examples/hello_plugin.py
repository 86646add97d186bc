"""Hello, with the imports kept: the application is given one plugin and keeps its Temporal address.

    python examples/hello_plugin.py
    python examples/hello_plugin.py postgresql://localhost/mydatabase

Without an argument everything is kept in a SQLite file, .hotmesh/hotmesh.sqlite3 under the working directory.
"""

import asyncio
import sys
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from hotmesh_temporal.plugin import HotMeshPlugin


@activity.defn
async def compose_greeting(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(compose_greeting, name, start_to_close_timeout=timedelta(seconds=10))


async def main() -> None:
    connection = sys.argv[1] if len(sys.argv) > 1 else None
    client = await Client.connect("localhost:7233", plugins=[HotMeshPlugin(connection)])
    async with Worker(client, task_queue="hello", workflows=[Greeting], activities=[compose_greeting]):
        result = await client.execute_workflow(Greeting.run, "World", id=f"hello-{uuid.uuid4()}", task_queue="hello")
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
