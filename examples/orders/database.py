"""The shop's own tables, on SQLite or Postgres, in the same database as the workflows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Protocol

Row = dict[str, Any]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, pieces integer NOT NULL)",
    """CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, item text NOT NULL, quantity integer NOT NULL,
        address text NOT NULL, amount text NOT NULL, state text NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS charges (order_id text PRIMARY KEY, amount text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS parcels (order_id text PRIMARY KEY, address text NOT NULL)",
)
_FIRST_STOCK = "INSERT INTO stock (item, pieces) VALUES ('book', 10), ('lamp', 3), ('chair', 1) ON CONFLICT DO NOTHING"


class Unit(Protocol):
    """A transaction. ``connection`` is the driver's own: what ``client.in_transaction`` takes."""

    @property
    def connection(self) -> Any: ...

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Run a statement with ``$1``, ``$2``, …; its rows."""
        ...


class Database(Protocol):
    """Where the tables are."""

    def transaction(self) -> Any:
        """A `Unit` that commits, or rolls back on an error: ``async with database.transaction() as unit``."""
        ...

    async def close(self) -> None: ...


async def open_database(url: str) -> Database:
    """Connect, and make the tables."""
    database = await PostgresDatabase.open(url) if url.startswith("postgres") else SqliteDatabase(url)
    async with database.transaction() as unit:
        for statement in (*_TABLES, _FIRST_STOCK):
            await unit.fetch(statement)
    return database


class _SqliteUnit:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        cursor = self.connection.execute(sql.replace("$", "?"), args)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class SqliteDatabase:
    """One connection. SQLite has one writer: two transactions of one event loop would wait for each other for ever."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Unit, None]:
        """See `Database`."""
        async with self._turn:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteUnit(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    async def close(self) -> None:
        """See `Database`."""
        self._connection.close()


class _PostgresUnit:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        return [dict(row) for row in await self.connection.fetch(sql, *args)]


class PostgresDatabase:
    """A pool of asyncpg."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> PostgresDatabase:
        """Connect."""
        import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types

        driver: Any = asyncpg
        return cls(await driver.create_pool(url))

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Unit, None]:
        """See `Database`."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield _PostgresUnit(connection)

    async def close(self) -> None:
        """See `Database`."""
        await self._pool.close()
