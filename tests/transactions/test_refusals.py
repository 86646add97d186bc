"""What cannot be part of a transaction is refused, with words that say what to do."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import temporalio.client
from temporalio.service import ConnectConfig, RPCError, ServiceClient

from hotmesh_temporal.client import Client
from hotmesh_temporal.transactions import TransactionUnusable, in_transaction
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.transactions.shop import QUEUE, Order, Shop, Undo


async def start(client: Client, connection: Any, order: str = "order") -> None:
    """Start an order in the transaction on the connection."""
    await client.in_transaction(connection).start_workflow(Order.run, 1, id=order, task_queue=QUEUE)


async def test_without_a_transaction(shop: Shop, client: Client, connection: Any) -> None:
    with pytest.raises(TransactionUnusable, match="no transaction is open on this connection: begin one first"):
        await start(client, connection)
    assert await shop.workflows(client) == set()


async def test_after_the_transaction(shop: Shop, client: Client, connection: Any) -> None:
    async with shop.transaction(connection):
        handle = await client.in_transaction(connection).start_workflow(Order.run, 1, id="a", task_queue=QUEUE)
    assert (await handle.describe()).id == "a"
    with pytest.raises(TransactionUnusable, match="no transaction is open"):
        await handle.signal(Order.say, "late")


async def test_on_a_closed_connection(shop: Shop, client: Client) -> None:
    connection = await shop.connect()
    await shop.close(connection)
    with pytest.raises(TransactionUnusable, match=r"no transaction is open|it is closed"):
        await start(client, connection)


async def test_in_another_database(shop: Shop, client: Client, postgres_server: PostgresServer, tmp_path: Path) -> None:
    other = Shop(postgres_server.new_database() if shop.on_postgres else f"sqlite:///{tmp_path / 'other.sqlite3'}")
    await other.open()
    for made in (False, True):
        if made:  # workflows live there, too
            await (await Client.connect(connection=other.url)).close()
        connection = await other.connect()
        async with other.transaction(connection):
            with pytest.raises(TransactionUnusable, match="one transaction cannot hold both"):
                await start(client, connection)
        await other.close(connection)


async def test_connections_of_other_kinds(shop: Shop, client: Client) -> None:
    class Unknown:
        pass

    with pytest.raises(TransactionUnusable, match="is no connection that can be joined there: give"):
        await start(client, Unknown())


async def _update(handle: Any) -> None:
    await handle.execute_update("change")


async def test_what_cannot_be_part(shop: Shop, client: Client, connection: Any) -> None:
    async with shop.transaction(connection):
        tx = client.in_transaction(connection)
        with pytest.raises(TransactionUnusable, match="update_workflow_execution cannot be part of a transaction"):
            await _update(tx.get_workflow_handle("order"))
        with pytest.raises(TransactionUnusable, match="delete_schedule cannot be part"):
            await tx.get_schedule_handle("daily").delete()
        with pytest.raises(TransactionUnusable, match="a worker cannot be part of a transaction"):
            _ = tx.service_client.worker_service_client


async def test_clients_of_servers() -> None:
    remote = temporalio.client.Client(await ServiceClient.connect(ConnectConfig(target_host="localhost:1", lazy=True)))
    with pytest.raises(TransactionUnusable, match="connect to the database itself"):
        in_transaction(remote, object())


async def test_redis() -> None:
    with RedisServer() as server:
        client = await Client.connect(connection=server.url)
        with pytest.raises(TransactionUnusable, match="redis cannot take part in transactions of an application"):
            await start(client, sqlite3.connect(":memory:"))
        await client.close()


async def test_a_database_in_memory() -> None:
    client = await Client.connect(connection="sqlite://:memory:?name=refusals")
    connection = sqlite3.connect(":memory:")
    with pytest.raises(TransactionUnusable, match="use a file"):
        await start(client, connection)
    connection.close()
    await client.close()


async def test_another_thread_or_event_loop(shop: Shop, client: Client) -> None:
    found: list[Any] = []
    made, done = threading.Event(), threading.Event()

    async def connect() -> None:
        found.append(await shop.connect())
        made.set()
        await asyncio.to_thread(done.wait, 60)
        await shop.close(found[0])

    thread = threading.Thread(target=lambda: asyncio.run(connect()))
    thread.start()
    assert await asyncio.to_thread(made.wait, 60)
    with pytest.raises(TransactionUnusable, match=r"belongs to another event loop|made in another thread"):
        await start(client, found[0])
    done.set()
    await asyncio.to_thread(thread.join)


async def test_postgres_says_no(postgres: Shop) -> None:
    client, connection = await Client.connect(connection=postgres.url), await postgres.connect()
    async with connection.transaction(readonly=True):
        with pytest.raises(TransactionUnusable, match="read-only"):
            await start(client, connection)
    async with postgres.transaction(connection):
        with pytest.raises(Exception, match="syntax"):
            await connection.execute("SELEKT")
        with pytest.raises(TransactionUnusable, match="can only be rolled back"):
            await start(client, connection)
        raise Undo
    await connection.execute("CREATE ROLE visitor")
    async with postgres.transaction(connection):
        await connection.execute("SET LOCAL ROLE visitor")
        with pytest.raises(TransactionUnusable, match="no right to the tables of the workflows"):
            await start(client, connection)
        raise Undo
    await postgres.close(connection)
    await client.close()


async def test_whoever_gives_up_in_the_middle_has_the_connection_back(shop: Shop, client: Client) -> None:
    connection = await shop.connect()
    for pause in (0, 0.0005, 0.001, 0.002, 0.004):
        async with shop.transaction(connection):
            call = asyncio.ensure_future(start(client, connection, f"order-{pause}"))
            await asyncio.sleep(pause)
            call.cancel()
            await asyncio.wait([call])
            await shop.insert(connection, f"row-{pause}")
            raise Undo
    assert (await shop.rows(), await shop.workflows(client)) == (set(), set())
    await shop.close(connection)


async def test_a_time_limit(shop: Shop, client: Client, connection: Any) -> None:
    async with shop.transaction(connection):
        with pytest.raises(RPCError, match="Timeout expired"):
            await client.in_transaction(connection).start_workflow(
                Order.run, 1, id="order", task_queue=QUEUE, rpc_timeout=timedelta(microseconds=1)
            )
        await shop.insert(connection, "row")
        raise Undo
    assert await shop.workflows(client) == set()
