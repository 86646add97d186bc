"""Time hooks."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.errors import NotFound
from ..contracts.store import StoreService
from ..contracts.types import KeyParams, KeyType, TimeHookTask
from .support import now_ms


async def arm(store: StoreService, job_id: str, at: int, type: str = "sleep") -> None:
    """Arm a hook of a job."""
    await store.register_time_hook(job_id, "g1", "a1", type, at, ",0,0")


async def take(store: StoreService, list_key: str | None = None, lease_ms: int = 60_000) -> TimeHookTask:
    """Claim a hook that must be there."""
    task = await store.get_next_task(list_key, lease_ms=lease_ms)
    assert isinstance(task, TimeHookTask)
    return task


@pytest.mark.asyncio
class TestTimeHooks:
    """register_time_hook, get_next_task, ack_time_hook."""

    async def test_nothing_before_its_time(self, store: StoreService) -> None:
        assert await store.get_next_task() is False
        await arm(store, "job", now_ms() + 300)
        assert await store.get_next_task() is False
        await asyncio.sleep(0.35)
        assert (await take(store)).job_id == "job"

    async def test_everything_comes_back(self, store: StoreService) -> None:
        await store.register_time_hook("j::1:2", "g::1", "a::1", "interrupt", 1700, ",0,1")
        task = await take(store)
        key = store.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=1700))
        assert (task.list_key, task.job_id, task.gid) == (key, "j::1:2", "g::1")
        assert (task.activity_id, task.type, task.dad) == ("a::1", "interrupt", ",0,1")

    async def test_order(self, store: StoreService) -> None:
        for job_id, at in (("c", 30), ("a", 10), ("b1", 20), ("b2", 20)):
            await arm(store, job_id, at)
        assert [(await take(store)).job_id for _ in range(4)] == ["a", "b1", "b2", "c"]
        assert await store.get_next_task() is False

    async def test_one_list(self, store: StoreService) -> None:
        for job_id, at in (("a", 10), ("b", 20), ("c", 20)):
            await arm(store, job_id, at)
        key = store.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=20))
        assert [(await take(store, key)).job_id for _ in range(2)] == ["b", "c"]
        assert await store.get_next_task(key) is True
        assert (await take(store)).job_id == "a"

    async def test_each_hook_goes_to_one_caller(self, store: StoreService, peer_store: StoreService) -> None:
        for n in range(20):
            await arm(store, f"job{n}", n // 5)
        tasks = await asyncio.gather(*(each.get_next_task() for each in (store, peer_store) * 12))
        taken = [task.job_id for task in tasks if isinstance(task, TimeHookTask)]
        assert sorted(taken) == sorted(f"job{n}" for n in range(20))

    async def test_an_acked_hook_is_gone(self, store: StoreService) -> None:
        await arm(store, "job", 1)
        task = await take(store, lease_ms=50)
        assert await store.ack_time_hook(task) is True
        assert await store.ack_time_hook(task) is False
        await asyncio.sleep(0.1)
        assert await store.get_next_task() is False

    async def test_a_lost_claim_comes_back(self, store: StoreService, peer_store: StoreService) -> None:
        await arm(store, "job", 1)
        lost = await take(store, lease_ms=100)
        assert await peer_store.get_next_task() is False
        await asyncio.sleep(0.15)
        again = await take(peer_store)
        assert again.job_id == "job"
        assert await store.ack_time_hook(lost) is False
        assert await peer_store.ack_time_hook(again) is True

    async def test_arming_again_changes_nothing(self, store: StoreService) -> None:
        for _ in range(2):
            await arm(store, "job", 1)
        await arm(store, "job", 1, "expire")
        assert sorted([(await take(store)).type, (await take(store)).type]) == ["expire", "sleep"]
        assert await store.get_next_task() is False

    async def test_no_hook_is_lost_among_drainers(self, store: StoreService, peer_store: StoreService) -> None:
        total, found = 100, set[str]()

        async def drain() -> None:
            while len(found) < total:
                task = await peer_store.get_next_task()
                if isinstance(task, TimeHookTask):
                    found.add(task.job_id)
                    await peer_store.ack_time_hook(task)
                else:
                    await asyncio.sleep(0.002)

        drainers = asyncio.gather(drain(), drain())
        for n in range(total):
            await arm(store, f"job{n}", n % 7)
        await asyncio.wait_for(drainers, 20)
        assert len(found) == total

    async def test_hooks_are_no_timers(self, store: StoreService) -> None:
        await arm(store, "job", 1)
        await store.register_timer("timer", 1)
        due = await store.claim_due_timers(now_ms(), 10, 1000)
        assert [timer.timer_id for timer in due.timers] == ["timer"]
        assert (await take(store)).job_id == "job"
        assert await store.get_next_task() is False

    async def test_in_a_transaction(self, store: StoreService) -> None:
        failing, transaction = store.transaction(), store.transaction()
        await store.register_time_hook("job", "g", "a", "sleep", 1, "", failing)
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        assert await store.get_next_task() is False
        await store.register_time_hook("job", "g", "a", "sleep", 1, "", transaction)
        assert await store.get_next_task() is False
        assert len(await transaction.exec()) == 1
        assert (await take(store)).job_id == "job"
