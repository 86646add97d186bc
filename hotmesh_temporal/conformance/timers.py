"""Timers."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import DueTimer
from ..contracts.errors import NotFound
from ..contracts.store import StoreService


async def claim(store: StoreService, now: int, limit: int = 100, lease_ms: int = 1000) -> list[DueTimer]:
    """Claim due timers."""
    return list((await store.claim_due_timers(now, limit, lease_ms)).timers)


def ids(timers: list[DueTimer]) -> list[str]:
    """Their ids."""
    return [timer.timer_id for timer in timers]


@pytest.mark.asyncio
class TestTimers:
    """register_timer, cancel_timer, claim_due_timers, ack_timer."""

    async def test_due_to_the_millisecond(self, store: StoreService) -> None:
        await store.register_timer("t", 1_795_000_000_123, "payload ü")
        assert await claim(store, 1_795_000_000_122) == []
        (timer,) = await claim(store, 1_795_000_000_123)
        assert (timer.timer_id, timer.fire_at_ms, timer.payload) == ("t", 1_795_000_000_123, "payload ü")

    async def test_in_order_of_time_up_to_the_limit(self, store: StoreService) -> None:
        for timer_id, at in (("c", 30), ("a", 10), ("d", 40), ("b", 20)):
            await store.register_timer(timer_id, at)
        assert ids(await claim(store, 35, 2)) == ["a", "b"]
        assert ids(await claim(store, 35, 2)) == ["c"]

    async def test_when_the_next_is_due(self, store: StoreService) -> None:
        assert (await store.claim_due_timers(100, 10, 1000)).next_fire_at_ms is None
        for timer_id, at in (("a", 10), ("b", 20), ("c", 300)):
            await store.register_timer(timer_id, at)
        assert (await store.claim_due_timers(5, 10, 1000)).next_fire_at_ms == 10
        assert (await store.claim_due_timers(50, 1, 1000)).next_fire_at_ms == 20
        assert (await store.claim_due_timers(50, 10, 20)).next_fire_at_ms == 300

    async def test_claims_are_exclusive(self, store: StoreService, peer_store: StoreService) -> None:
        for n in range(60):
            await store.register_timer(f"t{n}", n)
        claims = await asyncio.gather(*(claim(each, 100, 10) for each in (store, peer_store) * 6))
        claimed = [timer_id for timers in claims for timer_id in ids(timers)]
        assert sorted(claimed) == sorted(f"t{n}" for n in range(60))

    async def test_an_acked_timer_is_gone(self, store: StoreService) -> None:
        await store.register_timer("t", 10)
        (timer,) = await claim(store, 10)
        assert await store.ack_timer("t", timer.fence) is True
        assert await store.ack_timer("t", timer.fence) is False
        assert await claim(store, 10_000) == []

    async def test_a_lost_claim_comes_due_again(self, store: StoreService, peer_store: StoreService) -> None:
        await store.register_timer("t", 10)
        (lost,) = await claim(store, 10, lease_ms=500)
        assert await claim(peer_store, 509) == []
        (again,) = await claim(peer_store, 510)
        assert again.fence != lost.fence
        assert await store.ack_timer("t", lost.fence) is False
        assert await peer_store.ack_timer("t", again.fence) is True

    async def test_arming_again_replaces_and_voids(self, store: StoreService) -> None:
        await store.register_timer("t", 10, "old")
        (old,) = await claim(store, 10)
        await store.register_timer("t", 20, "new")
        assert await store.ack_timer("t", old.fence) is False
        assert await claim(store, 19) == []
        (new,) = await claim(store, 20)
        assert new.payload == "new"
        assert await store.ack_timer("t", new.fence) is True

    async def test_a_timer_made_anew_is_not_the_old_one(self, store: StoreService) -> None:
        await store.register_timer("t", 10)
        (old,) = await claim(store, 10)
        await store.cancel_timer("t")
        await store.register_timer("t", 10)
        (new,) = await claim(store, 10)
        assert await store.ack_timer("t", old.fence) is False
        assert await store.ack_timer("t", new.fence) is True

    async def test_cancelling(self, store: StoreService) -> None:
        await store.register_timer("t", 10)
        assert await store.cancel_timer("t") is True
        assert await store.cancel_timer("t") is False
        assert await claim(store, 100) == []
        await store.register_timer("claimed", 10)
        (timer,) = await claim(store, 10)
        assert await store.cancel_timer("claimed") is True
        assert await store.ack_timer("claimed", timer.fence) is False

    async def test_in_a_transaction(self, store: StoreService) -> None:
        await store.register_timer("old", 10)
        failing, transaction = store.transaction(), store.transaction()
        await store.register_timer("new", 10, "", failing)
        assert await store.cancel_timer("old", failing) is False
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        await store.register_timer("new", 10, "", transaction)
        await store.cancel_timer("old", transaction)
        await store.cancel_timer("unknown", transaction)
        assert (await transaction.exec())[1:] == [True, False]
        assert ids(await claim(store, 10)) == ["new"]
