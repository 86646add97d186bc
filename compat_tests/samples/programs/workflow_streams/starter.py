"""Subscribers of a stream: one that leaves and comes back, one for a topic, one that comes late."""

from __future__ import annotations

import asyncio

from kitchen import QUEUE, Kitchen, Shift
from temporalio.client import Client
from temporalio.contrib.workflow_streams import WorkflowStreamClient
from temporalio.envconfig import ClientConfig


async def main() -> None:
    """Read, publish, change the run, cut, and read again."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    kitchen = await client.start_workflow(Kitchen.run, Shift(), id="kitchen", task_queue=QUEUE)
    stream = WorkflowStreamClient.create(client, kitchen.id)
    await until_served(client)
    resume = await read(stream, "first reader", stop_at="soup: ordered")
    resume = await read(stream, "back again", stop_at="served: soup with salt", from_offset=resume)

    async with stream:
        stream.topic("guests", type=str).publish("guest: thank you", force_flush=True)
        resume = await read(stream, "the guest's event", stop_at="guest: thank you", from_offset=resume)
    await client.get_workflow_handle(kitchen.id).signal(Kitchen.ask, "next shift")
    await until_second_run(client, kitchen.first_execution_run_id)
    waiting = asyncio.create_task(read(stream, "in the next run", stop_at="kitchen: tidy", from_offset=resume))
    await client.get_workflow_handle(kitchen.id).signal(Kitchen.ask, "tidy up")
    await waiting
    await read(stream, "late, what is left", stop_at="kitchen: tidy")
    await read(stream, "one topic", stop_at="kitchen: tidy", topics=["orders"])
    print("offset:", await stream.get_offset())
    await client.get_workflow_handle(kitchen.id).signal(Kitchen.ask, "close")
    print(await client.get_workflow_handle_for(Kitchen.run, kitchen.id).result())
    await read(stream, "after the end", stop_at="kitchen: tidy", from_offset=resume)


async def read(
    stream: WorkflowStreamClient, who: str, *, stop_at: str, from_offset: int = 0, topics: list[str] | None = None
) -> int:
    """Print events up to one; the offset to go on from."""
    async for item in stream.subscribe(topics, from_offset=from_offset, result_type=str):
        print(f"{who}: {item.offset} [{item.topic}] {item.data}", flush=True)
        if item.data == stop_at:
            return item.offset + 1
    raise RuntimeError(f"the stream ended before {stop_at}")


async def until_served(client: Client) -> None:
    """Wait until the dish is cooked: then each reader finds all events with one poll."""
    while True:
        events = [event async for event in client.get_workflow_handle("kitchen").fetch_history_events()]
        cooked = any(event.HasField("activity_task_completed_event_attributes") for event in events)
        if cooked and events[-1].HasField("workflow_task_completed_event_attributes"):
            return
        await asyncio.sleep(0.2)


async def until_second_run(client: Client, first: str | None) -> None:
    """Wait until the workflow has continued as new."""
    while True:
        if (await client.get_workflow_handle("kitchen").describe()).run_id != first:
            return
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
