"""``python -m benchmarks.transactions``: starts in transactions of the application's beside plain ones.

Nobody works on the workflows; what is measured is the start with the row of its order. "plain" commits the row first
and starts the workflow then, with all that can go wrong in between.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hotmesh_temporal.client import Client
from tests.support.postgres_server import PostgresServer
from tests.transactions.shop import QUEUE, Order, Shop

_SECONDS = 4.0
_TOGETHER = 8
_IN_ONE = 50

Place = Callable[[Shop, Client, Any], Awaitable[int]]


async def plain(shop: Shop, client: Client, connection: Any) -> int:
    """The row, and then the workflow."""
    order = uuid.uuid4().hex
    async with shop.transaction(connection):
        await shop.insert(connection, order)
    await client.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
    return 1


async def one_by_one(shop: Shop, client: Client, connection: Any) -> int:
    """Both in one transaction."""
    order = uuid.uuid4().hex
    async with shop.transaction(connection):
        await shop.insert(connection, order)
        await client.in_transaction(connection).start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
    return 1


async def many_in_one(shop: Shop, client: Client, connection: Any) -> int:
    """Many orders in one transaction."""
    async with shop.transaction(connection):
        tx = client.in_transaction(connection)
        for _ in range(_IN_ONE):
            order = uuid.uuid4().hex
            await shop.insert(connection, order)
            await tx.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
    return _IN_ONE


async def rate(shop: Shop, client: Client, place: Place, together: int) -> float:
    """Orders per second."""
    end = time.perf_counter() + _SECONDS

    async def work() -> int:
        connection, placed = await shop.connect(), 0
        while time.perf_counter() < end:
            placed += await place(shop, client, connection)
        await shop.close(connection)
        return placed

    begin = time.perf_counter()
    placed = sum(await asyncio.gather(*(work() for _ in range(together))))
    return placed / (time.perf_counter() - begin)


async def measure(url: str) -> None:
    """One row of the table for each way."""
    shop, client = Shop(url), await Client.connect(connection=url)
    await shop.open()
    name = "Postgres" if shop.on_postgres else "SQLite"
    for title, place in (
        ("row, then plain start", plain),
        ("one transaction each", one_by_one),
        (f"{_IN_ONE} in one transaction", many_in_one),
    ):
        # Two transactions of one thread cannot both have SQLite's lock.
        for together in (1, _TOGETHER) if shop.on_postgres else (1,):
            print(f"{name:9} {title:24} {together:2} at once {await rate(shop, client, place, together):8.0f} orders/s")
    await client.close()


def main() -> None:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(f"sqlite:///{Path(folder) / 'shop.sqlite3'}"))
    with PostgresServer() as server:
        asyncio.run(measure(server.new_database()))


if __name__ == "__main__":
    main()
