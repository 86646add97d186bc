"""Looking at everything that a provider keeps."""

from __future__ import annotations

import pytest

from ..contracts.commit import Commit, CurrentRunWrite, MessageLease, OutboxEntry, Publish, RunWrite, TimerWrite
from ..contracts.inspection import CurrentRun, StoredMessage
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from .fixtures import OpenBackend
from .support import GROUP, eventually, now_ms, store_of, stream_name


def created(job_id: str, pointer_id: str) -> Commit:
    """A run that becomes current."""
    run = RunWrite(job_id=job_id, expected_revision=0, status=1, state=b"s", origin=b"o")
    return Commit(runs=(run,), current_runs=(CurrentRunWrite(pointer_id, None, job_id),))


@pytest.mark.asyncio
class TestStoreInspection:
    """list_current_runs, list_timers, list_outbox."""

    async def test_current_runs(self, store: StoreService) -> None:
        for number in (3, 1, 2):
            await store.commit(created(f"run{number}", f"pointer{number}"))
        assert await store.list_current_runs(limit=2) == [
            CurrentRun("pointer1", "run1"),
            CurrentRun("pointer2", "run2"),
        ]
        assert await store.list_current_runs("pointer2") == [CurrentRun("pointer3", "run3")]
        assert await store.list_current_runs("pointer3") == []

    async def test_a_run_whose_time_ran_out_is_not_current(self, store: StoreService) -> None:
        await store.commit(created("run", "pointer"))
        await store.expire_job("run", 3600)
        assert await store.list_current_runs() == [CurrentRun("pointer", "run")]
        await store.expire_job("run", 1)

        async def gone() -> bool:
            return await store.list_current_runs() == []

        await eventually(gone)

    async def test_a_pointer_to_nothing_is_seen(self, store: StoreService) -> None:
        await store.commit(Commit(current_runs=(CurrentRunWrite("pointer", None, "nowhere"),)))
        assert await store.list_current_runs() == [CurrentRun("pointer", "nowhere")]

    async def test_timers(self, store: StoreService) -> None:
        await store.register_timer("b", 20, "payload")
        await store.register_timer("a", 30)
        await store.register_timer("c", 10)
        await store.claim_due_timers(10, 10, 60_000)
        assert await store.list_timers(limit=2) == [TimerWrite("a", 30), TimerWrite("b", 20, "payload")]
        assert await store.list_timers("b") == [TimerWrite("c", 10)]

    async def test_outbox(self, store: StoreService) -> None:
        publish = Publish(stream="s", message="m0", visible_at_ms=5, priority=2)
        (first,) = (await store.commit(Commit(outbox=(publish,)))).outbox_ids
        second, third = await store.outbox_add("t", ["m1", "m2"])
        await store.outbox_claim("me", 1, 60_000, now_ms())
        entries = [
            OutboxEntry(first, "s", "m0", 5, 2),
            OutboxEntry(second, "t", "m1", None, 0),
            OutboxEntry(third, "t", "m2", None, 0),
        ]
        assert await store.list_outbox() == entries
        assert await store.list_outbox(first, 1) == entries[1:2]
        await store.outbox_done([second])
        assert await store.list_outbox(first) == entries[2:]

    async def test_other_apps_are_not_seen(self, store: StoreService, open_backend: OpenBackend) -> None:
        await store.commit(created("run", "pointer"))
        await store.register_timer("timer", 1)
        await store.outbox_add("s", ["m"])
        stranger = store_of(await open_backend(app_id="other"))
        assert await stranger.list_current_runs() == []
        assert await stranger.list_timers() == []
        assert await stranger.list_outbox() == []


@pytest.mark.asyncio
class TestStreamInspection:
    """list_messages."""

    async def test_every_state_but_gone_and_dead(self, stream: StreamService, orders: str) -> None:
        invoices = stream_name(stream, "invoices")
        lease = MessageLease(GROUP, "me", 60_000)
        (leased,) = await stream.publish_messages(orders, ["leased"], lease=lease)
        (ready,) = await stream.publish_messages(invoices, ["ready"])
        (delayed,) = await stream.publish_messages(orders, ["delayed"], visible_at_ms=now_ms() + 60_000)
        gone, dead = await stream.publish_messages(orders, ["gone", "dead"])
        await stream.ack_and_delete(orders, GROUP, [gone])
        await stream.dead_letter_messages(orders, GROUP, [dead])
        everything = [
            StoredMessage(orders, leased, "leased", 1),
            StoredMessage(invoices, ready, "ready"),
            StoredMessage(orders, delayed, "delayed"),
        ]
        assert await stream.list_messages() == everything
        assert await stream.list_messages(limit=1) == everything[:1]
        assert await stream.list_messages(leased) == everything[1:]

    async def test_delivery_is_not_affected(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["m"])
        await stream.list_messages()
        (message,) = await stream.consume_messages(orders, GROUP, "me")
        assert (message.data, message.attempt) == ("m", 1)
        assert await stream.list_messages() == [StoredMessage(orders, message.message_id, "m", 1)]
