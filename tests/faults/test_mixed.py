"""Streams and notices on another database than the store: everything works, and nothing is lost between the two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hotmesh_temporal.providers.nats import NatsBackend
from hotmesh_temporal.providers.sqlite import SqliteBackend
from temporalio.client import WorkflowQueryFailedError

from hotmesh_temporal.client import Client
from hotmesh_temporal.composed import ComposedBackend
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, OutboxEntry, Publish
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.hints import Hints
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE, QueueKey, TaskMessage, encode_task
from hotmesh_temporal.runtime.outbox import dedup_id
from hotmesh_temporal.runtime.service import Runtime
from hotmesh_temporal.runtime.verify import Report, verify
from tests.faults.mixed_process import QUEUE, Outer
from tests.support import by_hand
from tests.support.nats_server import NatsServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

Where = dict[str, str]

ROOT = Path(__file__).parents[2]
SHORT = timedelta(seconds=2)


class Process:
    """A process that takes part; see `mixed_process`."""

    def __init__(self, role: str, where: Where) -> None:
        command = [sys.executable, "-m", "tests.faults.mixed_process", role, json.dumps(where)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    async def said(self, word: str) -> None:
        """Wait until it says so."""
        assert self._process.stdout is not None
        assert (await asyncio.to_thread(self._process.stdout.readline)).strip() == word

    async def start(self, workflow_id: str) -> None:
        """Let it start a workflow."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"start {workflow_id}\n")
        self._process.stdin.flush()
        await self.said("started")

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.communicate()


@contextlib.asynccontextmanager
async def process(role: str, where: Where) -> AsyncGenerator[Process, None]:
    """A process that is ready, killed at the end."""
    one = Process(role, where)
    try:
        await one.said("ready")
        yield one
    finally:
        one.kill()


@contextlib.asynccontextmanager
async def connected(where: Where) -> AsyncGenerator[Client, None]:
    """A client of this process."""
    client = await Client.connect(connections=where)
    try:
        yield client
    finally:
        await client.close()


async def results(client: Client, workflow_ids: list[str], seconds: float = 40.0) -> list[Any]:
    """What they return."""
    handles = [client.get_workflow_handle(each) for each in workflow_ids]
    return await asyncio.wait_for(asyncio.gather(*(each.result() for each in handles)), seconds)


async def verified(where: Where) -> Report:
    """What `verify` says."""
    backend = resolve(connections=where).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "verify")
    try:
        return await verify(backend)
    finally:
        await backend.close()


async def waiting(path: Path) -> list[OutboxEntry]:
    """The outbox of a SQLite store."""
    backend = SqliteBackend(ConnectionSpec("sqlite", options={"path": str(path)}))
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "look")
    try:
        return await backend.store.list_outbox()
    finally:
        await backend.close()


async def emptied(path: Path) -> None:
    """The outbox is empty, or soon will be."""
    deadline = time.monotonic() + 10
    while await waiting(path):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


@pytest.fixture
def broker() -> Iterator[NatsServer]:
    """A NATS server of the test's own, which may be killed."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the store."""
    return tmp_path / "store.sqlite3"


@pytest.fixture
def where(path: Path, broker: NatsServer) -> Where:
    """The store in a file, the rest on the broker."""
    return {"store": f"sqlite:///{path}", "stream": broker.url, "sub": broker.url}


# -- every combination ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A private Postgres server."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A private Redis server."""
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize(
    ("store", "stream", "sub"),
    [
        ("sqlite", "nats", "nats"),
        ("postgres", "nats", "nats"),
        ("postgres", "nats", "postgres"),
        ("postgres", "postgres", "nats"),
        ("postgres", "sqlite", "nats"),
        ("sqlite", "postgres", "sqlite"),
        ("postgres", "redis", "redis"),
        ("redis", "nats", "nats"),
        ("redis", "postgres", "redis"),
    ],
)
async def test_a_worker_elsewhere_does_the_work(
    store: str, stream: str, sub: str, tmp_path: Path, broker: NatsServer, postgres: PostgresServer, redis: RedisServer
) -> None:
    urls = {
        "sqlite": f"sqlite:///{tmp_path / 'one.sqlite3'}",
        "nats": broker.url,
        "redis": redis.url,
        "postgres": await asyncio.to_thread(postgres.new_database),
    }
    where = {"store": urls[store], "stream": urls[stream], "sub": urls[sub]}
    async with connected(where) as client:
        early = await client.start_workflow(Outer.run, "early", id="early", task_queue=QUEUE)
        async with process("worker", where):
            ids = [f"w{number}" for number in range(5)]
            await asyncio.gather(*(client.start_workflow(Outer.run, each, id=each, task_queue=QUEUE) for each in ids))
            assert await results(client, ["early", *ids]) == [f"hello {each}" for each in ("early", *ids)]
            assert await early.query(Outer.who) == "early"
    report = await verified(where)
    assert (report.problems, report.open_runs, report.runs) == ([], 0, 12)


# -- crashes ----------------------------------------------------------------------------------------------------------


