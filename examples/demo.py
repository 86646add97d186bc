"""A small shop on the embedded default: one process, one SQLite file, no server.

    python examples/demo.py

An order reserves its goods (the warehouse fails twice and is asked again), waits for the payment with a time limit,
and is shipped. Printed are the steps, the result, and the run's history as Temporal's own tools would show it.
"""

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client, WorkflowHandle
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.worker import Worker

# What is printed is not the workflow's matter, so the sandbox need not check it.
with workflow.unsafe.imports_passed_through():
    from rich.console import Console
    from rich.table import Table

TASK_QUEUE = "shop"
ONE_SECOND = timedelta(seconds=1)


@dataclass
class Order:
    item: str
    price: float


@activity.defn
async def reserve(order: Order) -> str:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ConnectionError(f"the warehouse does not answer (attempt {attempt})")
    return f"shelf 7, attempt {attempt}"


@activity.defn
async def ship(place: str) -> str:
    return f"parcel from {place}"


@workflow.defn
class Shop:
    def __init__(self) -> None:
        self._paid = 0.0
        self._step = "new"

    @workflow.run
    async def run(self, order: Order) -> str:
        self._step = "reserving"
        place = await workflow.execute_activity(
            reserve,
            order,
            start_to_close_timeout=10 * ONE_SECOND,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )
        self._step = "waiting for the payment"
        await workflow.wait_condition(lambda: self._paid >= order.price, timeout=60 * ONE_SECOND)
        self._step = "shipping"
        parcel = await workflow.execute_activity(ship, place, start_to_close_timeout=10 * ONE_SECOND)
        self._step = "done"
        return f"{order.item}: {parcel}"

    @workflow.signal
    def pay(self, amount: float) -> None:
        self._paid += amount

    @workflow.query
    def step(self) -> str:
        return self._step


async def main() -> None:
    # The warehouse's failures are part of the story; the SDK need not log them with their tracebacks.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    console = Console()
    begin = time.perf_counter()
    client = await Client.connect()
    console.print("[bold]Connected[/] to the database; no server was started.")
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[Shop], activities=[reserve, ship]):
        handle = await client.start_workflow(
            Shop.run, Order("A good book", 12.5), id=f"order-{uuid.uuid4()}", task_queue=TASK_QUEUE
        )
        await reach(handle, "waiting for the payment")
        console.print(f"The order is [cyan]{await handle.query(Shop.step)}[/].")
        await handle.signal(Shop.pay, 12.5)
        result = await handle.result()
    console.print(f"Result: [green]{result}[/] after {time.perf_counter() - begin:.1f} s")
    console.print(await history_of(handle))
    await client.close()


async def reach(handle: WorkflowHandle[Shop, str], step: str) -> None:
    """Ask the workflow until it has come to a step."""
    while await handle.query(Shop.step) != step:  # noqa: ASYNC110  (there is no event to wait for outside of the run)
        await asyncio.sleep(0.05)


async def history_of(handle: WorkflowHandle[Shop, str]) -> Table:
    """The run's history, one row for each event."""
    table = Table("Id", "Event", "After", "What", title=f"History of {handle.id}")
    events = (await handle.fetch_history()).events
    for event in events:
        after = (event.event_time.ToNanoseconds() - events[0].event_time.ToNanoseconds()) / 1e6
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").title()
        table.add_row(str(event.event_id), name, f"{after:.0f} ms", what(event))
    return table


def what(event: HistoryEvent) -> str:
    """What an event is about, in a few words."""
    if event.HasField("activity_task_scheduled_event_attributes"):
        return event.activity_task_scheduled_event_attributes.activity_type.name
    if event.HasField("activity_task_started_event_attributes"):
        started = event.activity_task_started_event_attributes
        return f"attempt {started.attempt}" + (f": before, {m}" if (m := started.last_failure.message) else "")
    if event.HasField("workflow_execution_signaled_event_attributes"):
        return event.workflow_execution_signaled_event_attributes.signal_name
    return ""


if __name__ == "__main__":
    asyncio.run(main())
