"""The troubles are real: without these tests the crowd might pass because nothing happens to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, Publish, TimerWrite
from hotmesh_temporal.contracts.types import KeyParams, KeyType
from tests.faults.troubles import be_careless, let_scouts_collide, lose_notices

MESSAGES = [f"m{number:03}" for number in range(100)]


@pytest_asyncio.fixture
async def backend(tmp_path: Path) -> AsyncGenerator[SqliteBackend, None]:
    """A database of the test's own."""
    backend = SqliteBackend(ConnectionSpec("sqlite", url=f"sqlite:///{tmp_path / 'troubled.sqlite3'}"))
    await backend.open("ns", "app", "engine")
    yield backend
    await backend.close()


async def test_notices_are_lost(backend: SqliteBackend) -> None:
    heard: list[str] = []
    await backend.sub.subscribe(KeyType.QUORUM, lambda topic, _: heard.append(topic), "app", "t")
    await backend.sub.publish(KeyType.QUORUM, {}, "app", "t")
    await asyncio.sleep(0.1)
    assert heard == ["t"]
    lose_notices(backend.sub)
    await backend.sub.publish(KeyType.QUORUM, {}, "app", "t")
    await asyncio.sleep(0.1)
    assert heard == ["t"]


async def test_scouts_get_the_same(backend: SqliteBackend) -> None:
    now = time.time_ns() // 1_000_000
    await backend.store.commit(Commit(timers=(TimerWrite(timer_id="t", fire_at_ms=now, payload=""),)))
    let_scouts_collide(backend.store)
    for _ in range(3):
        due = await backend.store.claim_due_timers(now, 10, 60_000)
        assert [timer.timer_id for timer in due.timers] == ["t"]
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("in_a_commit", [True, False])
async def test_messages_are_doubled_late_and_out_of_order(
    backend: SqliteBackend, in_a_commit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    monkeypatch.setattr(random, "random", chance.random)
    monkeypatch.setattr(random, "shuffle", chance.shuffle)
    be_careless(backend.store, backend.stream)
    stream = backend.stream.mint_key(KeyType.STREAMS, KeyParams(topic="orders"))
    for message in MESSAGES:
        if in_a_commit:
            await backend.store.commit(Commit(publishes=(Publish(stream=stream, message=message),)))
        else:
            await backend.stream.publish_once(stream, message, message)
    got: list[str] = []
    attempts: set[int] = set()
    while await backend.stream.get_stream_depth(stream):
        taken = await backend.stream.consume_messages(stream, "WORKER", "c", batch_size=5, block_timeout=500)
        got += [each.data for each in taken]
        attempts |= {each.attempt for each in taken}
        for each in taken:
            await backend.stream.ack_and_delete(stream, "WORKER", [each.message_id], consumer="c", attempt=each.attempt)
    assert set(got) == set(MESSAGES)
    assert len(got) > len(MESSAGES)
    assert got != sorted(got)
    assert max(attempts) > 1
