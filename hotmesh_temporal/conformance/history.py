"""Histories."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import Commit, EventBatch, RunWrite
from ..contracts.errors import NotFound, RevisionConflict
from ..contracts.store import StoreService
from .support import outcome

BATCHES = (EventBatch(1, 4, b"one"), EventBatch(4, 5, b"two"), EventBatch(5, 9, b"three"), EventBatch(9, 10, b"four"))


async def record(store: StoreService, *batches: EventBatch) -> None:
    """A run with these batches."""
    run = RunWrite(job_id="run", expected_revision=0, status=1, state=b"s", origin=b"o", batches=batches)
    await store.commit(Commit(runs=(run,)))


@pytest.mark.asyncio
class TestHistory:
    """append_events, get_events."""

    async def test_batches_come_back_in_order(self, store: StoreService, peer_store: StoreService) -> None:
        await record(store, *BATCHES[:2])
        await store.append_events("run", BATCHES[2:])
        assert await peer_store.get_events("run") == list(BATCHES)
        assert await store.get_events("absent") == []

    @pytest.mark.parametrize(
        ("first", "before", "expected"),
        [
            (2, None, "0123"),
            (4, None, "123"),
            (6, None, "23"),
            (10, None, ""),
            (1, 4, "0"),
            (1, 5, "01"),
            (3, 6, "012"),
        ],
    )
    async def test_ranges_give_whole_batches(
        self, store: StoreService, first: int, before: int | None, expected: str
    ) -> None:
        await record(store, *BATCHES)
        wanted = [BATCHES[int(n)] for n in expected]
        assert await store.get_events("run", first, before_event_id=before) == wanted
        assert await store.get_events("run", first, before_event_id=before, reverse=True) == wanted[::-1]

    async def test_limits_count_batches(self, store: StoreService) -> None:
        await record(store, *BATCHES)
        assert await store.get_events("run", limit=2) == list(BATCHES[:2])
        assert await store.get_events("run", 5, limit=1) == [BATCHES[2]]
        assert await store.get_events("run", limit=2, reverse=True) == [BATCHES[3], BATCHES[2]]
        assert await store.get_events("run", before_event_id=9, limit=1, reverse=True) == [BATCHES[2]]

    @pytest.mark.parametrize("batch", [EventBatch(9, 11, b"x"), EventBatch(11, 12, b"x"), EventBatch(1, 2, b"x")])
    async def test_only_the_next_event_fits(self, store: StoreService, batch: EventBatch) -> None:
        await record(store, *BATCHES)
        with pytest.raises(RevisionConflict) as caught:
            await store.append_events("run", [batch])
        assert caught.value.job_id == "run"
        assert await store.get_events("run") == list(BATCHES)

    async def test_a_new_history_starts_at_one(self, store: StoreService) -> None:
        with pytest.raises(RevisionConflict):
            await record(store, EventBatch(2, 3, b"x"))
        assert await store.load_run("run") is None

    async def test_one_of_racing_writers(self, store: StoreService, peer_store: StoreService) -> None:
        await record(store, *BATCHES)
        batch = EventBatch(10, 12, b"x")
        results = await asyncio.gather(
            *(outcome(each.append_events("run", [batch])) for each in (store, peer_store) * 8)
        )
        assert results.count(None) == 1
        assert sum(isinstance(result, RevisionConflict) for result in results) == 15
        assert await store.get_events("run", 10) == [batch]

    async def test_in_a_transaction(self, store: StoreService) -> None:
        await record(store, *BATCHES[:2])
        failing, transaction = store.transaction(), store.transaction()
        await store.append_events("run", BATCHES[2:3], failing)
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        assert await store.get_events("run") == list(BATCHES[:2])
        await store.append_events("run", BATCHES[2:3], transaction)
        await store.append_events("run", BATCHES[3:], transaction)
        assert len(await transaction.exec()) == 2
        assert await store.get_events("run") == list(BATCHES)

    async def test_a_long_history(self, store: StoreService) -> None:
        batches = tuple(EventBatch(n, n + 1, b"%d" % n) for n in range(1, 1201))
        await record(store, *batches)
        assert await store.get_events("run") == list(batches[:1000])
        assert await store.get_events("run", 1001) == list(batches[1000:])
