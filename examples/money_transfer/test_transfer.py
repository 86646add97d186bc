"""The transfer on a clock that skips: days of a closed bank take milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from bank import Bank
from transfer import BankActivities, Order, Transfer

from hotmesh_temporal.client import WorkflowFailureError, WorkflowHandle
from hotmesh_temporal.exceptions import CancelledError
from hotmesh_temporal.pytest_plugin import WorkerFactory
from hotmesh_temporal.testing import WorkflowEnvironment


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank.sqlite3")
    bank.open_account("ada", 100)
    bank.open_account("bob", 0)
    return bank


class Transfers:
    def __init__(self, env: WorkflowEnvironment, make: WorkerFactory, bank: Bank, threads: ThreadPoolExecutor) -> None:
        self.env = env
        self._make, self._bank, self._threads = make, bank, threads

    def worker(self) -> AbstractAsyncContextManager[object]:
        bank = BankActivities(self._bank)
        activities = [bank.book, bank.take_back]
        return self._make(Transfer, activities=activities, activity_executor=self._threads, task_queue="transfers")

    async def start(self, target: str, amount: int) -> WorkflowHandle[Transfer, str]:
        order = Order("ada", target, amount)
        return await self.env.client.start_workflow(Transfer.run, order, id="transfer", task_queue="transfers")


@pytest.fixture
def transfers(
    hotmesh_time_skipping: WorkflowEnvironment, hotmesh_worker: WorkerFactory, bank: Bank
) -> Iterator[Transfers]:
    with ThreadPoolExecutor(2) as threads:
        yield Transfers(hotmesh_time_skipping, hotmesh_worker, bank, threads)


async def test_both_are_booked(transfers: Transfers, bank: Bank) -> None:
    async with transfers.worker():
        assert await (await transfers.start("bob", 30)).result() == "done"
    assert (bank.balance("ada"), bank.balance("bob")) == (70, 30)


async def test_the_money_comes_back(transfers: Transfers, bank: Bank) -> None:
    async with transfers.worker():
        assert (
            await (await transfers.start("nobody", 30)).result() == "undone: UnknownAccount: there is no account nobody"
        )
    assert bank.balance("ada") == 100


async def test_nothing_is_undone_that_was_not_done(transfers: Transfers, bank: Bank) -> None:
    async with transfers.worker():
        assert "NotEnoughMoney" in await (await transfers.start("bob", 101)).result()
    assert (bank.balance("ada"), bank.balance("bob")) == (100, 0)


async def test_a_bank_that_is_closed_for_a_day(transfers: Transfers, bank: Bank) -> None:
    bank.closed = True
    async with transfers.worker():
        transfer = await transfers.start("bob", 30)
        await transfers.env.sleep(timedelta(days=1))
        assert await transfer.query(Transfer.state) == "taking the money"
        bank.closed = False
        assert await transfer.result() == "done"
    assert (bank.balance("ada"), bank.balance("bob")) == (70, 30)


async def test_a_bank_that_is_closed_for_too_long(transfers: Transfers, bank: Bank) -> None:
    bank.closed = True
    async with transfers.worker():
        transfer = await transfers.start("bob", 30)
        await transfers.env.sleep(timedelta(days=2, hours=1))
        assert await transfer.query(Transfer.state) == "undoing it"
        bank.closed = False
        assert await transfer.result() == "undone: BankClosed: the bank is closed; come back tomorrow"
    assert (bank.balance("ada"), bank.balance("bob")) == (100, 0)


def test_a_lost_answer_books_nothing_twice_and_leaves_nothing_behind(bank: Bank) -> None:
    bank.move("one", "ada", -30)
    bank.move("one", "ada", -30)
    assert bank.balance("ada") == 70
    bank.take_back("one")
    bank.take_back("one")
    bank.move("one", "ada", -30)  # a late one, after it was undone
    assert bank.balance("ada") == 100
    bank.take_back("two")
    bank.move("two", "ada", -30)
    assert bank.balance("ada") == 100


async def test_cancelled_halfway(transfers: Transfers, bank: Bank) -> None:
    """The money is taken; the bank closes; the transfer is cancelled: the money comes back when the bank opens."""
    move = bank.move

    def closes_after_the_first(reference: str, name: str, amount: int) -> None:
        move(reference, name, amount)
        bank.closed = True

    bank.move = closes_after_the_first
    async with transfers.worker():
        transfer = await transfers.start("bob", 30)
        while await transfer.query(Transfer.state) != "giving the money":  # noqa: ASYNC110  it is at the server
            await asyncio.sleep(0.01)
        assert bank.balance("ada") == 70
        await transfer.cancel()
        bank.move = move
        bank.closed = False
        with pytest.raises(WorkflowFailureError) as ended:
            await transfer.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert (bank.balance("ada"), bank.balance("bob")) == (100, 0)
