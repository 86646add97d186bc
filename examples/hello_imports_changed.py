"""Hello, with the imports changed: `temporalio` became `hotmesh_temporal`, nothing else.

    python examples/hello_imports_changed.py
    HOTMESH_CONNECTION=postgresql://localhost/mydatabase python examples/hello_imports_changed.py

Without HOTMESH_CONNECTION everything is kept in a SQLite file, .hotmesh/hotmesh.sqlite3 under the working directory.
"""

import asyncio
import uuid
from datetime import timedelta

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import Worker


@activity.defn
async def compose_greeting(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(compose_greeting, name, start_to_close_timeout=timedelta(seconds=10))


async def main() -> None:
    client = await Client.connect()
    async with Worker(client, task_queue="hello", workflows=[Greeting], activities=[compose_greeting]):
        result = await client.execute_workflow(Greeting.run, "World", id=f"hello-{uuid.uuid4()}", task_queue="hello")
    print(result)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
