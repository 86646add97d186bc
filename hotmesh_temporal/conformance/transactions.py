"""Transactions of the store, with commands of every service of the backend."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.backend import Backend
from ..contracts.commit import Commit, RunWrite
from ..contracts.errors import AlreadyDone, CrossProviderTransaction, NotFound, RevisionConflict
from ..contracts.search import SearchDocument
from ..contracts.store import StoreService
from .support import GROUP, ForeignTransaction, outcome, search_of, store_of, stream_name, stream_of

APP = "app"


async def make_run(store: StoreService, job_id: str = "run") -> None:
    """A run at revision 1."""
    await store.commit(Commit(runs=(RunWrite(job_id=job_id, expected_revision=0, status=1, state=b"s", origin=b"o"),)))


@pytest.mark.asyncio
class TestTransactions:
    """transaction, exec."""

    async def test_results_are_in_order(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP, 1)
        transaction = store.transaction()
        assert await store.set_status(4, "job", APP, transaction) == 0
        assert await store.set_state({}, None, "job", [], {}, transaction) == ""
        assert await store.set_status(-2, "job", APP, transaction) == 0
        await store.set_query_state("job", {"x": "1"}, transaction)
        assert await store.get_status("job", APP) == 1
        results = await transaction.exec()
        assert (results[0], results[1], results[2], len(results)) == (5, "job", 3, 4)
        assert await store.get_raw("job") == {":": "3", "_x": "1"}

    async def test_an_empty_one(self, store: StoreService) -> None:
        assert await store.transaction().exec() == []

    async def test_it_can_be_executed_once(self, store: StoreService) -> None:
        await store.set_state_nx("job", APP)
        transaction = store.transaction()
        await store.set_status(1, "job", APP, transaction)
        await transaction.exec()
        with pytest.raises(AlreadyDone):
            await transaction.exec()
        with pytest.raises(AlreadyDone):
            await store.set_status(1, "job", APP, transaction)
        assert await store.get_status("job", APP) == 2

    async def test_a_failure_leaves_nothing(self, backend: Backend) -> None:
        store, stream, search = store_of(backend), stream_of(backend), search_of(backend)
        orders = stream_name(stream)
        await store.set_state_nx("job", APP)
        (acked,) = await stream.publish_messages(orders, ["kept"])
        transaction = store.transaction()
        await store.set_status(5, "job", APP, transaction)
        await stream.publish_messages(orders, ["lost"], transaction=transaction)
        await stream.ack_and_delete(orders, GROUP, [acked], transaction=transaction)
        await search.upsert([SearchDocument("doc", "default")], transaction)
        await store.register_timer("timer", 1, "", transaction)
        await store.collate_synthetic("job", "guid", 1, transaction)
        await store.outbox_add(orders, ["lost"], transaction)
        await store.set_status(1, "missing", APP, transaction)
        with pytest.raises(NotFound):
            await transaction.exec()
        assert await store.get_status("job", APP) == 1
        assert [message.data for message in await stream.consume_messages(orders, GROUP, "c", batch_size=9)] == ["kept"]
        assert await search.get("doc") is None
        assert (await store.claim_due_timers(10, 10, 10)).timers == ()
        assert await store.collate_synthetic("job", "guid", 1) == 1
        assert await store.outbox_claim("me", 10, 1000, 1) == []

    async def test_all_services_join_one(self, backend: Backend, peer: Backend) -> None:
        store, stream, search = store_of(backend), stream_of(backend), search_of(backend)
        orders = stream_name(stream)
        await store.set_state_nx("job", APP)
        (taken,) = await stream.publish_messages(orders, ["old"])
        transaction = store.transaction()
        await store.set_status(1, "job", APP, transaction)
        assert await stream.publish_messages(orders, ["a", "b"], transaction=transaction) == []
        assert await stream.ack_and_delete(orders, GROUP, [taken], transaction=transaction) == 0
        await search.upsert([SearchDocument("doc", "default")], transaction)
        assert await search.delete(["unknown"], transaction) == 0
        assert await stream_of(peer).get_stream_depth(orders) == 1
        assert await search_of(peer).get("doc") is None
        results = await transaction.exec()
        assert (results[0], len(results[1]), results[2], results[4]) == (2, 2, 1, 0)
        messages = await stream_of(peer).consume_messages(orders, GROUP, "c", batch_size=9)
        assert [message.message_id for message in messages] == results[1]
        assert await search_of(peer).get("doc") == SearchDocument("doc", "default")

    async def test_the_streams_own_transaction_is_of_the_same_database(self, backend: Backend) -> None:
        store, stream = store_of(backend), stream_of(backend)
        if not stream.get_provider_specific_features().supports_transactions:
            pytest.skip("supports_transactions is False")
        await store.set_state_nx("job", APP)
        transaction = stream.transaction()
        await stream.publish_messages(stream_name(stream), ["a"], transaction=transaction)
        await store.set_status(1, "job", APP, transaction)
        assert (await transaction.exec())[1] == 2

    async def test_a_foreign_one_is_refused(self, backend: Backend) -> None:
        store, stream, search = store_of(backend), stream_of(backend), search_of(backend)
        await store.set_state_nx("job", APP)
        foreign = ForeignTransaction()
        for call in (
            store.set_status(1, "job", APP, foreign),
            store.register_timer("t", 1, "", foreign),
            stream.publish_messages(stream_name(stream), ["a"], transaction=foreign),
            stream.ack_and_delete(stream_name(stream), GROUP, ["1"], transaction=foreign),
            search.upsert([SearchDocument("doc", "default")], foreign),
        ):
            with pytest.raises(CrossProviderTransaction):
                await call
        assert await store.get_status("job", APP) == 1

    async def test_racing_transactions_are_each_whole(self, store: StoreService, peer_store: StoreService) -> None:
        for job_id in ("a", "b"):
            await store.set_state_nx(job_id, APP, 0)

        async def move(each: StoreService, job_ids: tuple[str, str]) -> None:
            transaction = each.transaction()
            await each.set_status(1, job_ids[0], APP, transaction)
            await each.set_status(-1, job_ids[1], APP, transaction)
            await transaction.exec()

        pairs = (("a", "b"), ("b", "a"))
        await asyncio.gather(*(move((store, peer_store)[n % 2], pairs[n // 2 % 2]) for n in range(40)))
        assert [await store.get_status(job_id, APP) for job_id in ("a", "b")] == [0, 0]


@pytest.mark.asyncio
class TestGuard:
    """guard."""

    async def test_the_expected_revision(self, store: StoreService) -> None:
        await make_run(store)
        transaction = store.transaction()
        await store.guard("run", 1, transaction)
        await store.set_status(1, "run", APP, transaction)
        await store.guard("absent", 0, transaction)
        assert (await transaction.exec())[1] == 2
        run = await store.load_run("run")
        assert run is not None
        assert run.revision == 1

    @pytest.mark.parametrize(("job_id", "revision"), [("run", 0), ("run", 2), ("absent", 1)])
    async def test_any_other_revision(self, store: StoreService, job_id: str, revision: int) -> None:
        await make_run(store)
        transaction = store.transaction()
        await store.set_status(1, "run", APP, transaction)
        await store.guard(job_id, revision, transaction)
        with pytest.raises(RevisionConflict) as caught:
            await transaction.exec()
        assert caught.value.job_id == job_id
        assert await store.get_status("run", APP) == 1

    async def test_a_guard_holds_until_the_end(self, store: StoreService, peer_store: StoreService) -> None:
        await make_run(store)

        async def guarded(each: StoreService) -> object:
            transaction = each.transaction()
            await each.guard("run", 1, transaction)
            await each.collate_synthetic("run", "guid", 1, transaction)
            return await transaction.exec()

        async def move_on(each: StoreService) -> object:
            write = RunWrite(job_id="run", expected_revision=1, status=1, state=b"t")
            return await each.commit(Commit(runs=(write,)))

        calls = [guarded(store), guarded(peer_store), move_on(peer_store), guarded(store), guarded(peer_store)]
        results = await asyncio.gather(*(outcome(call) for call in calls))
        applied = sum(isinstance(result, list) for result in results)
        assert all(isinstance(result, (list, RevisionConflict)) or result is results[2] for result in results)
        assert not isinstance(results[2], Exception)
        assert await store.collate_synthetic("run", "guid", 1) == applied + 1
