"""Routing tables, hook signals, work lists and throttles."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.errors import InvalidArgument, NotFound
from ..contracts.keys import signal_target
from ..contracts.store import StoreService
from ..contracts.types import MAX_DELAY_MS, AppVersion, HookSignal, KeyParams, KeyType, Stats, ThrottleOptions

V1, V2, FOREIGN = AppVersion("app", "1"), AppVersion("app", "2"), AppVersion("other", "1")


@pytest.mark.asyncio
class TestRouting:
    """Schemas, subscriptions, transitions, hook rules."""

    async def test_schemas(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_schemas(V1) == {}
        assert await store.get_schema("a1", V1) is None
        await store.set_schemas({"a1": {"type": "worker", "deep": [1, None]}, "a2": {"n": 1}}, V1)
        await peer_store.set_schemas({"a2": {"n": 2}}, V1)
        await store.set_schemas({}, V1)
        assert await store.get_schemas(V1) == {"a1": {"type": "worker", "deep": [1, None]}, "a2": {"n": 2}}
        assert await store.get_schema("a2", V1) == {"n": 2}
        assert (await store.get_schemas(V2), await store.get_schema("a1", V2)) == ({}, None)

    async def test_an_unknown_version_may_come_later(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_schemas(V2) == {}
        await peer_store.set_schemas({"a1": 1}, V2)
        assert await store.get_schemas(V2) == {"a1": 1}

    async def test_subscriptions(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.set_subscriptions({}, V1) is True
        assert await store.set_subscriptions({"order.placed": "t1", "b": "t2"}, V1) is True
        assert await peer_store.set_subscriptions({"b": "t3"}, V1) is True
        assert await store.get_subscriptions(V1) == {"order.placed": "t1", "b": "t3"}
        assert await store.get_subscription("order.placed", V1) == "t1"
        assert await store.get_subscription("order", V1) is None
        assert (await store.get_subscriptions(V2), await store.get_subscription("b", V2)) == ({}, None)

    async def test_transitions(self, store: StoreService) -> None:
        assert await store.get_transitions(V1) == {}
        await store.set_transitions({".a1": [{"to": "a2", "conditions": {"match": []}}]}, V1)
        await store.set_transitions({".a2": []}, V1)
        await store.set_transitions({}, V1)
        assert await store.get_transitions(V1) == {".a1": [{"to": "a2", "conditions": {"match": []}}], ".a2": []}
        assert await store.get_transitions(V2) == {}

    async def test_hook_rules(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_hook_rules() == {}
        await store.set_hook_rules({"t1": [{"to": "a1"}], "t2": [{"to": "a2"}]})
        await peer_store.set_hook_rules({"t2": [], "t3": [{"to": "a3"}, {"to": "a4"}]})
        assert await store.get_hook_rules() == {"t1": [{"to": "a1"}], "t3": [{"to": "a3"}, {"to": "a4"}]}

    async def test_another_app_is_refused(self, store: StoreService) -> None:
        with pytest.raises(InvalidArgument):
            await store.set_schemas({"a": 1}, FOREIGN)
        with pytest.raises(InvalidArgument):
            await store.get_transitions(FOREIGN)


@pytest.mark.asyncio
class TestHookSignals:
    """set_hook_signal, get_hook_signal, delete_hook_signal, delist_signal_key."""

    async def test_the_first_waiter_stays(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.set_hook_signal(HookSignal("approve", "42", "a1::,0::g::job1")) is True
        assert await peer_store.set_hook_signal(HookSignal("approve", "42", "a1::,0::g::job2")) is False
        assert await store.set_hook_signal(HookSignal("approve", "42", "a1::,0::g::job1")) is True
        for _ in range(2):
            assert await peer_store.get_hook_signal("approve", "42") == "a1::,0::g::job1"

    async def test_one_of_racing_waiters(self, store: StoreService, peer_store: StoreService) -> None:
        stores = (store, peer_store)
        calls = [stores[n % 2].set_hook_signal(HookSignal("t", "1", f"job{n}")) for n in range(20)]
        results = await asyncio.gather(*calls)
        assert sum(results) == 1
        assert await store.get_hook_signal("t", "1") == f"job{results.index(True)}"

    async def test_topics_and_ids_are_apart(self, store: StoreService) -> None:
        await store.set_hook_signal(HookSignal("a:b", "c", "one"))
        await store.set_hook_signal(HookSignal("a", "b:c", "two"))
        assert await store.get_hook_signal("a:b", "c") == "one"
        assert await store.get_hook_signal("a", "b:c") == "two"
        assert await store.get_hook_signal("a", "b") is None

    async def test_a_lapsed_waiter_makes_room(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_hook_signal(HookSignal("t", "1", "old", expire=1))
        await asyncio.sleep(1.1)
        assert await store.get_hook_signal("t", "1") is None
        assert await store.delete_hook_signal("t", "1") == 0
        assert await peer_store.set_hook_signal(HookSignal("t", "1", "new")) is True
        assert await store.get_hook_signal("t", "1") == "new"

    async def test_it_is_consumed_once(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.delete_hook_signal("t", "1") == 0
        await store.set_hook_signal(HookSignal("t", "1", "job"))
        counts = await asyncio.gather(*(each.delete_hook_signal("t", "1") for each in (store, peer_store) * 10))
        assert sum(counts) == 1
        assert await store.get_hook_signal("t", "1") is None

    async def test_delisting(self, store: StoreService) -> None:
        key = store.mint_key(KeyType.SIGNALS, KeyParams())
        await store.set_hook_signal(HookSignal("a:b", "c", "one"))
        await store.set_hook_signal(HookSignal("a", "b:c", "two"))
        for _ in range(2):
            await store.delist_signal_key(key, signal_target("a:b", "c"))
        assert await store.get_hook_signal("a:b", "c") is None
        assert await store.get_hook_signal("a", "b:c") == "two"
        with pytest.raises(InvalidArgument):
            await store.delist_signal_key("some:other:key", signal_target("a", "b:c"))

    async def test_in_a_transaction(self, store: StoreService) -> None:
        failing, transaction = store.transaction(), store.transaction()
        assert await store.set_hook_signal(HookSignal("t", "1", "job"), failing) is False
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        assert await store.get_hook_signal("t", "1") is None
        await store.set_hook_signal(HookSignal("t", "1", "job"), transaction)
        await store.set_hook_signal(HookSignal("t", "1", "late"), transaction)
        assert await transaction.exec() == [True, False]


@pytest.mark.asyncio
class TestWorkLists:
    """add_task_queues, get_active_task_queue, process_task_queue, delete_processed_task_queue."""

    async def test_work_items_are_first_in_first_out(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_active_task_queue() is None
        await store.add_task_queues([])
        await store.add_task_queues(["b", "a", "b"])
        await peer_store.add_task_queues(["c", "b"])
        for expected in ("b", "a", "c"):
            assert await store.get_active_task_queue() == expected
            await peer_store.delete_processed_task_queue(expected, "k", "k:processed")
        assert await store.get_active_task_queue() is None

    async def test_ids_move_in_order(self, store: StoreService) -> None:
        source = await index(store, "abca")
        for expected in ("a", "b", "c", "a", None, None):
            assert await store.process_task_queue(source, f"{source}:processed") == expected
        assert await ids(store, source) == []
        assert await ids(store, f"{source}:processed") == ["a", "b", "c", "a"]

    async def test_each_id_goes_to_one_caller(self, store: StoreService, peer_store: StoreService) -> None:
        source = await index(store, "abcdefghij")
        calls = [each.process_task_queue(source, f"{source}:processed") for each in (store, peer_store) * 7]
        moved = [job_id for job_id in await asyncio.gather(*calls) if job_id is not None]
        assert sorted(moved) == list("abcdefghij")

    async def test_ending_puts_the_ids_back(self, store: StoreService) -> None:
        source = await index(store, "abcd")
        await store.add_task_queues(["item"])
        for _ in range(2):
            await store.process_task_queue(source, f"{source}:processed")
        await store.delete_processed_task_queue("item", source, f"{source}:processed")
        assert await ids(store, source) == ["a", "b", "c", "d"]
        assert await ids(store, f"{source}:processed") == []

    async def test_ending_with_scrub_drops_them(self, store: StoreService) -> None:
        source = await index(store, "ab")
        bucket = store.mint_key(KeyType.JOB_STATS_GENERAL, KeyParams(job_key="orders", date_time="20261122"))
        assert (await store.get_job_stats([bucket]))[bucket] == {"count": 2.0}
        await store.add_task_queues(["item"])
        for _ in range(2):
            await store.process_task_queue(source, f"{source}:processed")
        await store.delete_processed_task_queue("item", source, f"{source}:processed", True)
        assert await ids(store, source) == await ids(store, f"{source}:processed") == []
        assert await store.get_job_stats([bucket]) == {bucket: {}}

    async def test_one_of_racers_tidies_up(self, store: StoreService, peer_store: StoreService) -> None:
        source = await index(store, "abc")
        await store.add_task_queues(["item"])
        await store.process_task_queue(source, f"{source}:processed")
        calls = [
            each.delete_processed_task_queue("item", source, f"{source}:processed") for each in (store, peer_store)
        ]
        await asyncio.gather(*calls)
        await store.delete_processed_task_queue("item", source, f"{source}:processed", True)
        assert await ids(store, source) == ["a", "b", "c"]


async def index(store: StoreService, job_ids: str) -> str:
    """Fill an index list, one letter a job id; returns its key."""
    for job_id in job_ids:
        stats = Stats(index=(("f", ""),), general=(("count", 1),))
        await store.set_stats("orders", job_id, "20261122", stats, V1)
    return store.mint_key(KeyType.JOB_STATS_INDEX, KeyParams(job_key="orders", date_time="20261122", facet="f"))


async def ids(store: StoreService, key: str) -> list[str]:
    """The whole list."""
    return (await store.get_job_ids([key], (0, -1)))[key]


@pytest.mark.asyncio
class TestThrottle:
    """set_throttle_rate, get_throttle_rates, get_throttle_rate."""

    async def test_unset(self, store: StoreService) -> None:
        assert await store.get_throttle_rates() == {}
        assert await store.get_throttle_rate("orders") == 0

    async def test_a_topic_wins_over_everything(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_throttle_rate(ThrottleOptions(100))
        await peer_store.set_throttle_rate(ThrottleOptions(5, topic="orders"))
        assert await store.get_throttle_rates() == {":": "100", "orders": "5"}
        rates = [await store.get_throttle_rate(topic) for topic in ("orders", "other", ":")]
        assert rates == [5, 100, 100]

    async def test_everything_wipes_the_topics(self, store: StoreService) -> None:
        await store.set_throttle_rate(ThrottleOptions(5, topic="orders"))
        await store.set_throttle_rate(ThrottleOptions(0))
        assert await store.get_throttle_rates() == {":": "0"}

    async def test_paused(self, store: StoreService) -> None:
        await store.set_throttle_rate(ThrottleOptions(-1, topic="orders"))
        assert await store.get_throttle_rates() == {"orders": "-1"}
        assert await store.get_throttle_rate("orders") == MAX_DELAY_MS

    async def test_a_guid_is_not_stored(self, store: StoreService) -> None:
        await store.set_throttle_rate(ThrottleOptions(100, guid="engine-1"))
        await store.set_throttle_rate(ThrottleOptions(100, topic="orders", guid="engine-1"))
        assert await store.get_throttle_rates() == {}

    @pytest.mark.parametrize("rate", [-2, MAX_DELAY_MS + 1])
    async def test_a_rate_that_cannot_be(self, store: StoreService, rate: int) -> None:
        with pytest.raises(InvalidArgument):
            await store.set_throttle_rate(ThrottleOptions(rate))
