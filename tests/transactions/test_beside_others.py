"""Transactions beside others: who waits, who is told to begin again, and whose settings do not matter."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from hotmesh_temporal.client import Client
from hotmesh_temporal.runtime import matching
from hotmesh_temporal.transactions import TransactionAborted, TransactionUnusable
from hotmesh_temporal.worker import Worker
from tests.transactions.shop import QUEUE, Order, Shop, Undo


async def test_two_transactions_start_one_id(postgres: Shop) -> None:
    client = await Client.connect(connection=postgres.url)
    one, other = await postgres.connect(), await postgres.connect()
    for word, undone in (("kept", False), ("lost", True)):
        began = asyncio.Event()

        async def late(word: str, began: asyncio.Event) -> None:
            async with postgres.transaction(other):
                await began.wait()
                await client.in_transaction(other).start_workflow(Order.run, 1, id=word, task_queue=QUEUE)
                await postgres.insert(other, word)

        waiting = asyncio.create_task(late(word, began))
        async with postgres.transaction(one):
            await client.in_transaction(one).start_workflow(Order.run, 1, id=word, task_queue=QUEUE)
            began.set()
            # Whether the id is free is known when this transaction is over: until then the other one waits.
            await _until_it_waits(postgres)
            assert not waiting.done()
            if undone:
                raise Undo
        if undone:
            await waiting
        else:
            with pytest.raises(WorkflowAlreadyStartedError):
                await waiting
    assert await postgres.rows() == {"lost"}
    assert await postgres.workflows(client) == {"kept", "lost"}
    assert await postgres.problems() == []
    for connection in (one, other):
        await postgres.close(connection)
    await client.close()


async def _until_it_waits(shop: Shop) -> None:
    connection = await shop.connect()
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await connection.fetchval(sql):
        await connection.fetchval("SELECT pg_sleep(0.02)")
    await shop.close(connection)


async def test_who_waits_may_give_up(postgres: Shop) -> None:
    client = await Client.connect(connection=postgres.url)
    one, other = await postgres.connect(), await postgres.connect()
    async with postgres.transaction(one):
        await client.in_transaction(one).start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
        async with postgres.transaction(other):
            await postgres.insert(other, "row")
            tx = client.in_transaction(other)
            call = tx.start_workflow(Order.run, 1, id="order", task_queue=QUEUE, rpc_timeout=timedelta(seconds=1))
            with pytest.raises(RPCError, match="Timeout expired"):
                await call
            with pytest.raises(TransactionUnusable, match="can only be rolled back"):
                await tx.start_workflow(Order.run, 1, id="another", task_queue=QUEUE)
            raise Undo
    assert (await postgres.rows(), await postgres.workflows(client)) == (set(), {"order"})
    for connection in (one, other):
        await postgres.close(connection)
    await client.close()


async def test_without_a_connection_that_listens(postgres: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_SWEEP_FIRST", 600.0)
    client, connection = await Client.connect(connection=f"{postgres.url}?pooler=true"), await postgres.connect()
    async with Worker(client, task_queue=QUEUE, workflows=[Order]):
        async with postgres.transaction(connection):
            handle = await client.in_transaction(connection).start_workflow(Order.run, 0, id="a", task_queue=QUEUE)
        assert await asyncio.wait_for(handle.result(), 60) == []
    await postgres.close(connection)
    await client.close()


async def test_namespaces(shop: Shop, connection: Any) -> None:
    default = await Client.connect(connection=shop.url)
    await default.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace="shop", workflow_execution_retention_period=Duration(seconds=86_400))
    )
    client = await Client.connect(connection=shop.url, namespace="shop")
    async with shop.transaction(connection):
        await client.in_transaction(connection).start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
        nowhere = await Client.connect(connection=shop.url, namespace="nowhere")
        with pytest.raises(RPCError, match="Namespace nowhere is not found"):
            await nowhere.in_transaction(connection).start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
    assert (await shop.workflows(client), await shop.workflows(default)) == ({"order"}, set())
    for each in (default, client, nowhere):
        await each.close()


async def test_signals_of_several_at_once(shop: Shop, client: Client) -> None:
    handle = await client.start_workflow(Order.run, 100, id="order", task_queue=QUEUE)

    async def say(word: str) -> None:
        connection = await shop.connect()
        # One after the other, or SQLite's lock would block this event loop.
        async with lock, shop.transaction(connection):
            await shop.insert(connection, word)
            await client.in_transaction(connection).get_workflow_handle("order").signal(Order.say, word)
        await shop.close(connection)

    lock: Any = asyncio.Lock() if not shop.on_postgres else asyncio.Semaphore(6)
    words = {f"word-{n}" for n in range(12)}
    plain = [handle.signal(Order.say, f"plain-{n}") for n in range(12 if shop.on_postgres else 0)]
    await asyncio.gather(*(say(word) for word in words), *plain)
    assert await shop.rows() == words
    assert (await handle.describe()).history_length == 2 + len(words) + len(plain)
    assert await shop.problems() == []


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_stricter_isolation(postgres: Shop, isolation: str) -> None:
    client, connection = await Client.connect(connection=postgres.url), await postgres.connect()
    handle = await client.start_workflow(Order.run, 2, id="order", task_queue=QUEUE)
    for attempt in range(2):
        transaction = connection.transaction(isolation=isolation)
        await transaction.start()
        await connection.fetch("SELECT * FROM orders")
        if attempt == 0:
            await handle.signal(Order.say, "from outside")
            with pytest.raises(TransactionAborted, match="run the whole transaction again"):
                await client.in_transaction(connection).get_workflow_handle("order").signal(Order.say, "inside")
            await transaction.rollback()
        else:
            await client.in_transaction(connection).get_workflow_handle("order").signal(Order.say, "inside")
            await transaction.commit()
    assert (await handle.describe()).history_length == 4
    await postgres.close(connection)
    await client.close()


async def test_two_that_wait_for_each_other(postgres: Shop) -> None:
    client = await Client.connect(connection=postgres.url)
    for order in ("a", "b"):
        await client.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
    here = {"a": asyncio.Event(), "b": asyncio.Event()}
    aborted: list[str] = []

    async def signal_both(first: str, second: str) -> None:
        connection = await postgres.connect()
        try:
            async with postgres.transaction(connection):
                tx = client.in_transaction(connection)
                await tx.get_workflow_handle(first).signal(Order.say, first)
                here[first].set()
                await here[second].wait()
                await tx.get_workflow_handle(second).signal(Order.say, first)
                await postgres.insert(connection, first)
        except TransactionAborted as error:
            aborted.append(f"{first}: {error}")
        await postgres.close(connection)

    await asyncio.gather(signal_both("a", "b"), signal_both("b", "a"))
    (victim,) = aborted
    assert "deadlock" in victim
    assert await postgres.rows() == {"a", "b"} - {victim[0]}
    for order in ("a", "b"):
        assert (await client.get_workflow_handle(order).describe()).history_length == 3
    await client.close()


async def test_a_transaction_that_began_with_reading(tmp_path: Any) -> None:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    await shop.open()
    client, connection = await Client.connect(connection=shop.url), await shop.connect()
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM orders").fetchall()
    await client.start_workflow(Order.run, 1, id="first", task_queue=QUEUE)
    with pytest.raises(TransactionAborted, match="begun with BEGIN IMMEDIATE"):
        await client.in_transaction(connection).start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
    connection.execute("ROLLBACK")
    await shop.close(connection)
    await client.close()


def _no_tuple(cursor: object, row: object) -> dict[str, str]:
    del cursor, row
    return {"no": "tuple"}


async def test_whatever_the_connection_is_set_to(shop: Shop, client: Client, connection: Any) -> None:
    if shop.on_postgres:
        await connection.execute("SET search_path = ''; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'")
    else:
        connection.row_factory = _no_tuple
        connection.text_factory = bytes
        connection.execute("PRAGMA foreign_keys = ON")
    async with shop.transaction(connection):
        tx = client.in_transaction(connection)
        handle = await tx.start_workflow(Order.run, 1, id="order", task_queue="quite another queue")
        await handle.signal(Order.say, "word")
    if not shop.on_postgres:
        assert connection.text_factory is bytes
        assert connection.execute("SELECT 1").fetchone() == {"no": "tuple"}
    assert (await handle.describe()).history_length == 3
    assert await shop.problems() == []


async def test_transactions_that_sqlite3_begins_by_itself(tmp_path: Any) -> None:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    await shop.open()
    client = await Client.connect(connection=shop.url)
    connection = sqlite3.connect(tmp_path / "shop.sqlite3")
    for order in ("kept", "lost"):
        await client.in_transaction(connection).start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
        connection.execute("INSERT INTO orders (id) VALUES (?)", [order])
        if order == "kept":
            connection.commit()
        else:
            connection.rollback()
    connection.close()
    assert await shop.rows() == await shop.workflows(client) == {"kept"}
    await client.close()
