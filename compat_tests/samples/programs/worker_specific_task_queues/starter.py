"""Reads a file, and shows that all steps after the first were on one host."""

from __future__ import annotations

import asyncio

from files import SHARED, ReadFile
from temporalio.client import Client
from temporalio.envconfig import ClientConfig


async def main() -> None:
    """One workflow; any of the hosts may take its first step."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    handle = await client.start_workflow(ReadFile.run, "letter", id="read-letter", task_queue=SHARED)
    print(await handle.result())
    scheduled = [
        event.activity_task_scheduled_event_attributes
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    queues = [each.task_queue.name for each in scheduled]
    print("first on the shared queue:", queues[0] == SHARED)
    print("then on one of a host's own:", SHARED not in queues[1:] and len(set(queues[1:])) == 1)


if __name__ == "__main__":
    asyncio.run(main())
