"""Leases with an owner and a fence."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import Lease
from ..contracts.store import StoreService

NOW = 1_795_000_000_000


async def acquire(store: StoreService, owner: str, now: int = NOW, name: str = "timers") -> Lease | None:
    """Ask for a lease of one second."""
    return await store.acquire_lease(name, owner, 1000, now)


async def take(store: StoreService, owner: str, now: int = NOW) -> Lease:
    """Take a lease that must be free."""
    lease = await acquire(store, owner, now)
    assert lease is not None
    return lease


@pytest.mark.asyncio
class TestLeases:
    """acquire_lease, renew_lease, release_lease."""

    async def test_one_of_racers_holds_it(self, store: StoreService, peer_store: StoreService) -> None:
        stores = (store, peer_store)
        results = await asyncio.gather(*(acquire(stores[n % 2], f"o{n}") for n in range(30)))
        held = [lease for lease in results if lease is not None]
        assert len(held) == 1
        assert (held[0].name, held[0].expires_at_ms) == ("timers", NOW + 1000)
        assert held[0] is results[int(held[0].owner[1:])]

    async def test_names_are_independent(self, store: StoreService) -> None:
        await take(store, "a")
        assert await acquire(store, "b") is None
        assert await acquire(store, "b", name="other") is not None

    async def test_the_owner_extends_it(self, store: StoreService, peer_store: StoreService) -> None:
        first = await take(store, "a")
        again = await take(store, "a", NOW + 900)
        assert (again.fence, again.expires_at_ms) == (first.fence, NOW + 1900)
        assert await acquire(peer_store, "b", NOW + 1500) is None

    async def test_a_lapsed_one_is_free_and_fenced(self, store: StoreService, peer_store: StoreService) -> None:
        old = await take(store, "a")
        assert await acquire(peer_store, "b", NOW + 999) is None
        new = await take(peer_store, "b", NOW + 1000)
        assert new.fence > old.fence
        assert await store.renew_lease("timers", "a", old.fence, 1000, NOW + 1001) is False
        assert await store.release_lease("timers", "a", old.fence) is False
        assert await acquire(store, "a", NOW + 1500) is None

    async def test_renewing(self, store: StoreService, peer_store: StoreService) -> None:
        lease = await take(store, "a")
        assert await store.renew_lease("timers", "a", lease.fence, 1000, NOW + 500) is True
        assert await acquire(peer_store, "b", NOW + 1499) is None
        assert await store.renew_lease("timers", "a", lease.fence + 1, 1000, NOW + 500) is False
        assert await store.renew_lease("timers", "b", lease.fence, 1000, NOW + 500) is False
        assert await store.renew_lease("unknown", "a", lease.fence, 1000, NOW) is False
        assert await acquire(peer_store, "b", NOW + 1500) is not None

    async def test_releasing(self, store: StoreService, peer_store: StoreService) -> None:
        lease = await take(store, "a")
        assert await peer_store.release_lease("timers", "b", lease.fence) is False
        assert await store.release_lease("timers", "a", lease.fence) is True
        assert await store.release_lease("timers", "a", lease.fence) is False
        assert (await take(peer_store, "b")).fence > lease.fence

    async def test_the_fence_grows_for_the_same_owner_too(self, store: StoreService) -> None:
        first = await take(store, "a")
        await store.release_lease("timers", "a", first.fence)
        assert (await take(store, "a")).fence > first.fence
