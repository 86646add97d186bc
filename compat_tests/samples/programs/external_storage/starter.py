"""Starts a report and shows what is in its history, and what is not."""

from __future__ import annotations

import asyncio
import hashlib

from reports import QUEUE, Report
from storage import CONVERTER, LARGE
from temporalio.client import Client, WorkflowHandle
from temporalio.envconfig import ClientConfig


async def main() -> None:
    """Start, query, signal, and look at the history."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, data_converter=CONVERTER)
    handle = await client.start_workflow(Report.run, 200, id="report", task_queue=QUEUE)
    await _until(handle, completed_activities=2)
    readings = await handle.query(Report.all_readings)
    print("a large answer of a query:", len(readings), "readings, the last of", readings[-1].station)
    await handle.signal(Report.annotate, "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(150)))
    print(await handle.result())
    events = (await handle.fetch_history()).events
    sizes = [event.ByteSize() for event in events]
    print(len(events), "events, none of which is large:", max(sizes) < LARGE)


async def _until(handle: WorkflowHandle[Report, str], completed_activities: int) -> None:
    """Wait until the workflow has nothing to do but to wait for the signal, so that histories are alike."""
    while True:
        events = [event async for event in handle.fetch_history_events()]
        done = sum(event.HasField("activity_task_completed_event_attributes") for event in events)
        if done == completed_activities and events[-1].HasField("workflow_task_completed_event_attributes"):
            return
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
