"""What happens when the server goes away, and what the errors say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.postgres import PostgresBackend

from hotmesh_temporal.conformance.support import store_of, stream_of, sub_of
from hotmesh_temporal.contracts import Commit, ConnectionSpec, EventBatch, RunWrite
from hotmesh_temporal.contracts.errors import RevisionConflict, Unavailable
from hotmesh_temporal.contracts.types import KeyType
from tests.support.ports import free_port
from tests.support.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own, because it is shot down."""
    with PostgresServer(password="correct horse") as server:
        yield server


@pytest_asyncio.fixture
async def backend(server: PostgresServer) -> AsyncIterator[PostgresBackend]:
    """An opened backend on a new database."""
    backend = PostgresBackend(ConnectionSpec("postgres", url=server.new_database()))
    await backend.open("ns", "app", "e")
    yield backend
    await backend.close()


def step(revision: int) -> Commit:
    """The commit that takes the run ``job`` from one revision to the next, with one event."""
    batch = EventBatch(revision + 1, revision + 2, b"e")
    return Commit(
        runs=(RunWrite(job_id="job", expected_revision=revision, status=1, state=b"%d" % revision, batches=(batch,)),)
    )


class Received:
    """Collects notices."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def __call__(self, _: str, message: dict[str, Any]) -> None:
        self.messages.append(message)


async def publish_until_heard(publisher: PostgresBackend, inbox: Received) -> None:
    """Publish again and again until something arrives; notices may be lost, subscriptions may not."""
    deadline = time.monotonic() + 15
    while not inbox.messages and time.monotonic() < deadline:
        await sub_of(publisher).publish(KeyType.QUORUM, {"n": 1}, "app", "topic")
        await asyncio.sleep(0.05)
    assert inbox.messages


async def test_a_restart_is_survived(backend: PostgresBackend, server: PostgresServer) -> None:
    inbox = Received()
    await sub_of(backend).subscribe(KeyType.QUORUM, inbox, "app", "topic")
    await asyncio.gather(*(store_of(backend).set_state_nx(f"job{n}", "app") for n in range(20)))
    server.restart(immediate=True)
    assert await store_of(backend).get_status("job0", "app") == 1
    await stream_of(backend).publish_messages("stream", ["after"])
    assert [each.data for each in await stream_of(backend).consume_messages("stream", "WORKER", "c")] == ["after"]
    await publish_until_heard(backend, inbox)


async def test_calls_wait_for_a_server_that_comes_back(backend: PostgresBackend, server: PostgresServer) -> None:
    await store_of(backend).commit(step(0))
    server.pause(immediate=True)
    reading = asyncio.create_task(store_of(backend).load_run("job"))
    await asyncio.sleep(0.3)
    assert not reading.done()
    await asyncio.to_thread(server.start)
    run = await reading
    assert run is not None
    assert run.revision == 1


async def test_a_blocked_consumer_survives_a_restart(backend: PostgresBackend, server: PostgresServer) -> None:
    consuming = asyncio.create_task(
        stream_of(backend).consume_messages("stream", "WORKER", "c", block_timeout=20_000, batch_size=1)
    )
    await asyncio.sleep(0.2)
    await asyncio.to_thread(server.restart)
    await stream_of(backend).publish_messages("stream", ["late"])
    assert [each.data for each in await consuming] == ["late"]


async def test_no_acknowledged_commit_is_lost(backend: PostgresBackend, server: PostgresServer) -> None:
    """A writer that reloads after every unknown outcome; the server is killed under it three times."""
    acknowledged = 0
    done = asyncio.Event()

    async def write() -> int:
        nonlocal acknowledged
        revision = unknown = 0
        while not done.is_set():
            try:
                await store_of(backend).commit(step(revision))
            except (Unavailable, RevisionConflict):
                unknown += 1
                run = await store_of(backend).load_run("job")
                revision = run.revision if run else 0
            else:
                revision += 1
            # Either the commit took effect once, or not at all.
            assert acknowledged <= revision <= acknowledged + 1
            acknowledged = revision
        return unknown

    writing = asyncio.create_task(write())
    for _ in range(3):
        await asyncio.sleep(0.4)
        await asyncio.to_thread(server.kill9)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.4)
    done.set()
    assert await writing >= 1
    events = await store_of(backend).get_events("job", limit=100_000)
    assert [batch.first_event_id for batch in events] == list(range(1, acknowledged + 1))


async def test_a_cancelled_call_leaves_a_working_backend(backend: PostgresBackend) -> None:
    for _ in range(30):
        task = asyncio.create_task(store_of(backend).set_state_nx("job", "app"))
        await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await store_of(backend).set_state_nx("other", "app")


# -- errors say what to do next -------------------------------------------------------------------------------------


async def refusal(url: str) -> str:
    """The text of the error that opening raises."""
    with pytest.raises(Unavailable) as raised:
        await PostgresBackend(ConnectionSpec("postgres", url=url)).open("ns", "app", "e")
    return str(raised.value)


async def test_a_wrong_password(server: PostgresServer) -> None:
    text = await refusal(f"postgresql://postgres:hunter2@127.0.0.1:{server.port}/postgres")
    assert "password" in text
    assert f"127.0.0.1:{server.port}/postgres" in text
    assert "hunter2" not in text


async def test_a_missing_database(server: PostgresServer) -> None:
    assert "CREATE DATABASE" in await refusal(server.dsn("nowhere"))


async def test_nobody_answers() -> None:
    assert "start it" in await refusal(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")


async def test_no_right_to_create(server: PostgresServer) -> None:
    server.execute("CREATE ROLE guest LOGIN PASSWORD 'g'; REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
    text = await refusal(f"postgresql://guest:g@127.0.0.1:{server.port}/postgres")
    assert "needs CREATE" in text
