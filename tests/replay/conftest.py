"""A database with workflows of `shop`: three that wait for their payment, one that is over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import Connections, resolve
from tests.replay.shop import Order, charge, reserve

QUEUE = "shop"
WAITING = 3


@dataclass(frozen=True)
class Shop:
    """Where it is."""

    url: str

    @property
    def connections(self) -> Connections:
        """For what reads histories."""
        return resolve(self.url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(tmp_path_factory: object) -> Shop:
    """Made once; the tests only read it."""
    folder: Path = tmp_path_factory.mktemp("shop")  # type: ignore[attr-defined]
    url = f"sqlite:///{folder / 'shop.sqlite3'}"
    client = await Client.connect(connection=url)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Order],
        activities=[reserve, charge],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        paid = await client.start_workflow(Order.run, "paid", id="order/paid", task_queue=QUEUE)
        await paid.signal(Order.pay)
        await paid.result()
        for number in range(WAITING):
            order = await client.start_workflow(Order.run, "book", id=f"order/{number}", task_queue=QUEUE)
            await _reserved(order)
    await client.close()
    return Shop(url)


async def _reserved(order: WorkflowHandle[Order, str]) -> None:
    """Wait until the workflow waits for its payment: its second task is over."""
    while True:
        events = (await order.fetch_history()).events
        if sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events) == 2:
            return
        await asyncio.sleep(0.02)
