"""What keeps commits cheap: updates within the page, indexes that are used, a lock order without deadlocks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types
import pytest
import pytest_asyncio
from hotmesh_temporal.providers.postgres import PostgresBackend

from hotmesh_temporal.conformance.support import search_of, store_of, stream_of
from hotmesh_temporal.contracts import (
    Ack,
    Commit,
    ConnectionSpec,
    CurrentRunWrite,
    EventBatch,
    MessageLease,
    Publish,
    RunWrite,
    SearchDocument,
    TimerWrite,
)
from hotmesh_temporal.contracts.errors import CurrentRunConflict, RevisionConflict
from tests.support.postgres_server import PostgresServer

driver: Any = asyncpg


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.new_database()


@pytest_asyncio.fixture
async def backend(url: str) -> AsyncIterator[PostgresBackend]:
    """An opened backend."""
    backend = PostgresBackend(ConnectionSpec("postgres", url=url))
    await backend.open("ns", "app", "e")
    yield backend
    await backend.close()


@pytest_asyncio.fixture
async def connection(url: str, backend: PostgresBackend) -> AsyncIterator[Any]:
    """A plain connection to the database of `backend`, to look behind the scenes."""
    connection = await driver.connect(url)
    yield connection
    await connection.close()


async def run_through(backend: PostgresBackend, job_id: str, steps: int) -> None:
    """Take a run through commits as the engine makes them: state, events, a task, the ack of the one before."""
    previous: tuple[Ack, ...] = ()
    for revision in range(steps):
        run = RunWrite(
            job_id=job_id,
            expected_revision=revision,
            status=1,
            state=random.randbytes(1500),
            batches=(EventBatch(revision + 1, revision + 2, random.randbytes(600)),),
        )
        task = Publish(stream="tasks", message="task", lease=MessageLease("WORKER", "c", 10_000))
        result = await store_of(backend).commit(Commit(runs=(run,), publishes=(task,), acks=previous))
        previous = (Ack("tasks", "WORKER", result.message_ids[0], "c", 1),)


async def test_updates_stay_within_their_page(url: str) -> None:
    backend = PostgresBackend(ConnectionSpec("postgres", url=url))
    await backend.open("ns", "app", "e")
    await asyncio.gather(*(run_through(backend, f"job{n}", 20) for n in range(20)))
    await stream_of(backend).publish_messages("queue", ["m"] * 100)
    await stream_of(backend).consume_messages("queue", "WORKER", "c", batch_size=100)
    await backend.close()
    # A session reports its counts at the latest when it ends, which the server does after it is left.
    updates, until = await _updates(url), time.monotonic() + 10
    while not all(total > 80 for total, _ in updates.values()) and time.monotonic() < until:
        await asyncio.sleep(0.1)
        updates = await _updates(url)
    assert len(updates) == 2
    for total, within in updates.values():
        assert within > 0.9 * total > 80


async def _updates(url: str) -> dict[str, tuple[int, int]]:
    """By table: how many rows were updated, and how many of them within their page."""
    connection = await driver.connect(url)
    sql = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname IN ('jobs', 'messages')"
    updates = {name: (total, within) for name, total, within in await connection.fetch(sql)}
    await connection.close()
    return updates


async def test_commits_of_shared_things_do_not_deadlock(backend: PostgresBackend, connection: Any) -> None:
    names = [f"n{n}" for n in range(4)]

    async def write(number: int) -> None:
        source = random.Random(number)
        for _ in range(15):
            chosen = source.sample(names, 3)
            runs = [await store_of(backend).load_run(name) for name in chosen]
            commit = Commit(
                runs=tuple(
                    RunWrite(job_id=name, expected_revision=run.revision if run else 0, status=1, state=b"")
                    for name, run in zip(chosen, runs, strict=True)
                ),
                current_runs=tuple(CurrentRunWrite(name, None, name) for name in chosen[:1]),
                timers=tuple(TimerWrite(name, 10**15) for name in chosen[:2]),
                cancel_timers=tuple(chosen[2:]),
                search=tuple(SearchDocument(name, "ns") for name in reversed(chosen)),
            )
            try:
                await store_of(backend).commit(commit)
            except (RevisionConflict, CurrentRunConflict):
                continue

    await asyncio.gather(*(write(number) for number in range(8)))
    assert (await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")) == 0


@pytest.mark.parametrize(
    "query",
    [
        "namespace = 'ns' ORDER BY start_time DESC, doc_id LIMIT 10",
        "namespace = 'ns' AND status = 'Running' ORDER BY start_time DESC, doc_id LIMIT 10",
        "namespace = 'ns' AND workflow_id = 'w17' LIMIT 10",
        "namespace = 'ns' AND fields @> '{\"Customer\": 17}' LIMIT 10",
    ],
)
async def test_lists_are_read_from_an_index(backend: PostgresBackend, connection: Any, query: str) -> None:
    documents = [
        SearchDocument(
            f"d{n}",
            "ns",
            {
                "WorkflowId": f"w{n}",
                "ExecutionStatus": "Running" if n % 50 == 0 else "Completed",
                "StartTime": n,
                "Customer": n,
            },
        )
        for n in range(3000)
    ]
    await search_of(backend).upsert(documents)
    await connection.execute("ANALYZE hotmesh.documents")
    rows = await connection.fetch(f"EXPLAIN SELECT * FROM hotmesh.documents WHERE app = 1 AND {query}")
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
