"""Behind a pooler in transaction mode: no LISTEN, no prepared statements, everything still arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types
import pytest
import pytest_asyncio
from hotmesh_temporal.providers.postgres import PostgresBackend

from hotmesh_temporal.conformance.support import stream_of, sub_of
from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.types import KeyType
from tests.support.postgres_server import PostgresServer, run_blocking

Q = KeyType.QUORUM

driver: Any = asyncpg


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.new_database()


@pytest_asyncio.fixture
async def pooled(url: str) -> AsyncIterator[PostgresBackend]:
    """A backend that may not LISTEN."""
    backend = PostgresBackend(ConnectionSpec("postgres", options={"dsn": url, "pooler": True}))
    await backend.open("ns", "app", "pooled")
    yield backend
    await backend.close()


@pytest_asyncio.fixture
async def direct(url: str) -> AsyncIterator[PostgresBackend]:
    """A backend beside it that may."""
    backend = PostgresBackend(ConnectionSpec("postgres", url=url))
    await backend.open("ns", "app", "direct")
    yield backend
    await backend.close()


class Inbox:
    """Collects notices."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._arrived = asyncio.Event()

    def __call__(self, topic: str, message: dict[str, Any]) -> None:
        self.messages.append((topic, message))
        self._arrived.set()

    async def wait_for(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The messages, once there are ``count``."""
        while len(self.messages) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 5)
        return self.messages


async def test_notices_in_every_direction(pooled: PostgresBackend, direct: PostgresBackend) -> None:
    at_pooled, at_direct, at_pattern = Inbox(), Inbox(), Inbox()
    await sub_of(pooled).subscribe(Q, at_pooled, "app", "topic")
    await sub_of(pooled).psubscribe(Q, at_pattern, "app", "to*")
    await sub_of(direct).subscribe(Q, at_direct, "app", "topic")
    sent: list[tuple[str, dict[str, Any]]] = []
    for n, publisher in enumerate((pooled, direct, pooled)):
        message = {"n": n, "text": "x" * 5000 * n}
        await sub_of(publisher).publish(Q, message, "app", "topic")
        sent.append(("topic", message))
    for inbox in (at_pooled, at_direct, at_pattern):
        assert await inbox.wait_for(3) == sent


async def test_a_blocked_consumer_wakes(pooled: PostgresBackend, direct: PostgresBackend) -> None:
    consuming = asyncio.create_task(stream_of(pooled).consume_messages("stream", "WORKER", "c", block_timeout=5000))
    await asyncio.sleep(0.2)
    await stream_of(direct).publish_messages("stream", ["hello"])
    assert [each.data for each in await consuming] == ["hello"]


async def listeners(url: str) -> int:
    """How many sessions of the database listen."""
    connection = await driver.connect(url)
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    count: int = await connection.fetchval(query)
    await connection.close()
    return count


async def test_only_a_direct_backend_listens(pooled: PostgresBackend, direct: PostgresBackend, url: str) -> None:
    await sub_of(pooled).subscribe(Q, Inbox(), "app", "topic")
    await stream_of(pooled).consume_messages("stream", "WORKER", "c", block_timeout=50)
    assert await listeners(url) == 0
    await sub_of(direct).subscribe(Q, Inbox(), "app", "topic")
    assert await listeners(url) == 1


def test_a_user_without_statement_cache_is_taken_for_pooled(url: str) -> None:
    async def listens() -> bool:
        options = {"dsn": url, "statement_cache_size": 0}
        backend = PostgresBackend(ConnectionSpec("postgres", options=options))
        await backend.open("ns", "app", "e")
        inbox = Inbox()
        await sub_of(backend).subscribe(Q, inbox, "app")
        await sub_of(backend).publish(Q, {"n": 1}, "app")
        heard = await inbox.wait_for(1)
        await backend.close()
        return heard == [("", {"n": 1})]

    assert run_blocking(listens())
