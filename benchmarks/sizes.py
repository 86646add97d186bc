"""``python -m benchmarks.sizes``: how many bytes a closed workflow takes in each database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # the driver ships without types
import click
import redis
from rich.console import Console
from rich.table import Table

from benchmarks.workloads import Hello, InSequence, say
from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

_postgres_driver: Any = asyncpg
_redis_driver: Any = redis

STEPS = 10
"""Activities of the larger workflow."""

_SQLITE_BYTES = """
    SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""

_SCHEMA_BYTES = """
    SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'hotmesh' AND c.relkind = 'r'"""


@dataclass(frozen=True)
class Database:
    """One to measure: how it is named, reached and asked for its size in bytes."""

    name: str
    url: str
    size: Callable[[], Awaitable[int]]


@contextlib.asynccontextmanager
async def _sqlite() -> AsyncGenerator[Database]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sizes.db"

        async def size() -> int:
            with contextlib.closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                (used,) = connection.execute(_SQLITE_BYTES).fetchone()
            return int(used)

        yield Database("SQLite", f"sqlite:///{file}", size)


@contextlib.asynccontextmanager
async def _postgres() -> AsyncGenerator[Database]:
    with PostgresServer() as server:
        url = await asyncio.to_thread(server.new_database)

        async def size() -> int:
            connection = await _postgres_driver.connect(url)
            try:
                await connection.execute("VACUUM")
                return int(await connection.fetchval(_SCHEMA_BYTES))
            finally:
                await connection.close()

        yield Database("Postgres", url, size)


@contextlib.asynccontextmanager
async def _redis() -> AsyncGenerator[Database]:
    with RedisServer() as server:

        async def size() -> int:
            with _redis_driver.Redis.from_url(server.url) as client:
                return int(client.info("memory")["used_memory"])

        yield Database("Valkey (memory)", server.url, size)


async def _measure(database: Database, count: int) -> tuple[float, float]:
    """Bytes for each `Hello` and for each `InSequence` of `STEPS`, by what the database grew."""
    client = await Client.connect(connection=database.url)
    worker = Worker(
        client,
        task_queue="sizes",
        workflows=[Hello, InSequence],
        activities=[say],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        # The first ones make the pages that every database has.
        await _play(client, Hello.run, "x", "warm", 20)
        start = await database.size()
        await _play(client, Hello.run, "x", "hello", count)
        middle = await database.size()
        await _play(client, InSequence.run, STEPS, "steps", count)
        end = await database.size()
    return (middle - start) / count, (end - middle) / count


async def _play(
    client: Client, workflow: Callable[..., Awaitable[object]], argument: object, name: str, count: int
) -> None:
    slots = asyncio.Semaphore(20)

    async def one(number: int) -> None:
        async with slots:
            await client.execute_workflow(workflow, argument, id=f"{name}-{number}", task_queue="sizes")

    await asyncio.gather(*(one(number) for number in range(count)))


@click.command(help=__doc__)
@click.option("--count", default=500, show_default=True, help="Workflows of each kind.")
def main(count: int) -> None:
    """Print the table."""
    asyncio.run(_main(count))


async def _main(count: int) -> None:
    table = Table(
        "", "one activity, bytes", f"{STEPS} activities, bytes", title=f"{count} closed workflows of each kind"
    )
    for opened in (_sqlite, _postgres, _redis):
        async with opened() as database:
            hello, steps = await _measure(database, count)
            table.add_row(database.name, f"{hello:,.0f}", f"{steps:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
