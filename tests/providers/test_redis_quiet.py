"""An idle process leaves the server alone, and a commit is one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.redis import RedisBackend
from hotmesh_temporal.providers.redis.driver import redis_module

from hotmesh_temporal.conformance.support import GROUP, store_of, stream_name, stream_of, sub_of
from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, Mark, Publish, RunWrite, TimerWrite
from hotmesh_temporal.contracts.search import SearchDocument
from hotmesh_temporal.contracts.types import KeyType
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of this module's own, because its commands are counted."""
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def backend(server: RedisServer) -> AsyncIterator[Backend]:
    """An opened backend."""
    backend = RedisBackend(ConnectionSpec("redis", url=server.url))
    await backend.open("ns", "app", "engine")
    yield backend
    await backend.close()


@pytest.fixture
def monitor(server: RedisServer) -> Iterator[Any]:
    """A client of the test's own."""
    client = redis_module.Redis(port=server.port)
    yield client
    client.close()


def ignore(topic: str, message: dict[str, Any]) -> None:
    """A subscriber that only listens."""
    del topic, message


def commands(monitor: Any) -> dict[str, int]:
    """What was sent by clients since the last reset: scripts once, not what they do."""
    stats = monitor.info("commandstats")
    names = ("evalsha", "eval", "publish", "subscribe", "ping", "config|get", "script|load")
    return {name: stats[f"cmdstat_{name}"]["calls"] for name in names if f"cmdstat_{name}" in stats}


async def _until_settled(monitor: Any, waiting: int) -> None:
    """Until all that wait have asked once, and nobody asks any more."""
    before, now = -1, 0
    while now < waiting or now != before:
        await asyncio.sleep(0.5)
        before, now = now, sum(commands(monitor).values())


async def test_waiting_is_quiet(backend: Backend, monitor: Any) -> None:
    stream = stream_of(backend)
    names = [stream_name(stream, f"topic{n}") for n in range(20)]
    await sub_of(backend).subscribe(KeyType.QUORUM, ignore, "app", "topic")
    blocked = [asyncio.create_task(stream.consume_messages(name, GROUP, "c", block_timeout=60_000)) for name in names]
    await _until_settled(monitor, len(names))
    monitor.config_resetstat()
    await asyncio.sleep(2.5)
    assert sum(commands(monitor).values()) == 0
    for task in blocked:
        task.cancel()
    await asyncio.gather(*blocked, return_exceptions=True)


async def test_a_commit_is_one_command(backend: Backend, monitor: Any) -> None:
    store, orders = store_of(backend), stream_name(stream_of(backend))

    def everything(revision: int) -> Commit:
        origin = None if revision else b"o"
        return Commit(
            runs=(RunWrite(job_id="run", expected_revision=revision, status=1, state=b"s", origin=origin),),
            marks=(Mark("run", f"m{revision}"),),
            publishes=(Publish(stream=orders, message="m"),),
            timers=(TimerWrite("timer", 5),),
            search=(SearchDocument("run", "default", {"WorkflowId": "w"}),),
        )

    await store.commit(everything(0))
    monitor.config_resetstat()
    await store.commit(everything(1))
    counted = commands(monitor)
    # PUBLISH is the script's own, which tells other processes.
    assert (counted.pop("publish"), counted) == (1, {"evalsha": 1})
