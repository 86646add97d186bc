"""What happens when the server or the way to it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.redis import RedisBackend

from hotmesh_temporal.conformance.support import GROUP, eventually, store_of, stream_name, stream_of, sub_of
from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, RunWrite
from hotmesh_temporal.contracts.errors import RevisionConflict, Unavailable
from hotmesh_temporal.contracts.types import KeyType
from tests.support.redis_server import RedisServer

CREATE = Commit(runs=(RunWrite(job_id="run", expected_revision=0, status=1, state=b"s", origin=b"o"),))
UPDATE = Commit(runs=(RunWrite(job_id="run", expected_revision=1, status=1, state=b"t"),))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def backend(server: RedisServer) -> AsyncIterator[Backend]:
    """An opened backend."""
    backend = RedisBackend(ConnectionSpec("redis", url=server.url))
    await backend.open("ns", "app", "engine")
    yield backend
    await backend.close()


class Proxy:
    """A way to the server that can be cut after a request went through and before its answer comes back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.cut_answers = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        for work in (self._copy(reader, back, answers=False), self._copy(there, writer, answers=True)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    if answers and self.cut_answers > 0:
                        self.cut_answers -= 1
                        break
                    target.write(data)
                    await target.drain()
        finally:
            target.close()


async def test_a_restart_loses_nothing(server: RedisServer, backend: Backend) -> None:
    store = store_of(backend)
    await store.commit(CREATE)
    await asyncio.to_thread(server.restart)
    assert (run := await store.load_run("run")) is not None
    assert run.revision == 1
    await store.commit(UPDATE)


async def test_a_kill_loses_nothing(server: RedisServer, backend: Backend) -> None:
    store = store_of(backend)
    await store.commit(CREATE)
    await asyncio.to_thread(server.kill9)
    await asyncio.to_thread(server.start)
    await store.commit(UPDATE)
    assert (run := await store.load_run("run")) is not None
    assert run.revision == 2


async def test_a_call_waits_for_a_server_that_is_away(server: RedisServer, backend: Backend) -> None:
    store = store_of(backend)
    await asyncio.to_thread(server.pause)
    calls = asyncio.gather(store.commit(CREATE), store.load_run("other"))
    await asyncio.sleep(0.3)
    assert not calls.done()
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(calls, 5)
    assert await store.load_run("run") is not None


async def test_an_answer_that_is_lost_leaves_the_outcome_open(server: RedisServer) -> None:
    proxy = Proxy(server.port)
    await proxy.start()
    backend = RedisBackend(ConnectionSpec("redis", url=f"redis://127.0.0.1:{proxy.port}/0"))
    try:
        await backend.open("ns", "app", "engine")
        store = store_of(backend)
        await store.load_run("run")
        await store.commit(Commit())
        proxy.cut_answers = 1
        with pytest.raises(Unavailable, match="connection to Redis"):
            await store.commit(CREATE)
        # It was applied, once: reading may be repeated, and says so.
        proxy.cut_answers = 1
        assert (run := await store.load_run("run")) is not None
        assert run.revision == 1
        with pytest.raises(RevisionConflict):
            await store.commit(CREATE)
    finally:
        await backend.close()
        await proxy.stop()


async def test_subscriptions_come_back(server: RedisServer, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    sub, heard = sub_of(backend), list[int]()
    await sub.subscribe(KeyType.QUORUM, lambda _, message: heard.append(message["n"]), "app", "topic")
    caplog.set_level(logging.WARNING)
    await asyncio.to_thread(server.restart)

    async def arrives() -> bool:
        await sub.publish(KeyType.QUORUM, {"n": 1}, "app", "topic")
        return bool(heard)

    await eventually(arrives, 8)
    assert "subscriptions wait for Redis" in caplog.text
    assert "are back" in caplog.text


async def test_a_blocked_consumer_survives(server: RedisServer, backend: Backend) -> None:
    stream = stream_of(backend)
    orders = stream_name(stream)
    blocked = asyncio.create_task(stream.consume_messages(orders, GROUP, "c", block_timeout=15_000))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(server.restart)
    other = RedisBackend(ConnectionSpec("redis", url=server.url))
    await other.open("ns", "app", "other")
    await stream_of(other).publish_messages(orders, ["m"])
    messages = await asyncio.wait_for(blocked, 5)
    assert [message.data for message in messages] == ["m"]
    await other.close()


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(server: RedisServer, backend: Backend) -> None:
    await store_of(backend).commit(CREATE)
    await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")
    await store_of(backend).commit(UPDATE)


async def test_a_replica_is_refused_and_a_promotion_waited_for(server: RedisServer, backend: Backend) -> None:
    with RedisServer() as primary:
        await asyncio.to_thread(server.command, "REPLICAOF", "127.0.0.1", str(primary.port))
        commit = asyncio.create_task(store_of(backend).commit(CREATE))
        await asyncio.sleep(0.2)
        assert not commit.done()
        await asyncio.to_thread(server.command, "REPLICAOF", "NO", "ONE")
        await asyncio.wait_for(commit, 5)
    assert await store_of(backend).load_run("run") is not None


async def test_a_full_server_refuses_whole_commits(server: RedisServer, backend: Backend) -> None:
    store = store_of(backend)
    await store.commit(CREATE)
    await asyncio.to_thread(server.command, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Unavailable, match="out of memory"):
        await asyncio.wait_for(store.commit(UPDATE), 2)
    assert (run := await store.load_run("run")) is not None
    assert run.revision == 1
    await asyncio.to_thread(server.command, "CONFIG", "SET", "maxmemory", "0")
    await store.commit(UPDATE)
