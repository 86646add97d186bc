"""Workers and pollers of other processes are seen by all, from memory: nothing of it is in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import DescribeTaskQueueMode
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    RecordWorkerHeartbeatResponse,
)

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import peers, rates, workers
from hotmesh_temporal.runtime.workers import Workers
from tests.quorum.conftest import engine_on
from tests.support import by_hand

_TRIES = 500


@pytest.fixture
async def three(database: str) -> AsyncGenerator[list[Frontend], None]:
    """Engines that know of each other."""
    engines = [Frontend(resolve(database).backend()) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for engine in engines:
            await engine.start()
            stack.push_async_callback(engine.close)

        async def acquainted() -> bool:
            return all(len(engine.runtime.hints.peers()) == 2 for engine in engines)

        await _until(acquainted)
        yield engines


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(_TRIES):
        if await look():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


async def _beat(engine: Frontend, *keys: str, **fields: Any) -> None:
    beats = [WorkerHeartbeat(worker_instance_key=key, **fields) for key in keys]
    request = RecordWorkerHeartbeatRequest(namespace="default", worker_heartbeat=beats)
    await by_hand.call(engine, request, RecordWorkerHeartbeatResponse)


async def _keys(engine: Frontend, query: str = "") -> list[str]:
    request = ListWorkersRequest(namespace="default", query=query)
    response = await by_hand.call(engine, request, ListWorkersResponse)
    return [each.worker_instance_key for each in response.workers]


async def test_workers_of_all_processes_are_listed(three: list[Frontend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_MESSAGE_BYTES", 200)
    one, other, third = three
    many = [f"many-{number:03}" for number in range(100)]
    await _beat(one, "a", task_queue="first")
    await _beat(other, *many, task_queue="first")
    await _beat(other, "moved", task_queue="first")
    await asyncio.sleep(0.01)
    await _beat(one, "moved", task_queue="second")
    for engine in three:
        assert await _keys(engine) == ["a", *many, "moved"]
        assert await _keys(engine, "TaskQueue='second'") == ["moved"]
    request = DescribeWorkerRequest(namespace="default", worker_instance_key="a")
    described = await by_hand.call(third, request, DescribeWorkerResponse)
    assert described.worker_info.worker_heartbeat.task_queue == "first"


async def test_pollers_and_rates_of_all_processes_are_described(three: list[Frontend]) -> None:
    one, other, third = three
    polls = [asyncio.create_task(by_hand.poll(each)) for each in (one, other)]
    for number in range(2):
        await by_hand.start(third, str(number))
    await asyncio.gather(*polls)
    request = DescribeTaskQueueRequest(
        namespace="default",
        task_queue=TaskQueue(name="q"),
        api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
        report_pollers=True,
        report_stats=True,
    )
    for engine in three:
        response = await by_hand.call(engine, request, DescribeTaskQueueResponse)
        info = response.versions_info[""].types_info[1]
        assert [each.identity for each in info.pollers] == ["worker"]
        assert info.stats.approximate_backlog_count == 0
        assert info.stats.tasks_add_rate == pytest.approx(2 / rates.WINDOW_SECONDS, rel=0.2)
        assert info.stats.tasks_dispatch_rate == pytest.approx(2 / rates.WINDOW_SECONDS, rel=0.2)


async def test_an_engine_that_does_not_answer_is_not_waited_for_long(
    three: list[Frontend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ANSWER_SECONDS", 0.3)
    one, other, third = three
    await _beat(other, "b")
    await third.runtime.quorum.close()  # it listens no more, but nobody was told
    begun = asyncio.get_running_loop().time()
    assert await _keys(one) == ["b"]
    assert 0.3 <= asyncio.get_running_loop().time() - begun < 1.0


async def test_one_process_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ANSWER_SECONDS", 60)
    engine = engine_on(tmp_path / "one.sqlite3")
    await engine.start()
    await _beat(engine, "a")
    assert await asyncio.wait_for(_keys(engine), 1) == ["a"]
    await engine.close()


def test_workers_that_say_nothing_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_KEPT", 2)
    known = Workers()
    for key in ("a", "b", "a", "c"):
        known.note("default", key, b"")
    assert [each.key for each in known.of("default")] == ["a", "c"]
    monkeypatch.setattr(workers, "KEPT_SECONDS", -1)
    known.note("other", "d", b"")
    assert known.of("default") == []


def test_a_rate_follows_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    meter = rates.Meter()
    for _ in range(60):
        meter.note()
    assert meter.rate() == pytest.approx(2.0)
    now += 45
    assert meter.rate() == pytest.approx(1.0)
    now += 60
    assert meter.rate() == 0
