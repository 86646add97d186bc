"""Whenever the process dies, an order is there with its workflow and in the ledger, or nowhere."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hotmesh_temporal.client import Client, WorkflowExecutionStatus
from hotmesh_temporal.worker import Worker
from tests.transactions.shop import LEDGER, QUEUE, Order, Shop

ROOT = Path(__file__).parents[2]
POINTS = ("started", "signalled", "committed")


class Process:
    """A process of the shop, as a module of this folder."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"tests.transactions.{module}", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    async def says(self, word: str) -> None:
        """Wait for the word."""
        assert self._process.stdout is not None
        assert (await asyncio.to_thread(self._process.stdout.readline)).strip() == word

    async def die(self) -> None:
        """Wait for its end by its own hand."""
        assert await asyncio.to_thread(self._process.wait, 60) == -9
        self._process.communicate()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.communicate()


class Till(Process):
    """One that takes orders; see `till_process`."""

    def __init__(self, shop: Shop, point: str, orders: int) -> None:
        super().__init__("till_process", shop.url, point, str(orders))

    async def open(self) -> None:
        """Wait until it takes orders."""
        await self.says("open")


async def settle(shop: Shop) -> int:
    """Nothing of any order is without the rest of it, and all that was begun comes to its end; how many there are."""
    client = await Client.connect(connection=shop.url)
    try:
        rows = await shop.rows()
        assert await shop.workflows(client) == rows | {LEDGER}
        ledger = client.get_workflow_handle(LEDGER)
        events = (await ledger.fetch_history()).events
        heard = [
            each.workflow_execution_signaled_event_attributes.input.payloads[0].data.decode().strip('"')
            for each in events
            if each.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert sorted(heard) == sorted(rows)
        async with Worker(client, task_queue=QUEUE, workflows=[Order]):
            ends = [client.get_workflow_handle(order) for order in rows]
            await asyncio.wait_for(asyncio.gather(*(each.result() for each in ends)), 100)
            assert (await ledger.describe()).status == WorkflowExecutionStatus.RUNNING
    finally:
        await client.close()
    assert await shop.problems() == []
    return len(rows)


async def crash(shop: Shop, times: int, rng: random.Random) -> None:
    """Let tills die by their own hand at each point, and so often by another's at any moment."""
    client = await Client.connect(connection=shop.url)
    await client.start_workflow(Order.run, 1_000_000, id=LEDGER, task_queue=QUEUE)
    await client.close()
    for point in POINTS:
        till = Till(shop, point, orders=2)
        await till.open()
        await till.die()
    assert len(await shop.rows()) == len(POINTS) + 1
    for _ in range(times):
        till = Till(shop, "never", 0)
        await till.open()
        await asyncio.sleep(rng.uniform(0, 0.3))
        till.kill()
    assert await settle(shop) >= len(POINTS) + 1


@pytest.mark.timeout(300)
async def test_a_crash_leaves_all_or_nothing(shop: Shop) -> None:
    await crash(shop, 1, random.Random())


@pytest.mark.timeout(300)
async def test_workers_of_other_processes_hear_of_it(shop: Shop) -> None:
    client = await Client.connect(connection=shop.url)
    await client.start_workflow(Order.run, 1_000_000, id=LEDGER, task_queue=QUEUE)
    worker = Process("worker_process", shop.url)
    try:
        await worker.says("ready")
        if shop.on_postgres:
            # It is the commit that tells: whoever committed may be gone in the same moment.
            till = Till(shop, "committed", orders=1)
            await till.open()
            await till.die()
            (order,) = await shop.rows()
        else:
            order, connection = "order", await shop.connect()
            async with shop.transaction(connection):
                await client.in_transaction(connection).start_workflow(Order.run, 0, id=order, task_queue=QUEUE)
            await shop.close(connection)
        assert await asyncio.wait_for(client.get_workflow_handle(order).result(), 60) == []
    finally:
        worker.kill()
        await client.close()


@pytest.mark.all_faults
@pytest.mark.timeout(1200)
async def test_many_crashes_leave_all_or_nothing(shop: Shop) -> None:
    await crash(shop, 40, random.Random())