async def test_a_crash_between_commit_and_publication(where: Where, path: Path, broker: NatsServer) -> None:
    ids = [f"w{number}" for number in range(4)]
    async with process("client", where) as client:
        broker.kill()
        for each in ids:
            await client.start(each)
    assert len(await waiting(path)) == 4
    broker.start()
    report = await verified(where)
    assert (report.problems, report.unsent, report.open_runs) == ([], 4, 4)
    async with process("worker", where), connected(where) as other:
        assert await results(other, ids) == [f"hello {each}" for each in ids]
        await emptied(path)
    report = await verified(where)
    assert (report.problems, report.unsent, report.open_runs) == ([], 0, 0)


async def test_the_broker_is_away_for_a_while(
    where: Where, path: Path, broker: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"w{number}" for number in range(10)]
    async with process("worker", where), connected(where) as client:
        await client.execute_workflow(Outer.run, "first", id="first", task_queue=QUEUE)
        for number, each in enumerate(ids):
            if number == 3:
                broker.kill()
            await client.start_workflow(Outer.run, each, id=each, task_queue=QUEUE)
        await asyncio.sleep(4)
        assert await waiting(path)
        broker.start()
        assert await results(client, ids) == [f"hello {each}" for each in ids]
        await emptied(path)
    report = await verified(where)
    assert (report.problems, report.open_runs) == ([], 0)
    said = [record.message for record in caplog.records if "wait in the outbox until" in record.message]
    assert len(said) == 1


async def test_a_worker_is_killed_with_tasks_in_its_hands(where: Where) -> None:
    async with connected(where) as client:
        ids = [f"w{number}" for number in range(30)]
        async with process("worker", where):
            for each in ids:
                await client.start_workflow(Outer.run, each, id=each, task_queue=QUEUE, task_timeout=SHORT)
        async with process("worker", where):
            assert await results(client, ids, 60) == [f"hello {each}" for each in ids]
    report = await verified(where)
    assert (report.problems, report.open_runs) == ([], 0)


async def test_queries_that_do_not_fit_are_refused(where: Where) -> None:
    async with connected(where) as client, process("worker", where):
        await client.execute_workflow(Outer.run, "w", id="w", task_queue=QUEUE)
        handle = client.get_workflow_handle("w")
        assert len(await handle.query(Outer.much, args=[300_000, ""])) == 300_000
        with pytest.raises(WorkflowQueryFailedError, match=r"cannot be brought to the process that asked.*1,000,000"):
            await handle.query(Outer.much, args=[700_000, ""])
        with pytest.raises(WorkflowQueryFailedError, match=r"cannot be handed to a worker.*1,000,000"):
            await handle.query(Outer.much, args=[1, "x" * 1_100_000])


# -- twice, and not at all --------------------------------------------------------------------------------------------


def composed(where: Where) -> ComposedBackend:
    """The backend."""
    backend = resolve(connections=where).backend()
    assert isinstance(backend, ComposedBackend)
    return backend


async def test_what_was_published_but_not_crossed_out_is_not_published_again(where: Where, path: Path) -> None:
    backend = composed(where)
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "gone")
    store, stream = backend.store, backend.stream
    assert store is not None
    assert stream is not None
    runtime = Runtime(composed(where))
    message = encode_task(TaskMessage("r/default/run/w", 2))
    async with contextlib.AsyncExitStack() as stack:
        await runtime.start()
        stack.push_async_callback(runtime.close)
        queue = runtime.matching.stream_of(QueueKey("default", False, "q"))
        await runtime.close()
        (outbox_id,) = (await store.commit(Commit(outbox=(Publish(stream=queue, message=message),)))).outbox_ids
        assert await stream.publish_once(queue, message, dedup_id(outbox_id, queue, message))
    assert len(await waiting(path)) == 1
    again = Runtime(composed(where))
    await again.start()
    await emptied(path)
    await again.close()
    assert [each.data for each in await stream.list_messages()] == [message]
    await backend.close()


async def _say_nothing(_: Hints, message: dict[str, Any]) -> None:
    del message


async def test_lost_hints_cost_time_only(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hints, "_publish", _say_nothing)
    client, worker = Frontend(composed(where)), Frontend(composed(where))
    await client.start()
    await worker.start()
    polling = asyncio.create_task(by_hand.poll(worker))
    await asyncio.sleep(0.2)  # the poll has looked once, and now waits
    await by_hand.start(client, "w")
    assert (await asyncio.wait_for(polling, 10)).workflow_execution.workflow_id == "w"
    await client.close()
    await worker.close()


# -- moving -----------------------------------------------------------------------------------------------------------


async def test_what_is_left_in_the_outbox_follows_the_streams(where: Where, path: Path, broker: NatsServer) -> None:
    """Streams that move to the store's own database get what was meant for the broker."""
    async with process("client", where) as client:
        broker.kill()
        await client.start("w")
    alone = {"store": where["store"]}
    async with connected(alone) as client, process("worker", alone):
        assert await results(client, ["w"]) == ["hello w"]
    report = await verified(alone)
    assert (report.problems, report.open_runs) == ([], 0)
    assert await waiting(path) == []


def test_the_parts_are_told_apart(where: Where) -> None:
    backend = composed(where)
    assert backend.identity.startswith("store sqlite:")
    assert ", stream nats:127.0.0.1:" in backend.identity
    assert isinstance(backend.store, type(SqliteBackend(ConnectionSpec("sqlite", url="sqlite:///x")).store))
    assert isinstance(backend.sub, type(NatsBackend(ConnectionSpec("nats", url="nats://x")).sub))
