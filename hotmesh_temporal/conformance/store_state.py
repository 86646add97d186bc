"""Status, state and collation of jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..contracts.errors import InvalidArgument, NotFound
from ..contracts.store import StoreService
from ..contracts.symbols import symbol_key

APP = "app"
DIDS = {"a1": ",0,0"}
PATHS = ["output/data/x", "output/data/y", "output/data/deep"]


async def define_symbols(store: StoreService) -> None:
    """Symbols of an activity ``a1`` and of jobs of the topic ``order``."""
    first, _, _ = await store.reserve_symbol_range("a1", 60, "ACTIVITY")
    await store.add_symbols("a1", {path: symbol_key(first + n) for n, path in enumerate(PATHS)})
    first, _, _ = await store.reserve_symbol_range("$order", 60, "JOB")
    await store.add_symbols("$order", {"data/total": symbol_key(first), "data/note": symbol_key(first + 1)})


def output(**data: Any) -> dict[str, Any]:
    """A state with output of the activity ``a1``."""
    return {"a1": {"output": {"data": data}}}


async def read(store: StoreService, job_id: str = "job", dids: dict[str, str] | None = None) -> dict[str, Any]:
    """The output data of ``a1``."""
    state, _ = await store.get_state(job_id, {"a1": PATHS}, DIDS if dids is None else dids)
    data: dict[str, Any] = state.get("a1", {}).get("output", {}).get("data", {})
    return data


@pytest.mark.asyncio
class TestJobStatus:
    """set_state_nx, set_status, get_status."""

    async def test_one_of_hundred_racers_creates(self, store: StoreService, peer_store: StoreService) -> None:
        racers = [each.set_state_nx("job", APP, n) for n, each in enumerate((store, peer_store) * 50, 1)]
        created = await asyncio.gather(*racers)
        assert sum(created) == 1
        assert await store.get_status("job", APP) == created.index(True) + 1

    async def test_an_existing_job_is_not_touched(self, store: StoreService) -> None:
        assert await store.set_state_nx("job", APP) is True
        await store.set_query_state("job", {"x": "kept"})
        assert await store.set_state_nx("job", APP, 9) is False
        assert await store.get_raw("job") == {":": "1", "_x": "kept"}

    @pytest.mark.parametrize("status", [0, -5, 2**62])
    async def test_any_status(self, store: StoreService, status: int) -> None:
        await store.set_state_nx("job", APP, status)
        assert await store.get_status("job", APP) == status

    async def test_status_is_a_sum(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_state_nx("job", APP, 10)
        deltas = [3, -2] * 20
        results = await asyncio.gather(
            *((store, peer_store)[n % 2].set_status(delta, "job", APP) for n, delta in enumerate(deltas))
        )
        assert await store.get_status("job", APP) == 30
        assert 30 in results

    async def test_set_status_returns_the_new_one(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP, 2)
        assert await store.set_status(-5, "job", APP) == -3

    async def test_a_missing_job_is_not_made(self, store: StoreService) -> None:
        with pytest.raises(NotFound):
            await store.set_status(1, "job", APP)
        with pytest.raises(NotFound):
            await store.get_status("job", APP)
        assert await store.find_jobs() == ("0", [])

    async def test_odd_ids(self, store: StoreService) -> None:
        ids = [" ", "a:b::c", "ü/√ 🙂", "quo'te\"%_*", "x" * 1000]
        for status, job_id in enumerate(ids):
            assert await store.set_state_nx(job_id, APP, status) is True
        assert [await store.get_status(job_id, APP) for job_id in ids] == [0, 1, 2, 3, 4]


VALUES: list[Any] = [
    "",
    "text",
    "/s not a mark",
    "/",
    "ü🙂",
    0,
    -7,
    2**70,
    1.5,
    1e300,
    True,
    False,
    None,
    {},
    {"k": [1, {"n": None}]},
    [],
    [1, "two"],
    "a\nb\tc",
    "x" * 100_000,
]


@pytest.mark.asyncio
class TestJobState:
    """set_state, get_state, set_query_state, get_query_state, get_raw."""

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
    async def test_values_come_back_with_their_type(self, store: StoreService, value: Any) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        assert await store.set_state(output(x=value), None, "job", ["a1"], DIDS) == "job"
        found = (await read(store))["x"]
        assert found == value
        assert type(found) is type(value)

    async def test_state_merges(self, store: StoreService, peer_store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        await store.set_state(output(x=1, y=1), None, "job", ["a1"], DIDS)
        await peer_store.set_state(output(y=2), None, "job", ["a1"], DIDS)
        assert await read(store) == {"x": 1, "y": 2}

    async def test_concurrent_writers_of_different_fields(self, store: StoreService, peer_store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        states = [output(x=1), output(y=2), output(deep=3)] * 5
        stores = (store, peer_store)
        await asyncio.gather(
            *(stores[n % 2].set_state(state, None, "job", ["a1"], DIDS) for n, state in enumerate(states))
        )
        assert await read(store) == {"x": 1, "y": 2, "deep": 3}

    async def test_job_and_activity_state_together(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        state = {**output(x=1), "data": {"total": 9.5, "note": "n"}, "metadata": {"jid": "job", "js": "5"}}
        await store.set_state(state, 4, "job", ["a1", "$order"], DIDS)
        consumes = {"$order": ["data/total", "metadata/jid", "metadata/js"], "a1": ["output/data/x"]}
        found = await store.get_state("job", consumes, DIDS)
        assert found == ({**output(x=1), "data": {"total": 9.5}, "metadata": {"jid": "job"}}, 4)

    async def test_only_paths_with_a_symbol_are_kept(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        await store.set_state({**output(x=1, unknown=2), "b": {"x": 1}}, None, "job", ["a1"], DIDS)
        await store.set_state({"data": {"total": 1}}, None, "job", ["a1"], DIDS)
        assert len(await store.get_raw("job")) == 2

    async def test_only_asked_paths_are_read(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP, 3)
        await store.set_state(output(x=1, y=2), None, "job", ["a1"], DIDS)
        consumes = {"a1": ["output/data/y", "output/data/deep", "no/such"], "unknown": ["x"]}
        assert await store.get_state("job", consumes, DIDS) == (output(y=2), 3)
        assert await store.get_state("job", {}, {}) == ({}, 3)

    async def test_dimensions_are_apart(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        for n, dimension in enumerate([",0,0", ",0,1", ""]):
            await store.set_state(output(x=n), None, "job", ["a1"], {"a1": dimension})
        assert [(await read(store, dids={"a1": each}))["x"] for each in [",0,0", ",0,1", ""]] == [0, 1, 2]

    async def test_status_is_set_or_kept(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP, 5)
        await store.set_state(output(x=1), None, "job", ["a1"], DIDS)
        assert await store.get_status("job", APP) == 5
        await store.set_state(output(x=2), 2, "job", ["a1"], DIDS)
        await store.set_state({}, 7, "job", [], {})
        assert (await store.get_status("job", APP), await read(store)) == (7, {"x": 2})

    async def test_a_value_that_is_not_json(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        for value in (float("nan"), object()):
            with pytest.raises(InvalidArgument):
                await store.set_state(output(x=value), None, "job", ["a1"], DIDS)
        assert await store.get_raw("job") == {":": "1"}

    async def test_a_missing_job(self, store: StoreService) -> None:
        await define_symbols(store)
        with pytest.raises(NotFound):
            await store.set_state(output(x=1), 1, "job", ["a1"], DIDS)
        with pytest.raises(NotFound):
            await store.get_state("job", {"a1": PATHS}, DIDS)
        with pytest.raises(NotFound):
            await store.get_raw("job")
        with pytest.raises(NotFound):
            await store.set_query_state("job", {"x": "1"})
        assert await store.get_query_state("job", ["x", '":"']) == {"x": None, '":"': None}

    async def test_user_fields(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_state_nx("job", APP, 2)
        await store.set_query_state("job", {"color": "red", '"-sleep-1-"': "marker"})
        await peer_store.set_query_state("job", {"color": "blue", "": "empty name"})
        asked = ["color", "size", '":"', '"_color"', '"-sleep-1-"', ""]
        expected = {"color": "blue", "size": None, '":"': "2", '"_color"': "blue", '"-sleep-1-"': "marker"}
        assert await store.get_query_state("job", asked) == {**expected, "": "empty name"}

    async def test_the_status_is_no_user_field(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        with pytest.raises(InvalidArgument):
            await store.set_query_state("job", {'":"': "9"})
        assert await store.get_status("job", APP) == 1

    async def test_raw_fields_are_undecoded(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        await store.set_state(output(x=1.5, y="plain"), None, "job", ["a1"], DIDS)
        assert await store.get_raw("job") == {
            ":": "1",
            f"{symbol_key(26)},0,0": "/d1.5",
            f"{symbol_key(27)},0,0": "plain",
        }


@pytest.mark.asyncio
class TestCollation:
    """collate, collate_synthetic."""

    async def test_the_ledger_is_exact(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        assert await store.collate("job", "a1", 999_000_000_000_000, DIDS) == 999_000_000_000_000
        assert await store.collate("job", "a1", -1, DIDS) == 998_999_999_999_999
        assert await store.collate("job", "a1", 2**62, DIDS) == 2**62 + 998_999_999_999_999

    async def test_dimensions_have_their_own_ledger(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        assert await store.collate("job", "a1", 5, {"a1": ",0,0"}) == 5
        assert await store.collate("job", "a1", 7, {"a1": ",0,1"}) == 7
        assert await store.collate("job", "a1", 1, {}) == 1

    async def test_concurrent_sums(self, store: StoreService, peer_store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        sums = await asyncio.gather(*(each.collate("job", "a1", 1, DIDS) for each in (store, peer_store) * 15))
        assert sorted(sums) == list(range(1, 31))

    async def test_what_is_missing(self, store: StoreService) -> None:
        with pytest.raises(NotFound):
            await store.collate("job", "unknown", 1, DIDS)
        await define_symbols(store)
        with pytest.raises(NotFound):
            await store.collate("job", "a1", 1, DIDS)

    async def test_the_first_of_racing_messages(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        calls = [each.collate_synthetic("job", "guid", 1) for each in (store, peer_store) * 15]
        assert sorted(await asyncio.gather(*calls)) == list(range(1, 31))
        assert await store.collate_synthetic("job", "other", -4) == -4

    async def test_a_guid_is_never_a_field(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP, 5)
        await store.set_query_state("job", {"x": "1"})
        for guid in (":", "_x"):
            assert await store.collate_synthetic("job", guid, 1) == 1
        assert await store.get_status("job", APP) == 5
        assert await store.get_query_state("job", ["x"]) == {"x": "1"}

    async def test_collation_in_a_transaction(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        transaction = store.transaction()
        assert await store.collate("job", "a1", 3, DIDS, transaction) == 0
        assert await store.collate_synthetic("job", "guid", 1, transaction) == 0
        assert await store.collate_synthetic("job", "guid", 1, transaction) == 0
        assert await transaction.exec() == [3, 1, 2]
