"""The outbox."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import Commit, OutboxEntry, Publish
from ..contracts.errors import NotFound
from ..contracts.store import StoreService
from .support import now_ms


def messages(entries: list[OutboxEntry]) -> list[str]:
    """Their messages."""
    return [entry.message for entry in entries]


@pytest.mark.asyncio
class TestOutbox:
    """outbox_add, outbox_claim, outbox_done."""

    async def test_oldest_first(self, store: StoreService, peer_store: StoreService) -> None:
        ids = await store.outbox_add("orders", ["a", "b"])
        ids += await store.outbox_add("other", ["c"])
        assert await store.outbox_add("other", []) == []
        first = await peer_store.outbox_claim("me", 2, 1000, now_ms())
        rest = await peer_store.outbox_claim("me", 2, 1000, now_ms())
        assert [entry.outbox_id for entry in first + rest] == ids
        assert [(entry.stream, entry.message) for entry in first + rest] == [
            ("orders", "a"),
            ("orders", "b"),
            ("other", "c"),
        ]

    async def test_a_commit_keeps_delay_and_priority(self, store: StoreService) -> None:
        publish = Publish(stream="orders", message="m", visible_at_ms=1234, priority=7)
        result = await store.commit(Commit(outbox=(publish,)))
        entries = await store.outbox_claim("me", 10, 1000, now_ms())
        assert entries == [OutboxEntry(result.outbox_ids[0], "orders", "m", 1234, 7)]

    async def test_claims_are_exclusive(self, store: StoreService, peer_store: StoreService) -> None:
        await store.outbox_add("orders", [str(n) for n in range(40)])
        now = now_ms()
        stores = (store, peer_store)
        claims = await asyncio.gather(*(stores[n % 2].outbox_claim(f"o{n}", 7, 1000, now) for n in range(8)))
        claimed = [message for entries in claims for message in messages(entries)]
        assert sorted(claimed) == sorted(str(n) for n in range(40))

    async def test_a_lost_claim_comes_back(self, store: StoreService, peer_store: StoreService) -> None:
        await store.outbox_add("orders", ["a"])
        now = now_ms()
        (entry,) = await store.outbox_claim("me", 10, 500, now)
        assert await peer_store.outbox_claim("you", 10, 500, now + 499) == []
        assert await peer_store.outbox_claim("you", 10, 500, now + 500) == [entry]

    async def test_done_is_idempotent(self, store: StoreService) -> None:
        ids = await store.outbox_add("orders", ["a", "b"])
        assert await store.outbox_done([ids[0], "999999999"]) == 1
        assert await store.outbox_done([ids[0]]) == 0
        assert await store.outbox_done([]) == 0
        assert messages(await store.outbox_claim("me", 10, 1000, now_ms())) == ["b"]

    async def test_in_a_transaction(self, store: StoreService) -> None:
        failing, transaction = store.transaction(), store.transaction()
        assert await store.outbox_add("orders", ["lost"], failing) == []
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        await store.outbox_add("orders", ["a", "b"], transaction)
        assert await store.outbox_claim("me", 10, 1000, now_ms()) == []
        (ids,) = await transaction.exec()
        entries = await store.outbox_claim("me", 10, 1000, now_ms())
        assert [entry.outbox_id for entry in entries] == ids
        assert messages(entries) == ["a", "b"]
