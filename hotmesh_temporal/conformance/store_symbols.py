"""Symbols and statistics."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.errors import InvalidArgument, NotFound
from ..contracts.store import StoreService
from ..contracts.symbols import MAX_SYMBOLS, seed_symbols, symbol_key
from ..contracts.types import AppVersion, KeyParams, KeyType, Stats

VERSION = AppVersion("app", "1")


@pytest.mark.asyncio
class TestSymbols:
    """Ranges, symbol maps and symbol values."""

    async def test_a_new_range(self, store: StoreService) -> None:
        assert await store.reserve_symbol_range("a1", 100, "ACTIVITY") == (26, 99, {})
        assert await store.get_symbols("a1") == seed_symbols("ACTIVITY", 0)
        assert await store.reserve_symbol_range("$order", 50, "JOB") == (126, 149, {})
        assert await store.get_symbols("$order") == seed_symbols("JOB", 100)

    async def test_a_known_range_is_stable(self, store: StoreService, peer_store: StoreService) -> None:
        await store.reserve_symbol_range("a1", 100, "ACTIVITY")
        seeds = seed_symbols("ACTIVITY", 0)
        assert await peer_store.reserve_symbol_range("a1", 999, "ACTIVITY") == (26, 99, seeds)
        own = {"output/data/x": symbol_key(26), "output/data/y": symbol_key(27)}
        await store.add_symbols("a1", own)
        assert await peer_store.reserve_symbol_range("a1", 100, "ACTIVITY") == (28, 99, {**seeds, **own})

    async def test_racers_of_one_target_see_one_range(self, store: StoreService, peer_store: StoreService) -> None:
        calls = [each.reserve_symbol_range("a1", 60, "ACTIVITY") for each in (store, peer_store) * 10]
        results = await asyncio.gather(*calls)
        assert {result[:2] for result in results} == {(26, 59)}
        assert sum(not result[2] for result in results) == 1

    async def test_racers_of_many_targets_get_disjoint_ranges(
        self, store: StoreService, peer_store: StoreService
    ) -> None:
        stores = (store, peer_store)
        calls = [stores[n % 2].reserve_symbol_range(f"a{n}", 30, "ACTIVITY") for n in range(20)]
        results = await asyncio.gather(*calls)
        assert sorted(first - 26 for first, _, _ in results) == [30 * n for n in range(20)]

    @pytest.mark.parametrize("size", [0, 26, MAX_SYMBOLS + 1])
    async def test_a_size_that_cannot_be(self, store: StoreService, size: int) -> None:
        with pytest.raises(InvalidArgument):
            await store.reserve_symbol_range("a1", size, "ACTIVITY")

    async def test_exhaustion_takes_nothing(self, store: StoreService) -> None:
        await store.reserve_symbol_range("a1", MAX_SYMBOLS - 100, "ACTIVITY")
        with pytest.raises(InvalidArgument):
            await store.reserve_symbol_range("a2", 101, "ACTIVITY")
        assert await store.get_symbols("a2") == {}
        assert (await store.reserve_symbol_range("a2", 100, "ACTIVITY"))[1] == MAX_SYMBOLS - 1

    async def test_maps_merge(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_symbols("a1") == {}
        assert await store.add_symbols("a1", {}) is False
        assert await store.add_symbols("a1", {"x": "aba"}) is True
        assert await store.add_symbols("a1", {"x": "aba"}) is True
        assert await peer_store.add_symbols("a1", {"y": "abb"}) is True
        assert await store.get_symbols("a1") == await peer_store.get_symbols("a1") == {"x": "aba", "y": "abb"}

    async def test_a_returned_map_is_the_callers(self, store: StoreService) -> None:
        await store.add_symbols("a1", {"x": "aba"})
        (await store.get_symbols("a1")).clear()
        assert await store.get_symbols("a1") == {"x": "aba"}

    async def test_values(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_symbol_values() == {}
        assert await store.add_symbol_values({}) is False
        assert await store.add_symbol_values({"pending": "aa"}) is True
        assert await store.add_symbol_values({"done": "ab"}) is True
        assert await peer_store.get_symbol_values() == {"pending": "aa", "done": "ab"}

    async def test_many_maps_at_once(self, store: StoreService) -> None:
        await store.add_symbols("a1", {"x": "aba"})
        await store.add_symbols("$order", {"data/y": "abb"})
        keys = await store.get_symbol_keys(["$order", "unknown", "a1"])
        assert keys == {"$order": {"data/y": "abb"}, "unknown": {}, "a1": {"x": "aba"}}
        assert await store.get_symbol_keys([]) == {}

    async def test_all_symbols_name_full_paths(self, store: StoreService) -> None:
        await store.reserve_symbol_range("a1", 50, "ACTIVITY")
        await store.reserve_symbol_range("$order", 50, "JOB")
        await store.add_symbols("a1", {"output/data/x": symbol_key(26)})
        symbols = await store.get_all_symbols()
        expected = {symbol: f"a1/{path}" for path, symbol in seed_symbols("ACTIVITY", 0).items()}
        expected |= {symbol: path for path, symbol in seed_symbols("JOB", 50).items()}
        assert symbols == {**expected, symbol_key(26): "a1/output/data/x"}


def bucket(store: StoreService, key_type: KeyType, facet: str = "", date_time: str = "202611221200") -> str:
    """The key of the bucket that these tests fill."""
    return store.mint_key(key_type, KeyParams(job_key="orders", date_time=date_time, facet=facet))


async def count(store: StoreService, job_id: str, stats: Stats) -> None:
    """Fill the bucket."""
    await store.set_stats("orders", job_id, "202611221200", stats, VERSION)


@pytest.mark.asyncio
class TestStats:
    """set_stats and its readers."""

    async def test_concurrent_increments_sum(self, store: StoreService, peer_store: StoreService) -> None:
        stats = Stats(general=(("count", 1), ("amount", 2.5)))
        await asyncio.gather(*(count(each, "j", stats) for each in (store, peer_store) * 10))
        key = bucket(store, KeyType.JOB_STATS_GENERAL)
        assert await store.get_job_stats([key]) == {key: {"count": 20.0, "amount": 50.0}}

    async def test_unknown_buckets_keep_their_place(self, store: StoreService) -> None:
        await count(store, "j", Stats(general=(("count", 1),)))
        key = bucket(store, KeyType.JOB_STATS_GENERAL)
        other = bucket(store, KeyType.JOB_STATS_GENERAL, date_time="209901010000")
        assert list((await store.get_job_stats([other, key])).items()) == [(other, {}), (key, {"count": 1.0})]

    async def test_an_index_keeps_order_and_duplicates(self, store: StoreService) -> None:
        for job_id in ("a", "b", "a", "c"):
            await count(store, job_id, Stats(index=(("state:open", ""),)))
        key = bucket(store, KeyType.JOB_STATS_INDEX, "state:open")
        unknown = bucket(store, KeyType.JOB_STATS_INDEX, "state:closed")
        assert await store.get_job_ids([key, unknown], (0, -1)) == {key: ["a", "b", "a", "c"], unknown: []}

    @pytest.mark.parametrize(
        ("id_range", "ids"),
        [
            ((0, 1), "ab"),
            ((1, 1), "b"),
            ((-2, -1), "de"),
            ((0, -2), "abcd"),
            ((3, 99), "de"),
            ((9, 12), ""),
            ((3, 1), ""),
        ],
    )
    async def test_index_ranges(self, store: StoreService, id_range: tuple[int, int], ids: str) -> None:
        for job_id in "abcde":
            await count(store, job_id, Stats(index=(("f", ""),)))
        key = bucket(store, KeyType.JOB_STATS_INDEX, "f")
        assert await store.get_job_ids([key], id_range) == {key: list(ids)}

    async def test_medians(self, store: StoreService) -> None:
        for value in (5, 5, 1):
            await count(store, "j", Stats(median=(("odd", value),)))
        for value in (4, 1, 2, 9):
            await count(store, "j", Stats(median=(("even", value),)))
        odd, even, none = (bucket(store, KeyType.JOB_STATS_MEDIAN, facet) for facet in ("odd", "even", "none"))
        assert await store.get_job_medians([odd, even, none]) == {odd: 5.0, even: 3.0, none: None}

    async def test_stats_join_a_transaction(self, store: StoreService) -> None:
        key = bucket(store, KeyType.JOB_STATS_GENERAL)
        stats = Stats(general=(("count", 1),), index=(("f", ""),))
        failing = store.transaction()
        await store.set_stats("orders", "j", "202611221200", stats, VERSION, failing)
        await store.set_status(1, "missing", "app", failing)
        with pytest.raises(NotFound):
            await failing.exec()
        assert await store.get_job_stats([key]) == {key: {}}
        transaction = store.transaction()
        await store.set_stats("orders", "j", "202611221200", stats, VERSION, transaction)
        assert await store.get_job_stats([key]) == {key: {}}
        assert len(await transaction.exec()) == 1
        assert await store.get_job_stats([key]) == {key: {"count": 1.0}}
