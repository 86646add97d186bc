"""Connections of other libraries than asyncpg and sqlite3, and streams that are elsewhere."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.runtime import outbox
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.verify import verify
from hotmesh_temporal.transactions import TransactionUnusable
from hotmesh_temporal.worker import Worker
from tests.support.nats_server import NatsServer
from tests.transactions.shop import QUEUE, Order, Shop, Undo

INSERT = "INSERT INTO orders (id) VALUES (:id)"


class Unit:
    """A transaction of some library: what `Client.in_transaction` takes, and a way to write the row of an order."""

    def __init__(self, connection: Any, insert: Callable[[str], Any]) -> None:
        self.connection, self._insert = connection, insert

    async def insert(self, order: str) -> None:
        """Write the row."""
        done = self._insert(order)
        if hasattr(done, "__await__"):
            await done


@asynccontextmanager
async def with_psycopg(shop: Shop) -> AsyncGenerator[Unit, None]:
    """A transaction of psycopg."""
    connection: Any
    async with await psycopg.AsyncConnection.connect(shop.url) as connection, connection.transaction():
        yield Unit(connection, lambda order: connection.execute("INSERT INTO orders (id) VALUES (%s)", [order]))


@asynccontextmanager
async def with_aiosqlite(shop: Shop) -> AsyncGenerator[Unit, None]:
    """A transaction of aiosqlite."""
    async with aiosqlite.connect(_path(shop)) as connection:
        yield Unit(connection, lambda order: connection.execute("INSERT INTO orders (id) VALUES (?)", [order]))
        await connection.commit()


@asynccontextmanager
async def with_async_session(shop: Shop) -> AsyncGenerator[Unit, None]:
    """A session of SQLAlchemy, on asyncpg or aiosqlite."""
    engine = create_async_engine(_sqlalchemy_url(shop, "asyncpg", "aiosqlite"))
    try:
        async with AsyncSession(engine) as session, session.begin():
            yield Unit(session, lambda order: session.execute(text(INSERT), {"id": order}))
    finally:
        await engine.dispose()


@asynccontextmanager
async def with_async_connection(shop: Shop) -> AsyncGenerator[Unit, None]:
    """A connection of SQLAlchemy, on psycopg or aiosqlite."""
    engine = create_async_engine(_sqlalchemy_url(shop, "psycopg", "aiosqlite"))
    try:
        async with engine.begin() as connection:
            yield Unit(connection, lambda order: connection.execute(text(INSERT), {"id": order}))
    finally:
        await engine.dispose()


@asynccontextmanager
async def with_session(shop: Shop) -> AsyncGenerator[Unit, None]:
    """A plain session of SQLAlchemy."""
    engine = create_engine(_sqlalchemy_url(shop, "psycopg", "pysqlite"))
    try:
        with Session(engine) as session, session.begin():
            yield Unit(session, lambda order: session.execute(text(INSERT), {"id": order}) and None)
    finally:
        engine.dispose()


def _path(shop: Shop) -> str:
    return shop.url.removeprefix("sqlite:///")


def _sqlalchemy_url(shop: Shop, on_postgres: str, on_sqlite: str) -> str:
    scheme, _, rest = shop.url.partition("://")
    return f"{scheme}+{on_postgres if shop.on_postgres else on_sqlite}://{rest}"


async def take_part(shop: Shop, client: Client, unit: Callable[[Shop], Any]) -> None:
    """Keep an order and lose one, the workflow first in one of them."""
    for order in ("kept", "lost"):
        with pytest.raises(Undo) if order == "lost" else warnings.catch_warnings():
            async with unit(shop) as one:
                tx = client.in_transaction(one.connection)
                if order == "lost":
                    await one.insert(order)
                handle = await tx.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
                await handle.signal(Order.say, "thanks")
                if order == "lost":
                    raise Undo
                await one.insert(order)
    assert await shop.rows() == await shop.workflows(client) == {"kept"}
    async with Worker(client, task_queue=QUEUE, workflows=[Order]):
        assert await asyncio.wait_for(client.get_workflow_handle("kept").result(), 60) == ["thanks"]
    assert await shop.problems() == []


@pytest.mark.parametrize("unit", [with_async_session, with_async_connection])
async def test_sqlalchemy(shop: Shop, client: Client, unit: Callable[[Shop], Any]) -> None:
    await take_part(shop, client, unit)


async def test_psycopg(postgres: Shop) -> None:
    client = await Client.connect(connection=postgres.url)
    await take_part(postgres, client, with_psycopg)
    await client.start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
    # What only its own server can refuse leaves the rest of the transaction as it is.
    async with with_psycopg(postgres) as one:
        tx = client.in_transaction(one.connection)
        with pytest.raises(Exception, match="already started"):
            await tx.start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
        await one.insert("row")
    assert await postgres.rows() == {"kept", "row"}
    with pytest.raises(TransactionUnusable, match="AsyncConnection of psycopg"):
        async with with_session(postgres) as one:
            await client.in_transaction(one.connection).start_workflow(Order.run, 1, id="x", task_queue=QUEUE)
    await client.close()


@pytest.mark.parametrize("unit", [with_aiosqlite, with_session])
async def test_other_ways_to_sqlite(tmp_path: Path, unit: Callable[[Shop], Any]) -> None:
    shop = Shop(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    await shop.open()
    client = await Client.connect(connection=shop.url)
    await take_part(shop, client, unit)
    await client.close()


async def test_streams_elsewhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is not sent at once is not sent in this test.
    monkeypatch.setattr(outbox, "SCAN_SECONDS", 600.0)
    with NatsServer() as nats:
        where = {"store": shop.url, "stream": nats.url, "sub": nats.url}
        client, connection = await Client.connect(connections=where), await shop.connect()
        async with Worker(client, task_queue=QUEUE, workflows=[Order]):
            async with shop.transaction(connection):
                await client.in_transaction(connection).start_workflow(Order.run, 0, id="lost", task_queue=QUEUE)
                raise Undo
            async with shop.transaction(connection):
                await shop.insert(connection, "kept")
                tx = client.in_transaction(connection)
                handle = await tx.start_workflow(Order.run, 1, id="kept", task_queue=QUEUE)
                await handle.signal(Order.say, "thanks")
            assert await asyncio.wait_for(handle.result(), 60) == ["thanks"]
        assert await shop.workflows(client) == await shop.rows() == {"kept"}
        await shop.close(connection)
        await client.close()
        backend = resolve(connections=where).backend()
        await backend.open(HOTMESH_NAMESPACE, APP_ID, "verify")
        assert (await verify(backend)).problems == []
        await backend.close()
