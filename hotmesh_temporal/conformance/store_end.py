"""How jobs end: expiry, interruption, deletion, and who ends with them."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.backend import Backend
from ..contracts.commit import Commit, CurrentRunWrite, EventBatch, RunWrite
from ..contracts.errors import AlreadyDone, NotFound
from ..contracts.fields import decode_value
from ..contracts.search import SearchDocument
from ..contracts.store import StoreService
from ..contracts.symbols import seed_symbols
from ..contracts.types import InterruptOptions
from .store_state import APP, DIDS, define_symbols, output, read
from .support import outcome, search_of, store_of


async def fill(store: StoreService) -> None:
    """A run that has everything that a job can have."""
    await define_symbols(store)
    run = RunWrite(
        job_id="job", expected_revision=0, status=1, state=b"s", origin=b"o", batches=(EventBatch(1, 3, b"events"),)
    )
    pointer = CurrentRunWrite("pointer", None, "job")
    document = SearchDocument("job", "default", {"WorkflowId": "w"})
    await store.commit(Commit(runs=(run,), current_runs=(pointer,), search=(document,)))
    await store.set_state(output(x=1), None, "job", ["a1"], DIDS)
    await store.set_query_state("job", {"q": "1"})
    await store.collate("job", "a1", 5, DIDS)
    await store.collate_synthetic("job", "guid", 1)
    await store.add_dependency("job", "child")


async def assert_gone(store: StoreService) -> None:
    """No method sees anything of the job."""
    for call in (store.get_status("job", APP), store.get_raw("job"), store.set_status(1, "job", APP)):
        with pytest.raises(NotFound):
            await call
    assert await store.get_query_state("job", ["q"]) == {"q": None}
    assert await store.find_jobs() == ("0", [])
    assert await store.find_job_fields("job") == ("0", {})
    assert await store.get_dependencies("job") == []
    assert await store.get_events("job") == []
    assert await store.load_run("job") is None
    assert await store.load_current_run("pointer") is None
    assert await store.list_runs() == []


async def assert_fresh(store: StoreService) -> None:
    """The id can be used again, and nothing of the old job is left."""
    assert await store.set_state_nx("job", APP, 8) is True
    assert await store.get_raw("job") == {":": "8"}
    assert await read(store) == {}
    assert await store.collate("job", "a1", 1, DIDS) == 1
    assert await store.collate_synthetic("job", "guid", 1) == 1
    assert await store.get_dependencies("job") == []
    assert await store.get_events("job") == []
    run = RunWrite(job_id="next", expected_revision=0, status=1, state=b"s", origin=b"o")
    await store.commit(Commit(runs=(run,), current_runs=(CurrentRunWrite("pointer", None, "next"),)))


@pytest.mark.asyncio
class TestExpiry:
    """expire_job."""

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    async def test_no_time_is_no_expiry(self, store: StoreService, seconds: float) -> None:
        await store.set_state_nx("job", APP)
        await store.expire_job("job", seconds)
        await asyncio.sleep(0.02)
        assert await store.get_status("job", APP) == 1

    async def test_an_expired_job_is_gone_at_once(self, store: StoreService, peer_store: StoreService) -> None:
        await fill(store)
        await store.expire_job("job", 0.5)
        assert await store.get_status("job", APP) == 1
        await store.set_state(output(x=2), None, "job", ["a1"], DIDS)
        await store.set_status(1, "job", APP)
        assert await read(store) == {"x": 2}
        await asyncio.sleep(0.6)
        await assert_gone(store)
        await assert_gone(peer_store)

    async def test_its_id_is_free_with_nothing_left(self, store: StoreService, peer_store: StoreService) -> None:
        await fill(store)
        await store.expire_job("job", 0.05)
        await asyncio.sleep(0.1)
        await assert_fresh(peer_store)

    async def test_an_expired_run_can_be_made_again(self, store: StoreService) -> None:
        await fill(store)
        await store.expire_job("job", 0.05)
        await asyncio.sleep(0.1)
        batch = EventBatch(1, 2, b"new")
        run = RunWrite(job_id="job", expected_revision=0, status=1, state=b"s2", origin=b"o2", batches=(batch,))
        await store.commit(Commit(runs=(run,), current_runs=(CurrentRunWrite("pointer", None, "job"),)))
        assert await store.get_events("job") == [batch]
        assert await store.get_raw("job") == {":": "1"}
        found = await store.load_current_run("pointer")
        assert found is not None
        assert (found.revision, found.origin) == (1, b"o2")
        assert await store.collate_synthetic("job", "guid", 1) == 1

    async def test_a_later_time_replaces_an_earlier(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        await store.expire_job("job", 0.1)
        await store.expire_job("job", 60)
        await store.expire_job("missing", 60)
        await asyncio.sleep(0.2)
        assert await store.get_status("job", APP) == 1

    async def test_expiry_in_a_transaction(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        transaction = store.transaction()
        await store.expire_job("job", 0.05, transaction)
        await asyncio.sleep(0.1)
        assert await store.get_status("job", APP) == 1
        assert len(await transaction.exec()) == 1
        await asyncio.sleep(0.1)
        assert await store.find_jobs() == ("0", [])


@pytest.mark.asyncio
class TestScrub:
    """scrub."""

    async def test_everything_goes(self, backend: Backend, peer_store: StoreService) -> None:
        store, search = store_of(backend), search_of(backend)
        await fill(store)
        await store.register_timer("job", 1)
        await store.register_time_hook("job", "g", "a1", "sleep", 1, ",0,0")
        await store.scrub("job")
        await assert_gone(store)
        assert await search.get("job") is None
        assert (await store.claim_due_timers(10, 10, 1000)).timers == ()
        assert await store.get_next_task() is False
        await assert_fresh(peer_store)

    async def test_again_and_never_made(self, store: StoreService) -> None:
        await store.set_state_nx("other", APP)
        await store.scrub("job")
        await store.scrub("job")
        assert await store.get_status("other", APP) == 1


@pytest.mark.asyncio
class TestInterrupt:
    """interrupt."""

    async def test_status_and_error(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP, 2)
        await store.interrupt("order", "job", InterruptOptions(reason="enough", code=499, stack="at x"))
        assert await store.get_status("job", APP) == 2 - 1_000_000_000
        error = decode_value((await store.get_raw("job"))["metadata/err"])
        assert error == {"code": 499, "message": "enough", "stack": "at x", "job_id": "job"}

    async def test_the_error_takes_its_symbol(self, store: StoreService) -> None:
        await define_symbols(store)
        await store.set_state_nx("job", APP)
        await store.interrupt("order", "job")
        state, _ = await store.get_state("job", {"$order": ["metadata/err"]}, {})
        assert state["metadata"]["err"]["code"] == 410
        assert set(await store.get_raw("job")) == {":", seed_symbols("JOB", 60)["metadata/err"]}

    async def test_no_error_is_left_without_throw(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        await store.interrupt("order", "job", InterruptOptions(throw=False))
        assert await store.get_raw("job") == {":": str(1 - 1_000_000_000)}

    async def test_one_of_racers_succeeds(self, store: StoreService, peer_store: StoreService) -> None:
        await store.set_state_nx("job", APP, 3)
        results = await asyncio.gather(*(outcome(each.interrupt("order", "job")) for each in (store, peer_store) * 10))
        assert sum(result is None for result in results) == 1
        assert sum(isinstance(result, AlreadyDone) for result in results) == 19
        assert await store.get_status("job", APP) == 3 - 1_000_000_000

    @pytest.mark.parametrize("status", [0, -3])
    async def test_a_completed_job_is_not_changed(self, store: StoreService, status: int) -> None:
        await store.set_state_nx("job", APP, status)
        with pytest.raises(AlreadyDone):
            await store.interrupt("order", "job")
        assert await store.get_raw("job") == {":": str(status)}

    async def test_failures_and_their_suppression(self, store: StoreService) -> None:
        with pytest.raises(NotFound):
            await store.interrupt("order", "job")
        await store.interrupt("order", "job", InterruptOptions(suppress=True))
        await store.set_state_nx("job", APP, 0)
        await store.interrupt("order", "job", InterruptOptions(suppress=True))
        assert await store.get_raw("job") == {":": "0"}


@pytest.mark.asyncio
class TestDependencies:
    """add_dependency, get_dependencies."""

    async def test_in_order_and_once(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.get_dependencies("job") == []
        for child in ("c2", "c1", "c2", "c:3"):
            await store.add_dependency("job", child)
        assert await peer_store.get_dependencies("job") == ["c2", "c1", "c:3"]
        assert await store.get_dependencies("other") == []

    async def test_in_a_transaction(self, store: StoreService) -> None:
        failing, transaction = store.transaction(), store.transaction()
        await store.add_dependency("job", "child", failing)
        await store.set_status(1, "missing", APP, failing)
        with pytest.raises(NotFound):
            await failing.exec()
        assert await store.get_dependencies("job") == []
        await store.add_dependency("job", "child", transaction)
        await transaction.exec()
        assert await store.get_dependencies("job") == ["child"]
