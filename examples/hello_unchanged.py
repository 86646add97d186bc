"""Hello, unchanged: a Temporal application that knows nothing of HotMesh.

    hotmesh-temporal run examples/hello_unchanged.py
    hotmesh-temporal run --connection postgresql://localhost/mydatabase examples/hello_unchanged.py

The first form keeps everything in a SQLite file, .hotmesh/hotmesh.sqlite3 under the working directory. With a Temporal
server (or `hotmesh-temporal server`) on port 7233, plain `python examples/hello_unchanged.py` works as well.
"""

import asyncio
import sys
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker


@activity.defn
async def compose_greeting(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(compose_greeting, name, start_to_close_timeout=timedelta(seconds=10))


async def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "World"
    client = await Client.connect("localhost:7233")
    async with Worker(client, task_queue="hello", workflows=[Greeting], activities=[compose_greeting]):
        result = await client.execute_workflow(Greeting.run, name, id=f"hello-{uuid.uuid4()}", task_queue="hello")
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
