"""A shop whose orders are rows and workflows: what the tests of this folder run."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types
from temporalio import workflow

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.verify import verify

QUEUE = "orders"
LEDGER = "ledger"
"""A workflow that hears of each order."""

_driver: Any = asyncpg


@workflow.defn(sandboxed=False)
class Order:
    """Waits for so many words, and returns them."""

    def __init__(self) -> None:
        self._words: list[str] = []

    @workflow.run
    async def run(self, wanted: int) -> list[str]:
        """The words."""
        await workflow.wait_condition(lambda: len(self._words) >= wanted)
        return self._words

    @workflow.signal
    def say(self, word: str) -> None:
        """One more."""
        self._words.append(word)


class Undo(Exception):
    """Ends a transaction in a roll-back."""


class Shop:
    """The rows of a shop, and its workflows, in one database."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def on_postgres(self) -> bool:
        """Else on SQLite."""
        return self.url.startswith("postgres")

    async def open(self) -> None:
        """Make the table."""
        connection = await self.connect()
        await self.execute(connection, "CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY)")
        await self.close(connection)

    async def connect(self) -> Any:
        """A connection of the application's own."""
        if self.on_postgres:
            return await _driver.connect(self.url)
        path = self.url.removeprefix("sqlite:///")
        return sqlite3.connect(path, isolation_level=None, timeout=60)

    @staticmethod
    async def close(connection: Any) -> None:
        """End it."""
        done = connection.close()
        if done is not None:
            await done

    async def execute(self, connection: Any, sql: str, *args: Any) -> Any:
        """One statement, with ``$1`` and so on."""
        if self.on_postgres:
            return await connection.execute(sql, *args)
        return connection.execute(sql.replace("$1", "?1"), args)

    @asynccontextmanager
    async def transaction(self, connection: Any) -> AsyncGenerator[Any, None]:
        """Commits, or rolls back on any error; swallows `Undo`."""
        try:
            if self.on_postgres:
                async with connection.transaction():
                    yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except Undo:
            return

    async def insert(self, connection: Any, order: str) -> None:
        """The row of an order."""
        await self.execute(connection, "INSERT INTO orders (id) VALUES ($1)", order)

    async def rows(self) -> set[str]:
        """The orders that there are."""
        connection = await self.connect()
        try:
            if self.on_postgres:
                return {row[0] for row in await connection.fetch("SELECT id FROM orders")}
            return {row[0] for row in connection.execute("SELECT id FROM orders")}
        finally:
            await self.close(connection)

    async def workflows(self, client: Client) -> set[str]:
        """The workflows that there are."""
        return {each.id async for each in client.list_workflows()}

    async def problems(self) -> list[str]:
        """What is wrong with the database."""
        backend = resolve(self.url).backend()
        await backend.open(HOTMESH_NAMESPACE, APP_ID, "verify")
        try:
            return [str(each) for each in (await verify(backend)).problems]
        finally:
            await backend.close()
