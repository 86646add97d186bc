"""The engine's unit of work: commits, runs and current-run pointers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ..contracts.backend import Backend
from ..contracts.commit import (
    Ack,
    Commit,
    CommitResult,
    CurrentRunWrite,
    EventBatch,
    Mark,
    MessageLease,
    Publish,
    RunRecord,
    RunWrite,
    TimerWrite,
)
from ..contracts.errors import CurrentRunConflict, DuplicateMark, MessageTooLarge, NotFound, RevisionConflict
from ..contracts.search import SearchDocument
from ..contracts.store import StoreService
from .support import GROUP, eventually, now_ms, outcome, search_of, store_of, stream_name, stream_of

APP = "app"


def create(job_id: str = "run", *batches: EventBatch, status: int = 1) -> RunWrite:
    """A write that creates a run."""
    return RunWrite(
        job_id=job_id, expected_revision=0, status=status, state=b"state-1", origin=b"origin", batches=batches
    )


def update(revision: int, job_id: str = "run", *batches: EventBatch) -> RunWrite:
    """A write of a run that is at ``revision``."""
    state = b"state-%d" % (revision + 1)
    return RunWrite(job_id=job_id, expected_revision=revision, status=1, state=state, batches=batches)


async def revision_of(store: StoreService, job_id: str) -> int:
    """The revision of a run, 0 if there is none."""
    run = await store.load_run(job_id)
    return 0 if run is None else run.revision


@pytest.mark.asyncio
class TestRuns:
    """commit of runs, load_run, list_runs."""

    async def test_create_and_update(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.commit(Commit(runs=(create(),))) == CommitResult()
        assert await peer_store.load_run("run") == RunRecord("run", 1, 1, b"state-1", b"origin")
        await peer_store.commit(Commit(runs=(replace(update(1), status=0),)))
        assert await store.load_run("run") == RunRecord("run", 2, 0, b"state-2", b"origin")
        assert await store.get_status("run", APP) == 0

    async def test_what_the_caller_knows_is_left_out(self, store: StoreService) -> None:
        await store.commit(Commit(runs=(create(),)))
        assert await store.load_run("run", 1) == RunRecord("run", 1, 1, b"", b"")
        await store.commit(Commit(runs=(update(1),)))
        assert await store.load_run("run", 1) == RunRecord("run", 2, 1, b"state-2", b"origin")
        assert await store.load_run("absent", 1) is None

    async def test_bytes_of_any_kind_and_size(self, store: StoreService) -> None:
        state, origin = bytes(range(256)) * 8192, b"\x00\xff"
        batch = EventBatch(1, 2, bytes(reversed(range(256))))
        run = replace(create("run", batch), state=state, origin=origin)
        await store.commit(Commit(runs=(run,)))
        assert await store.load_run("run") == RunRecord("run", 1, 1, state, origin)
        assert await store.get_events("run") == [batch]

    @pytest.mark.parametrize("write", [create(), update(2), update(1, "absent")], ids=["create", "ahead", "absent"])
    async def test_another_revision(self, store: StoreService, write: RunWrite) -> None:
        await store.commit(Commit(runs=(create(),)))
        with pytest.raises(RevisionConflict) as caught:
            await store.commit(Commit(runs=(write,)))
        assert caught.value.job_id == write.job_id
        assert await store.load_run("run") == RunRecord("run", 1, 1, b"state-1", b"origin")
        assert await store.load_run("absent") is None

    async def test_a_stale_revision(self, store: StoreService, peer_store: StoreService) -> None:
        await store.commit(Commit(runs=(create(),)))
        for revision in (1, 2):
            await peer_store.commit(Commit(runs=(update(revision),)))
            for stale in range(revision + 1):
                with pytest.raises(RevisionConflict):
                    await store.commit(Commit(runs=(update(stale),)))
        assert await store.load_run("run") == RunRecord("run", 3, 1, b"state-3", b"origin")

    async def test_a_job_id_is_taken(self, store: StoreService) -> None:
        await store.set_state_nx("run", APP)
        with pytest.raises(RevisionConflict):
            await store.commit(Commit(runs=(create(),)))

    async def test_one_of_racing_commits_wins(self, store: StoreService, peer_store: StoreService) -> None:
        await store.commit(Commit(runs=(create("run", EventBatch(1, 2, b"1")),)))
        for revision in range(1, 6):
            batch = EventBatch(revision + 1, revision + 2, b"%d" % revision)
            commit = Commit(runs=(update(revision, "run", batch),))
            results = await asyncio.gather(*(outcome(each.commit(commit)) for each in (store, peer_store) * 10))
            assert sum(isinstance(result, CommitResult) for result in results) == 1
            assert sum(isinstance(result, RevisionConflict) for result in results) == 19
            assert await revision_of(store, "run") == revision + 1
        assert [batch.first_event_id for batch in await store.get_events("run")] == [1, 2, 3, 4, 5, 6]

    async def test_commits_of_two_runs_never_lock_up(self, store: StoreService, peer_store: StoreService) -> None:
        await store.commit(Commit(runs=(create("a"), create("b"))))

        async def advance(each: StoreService, job_ids: tuple[str, str]) -> int:
            won = 0
            while won < 5:
                runs = [update(await revision_of(each, job_id), job_id) for job_id in job_ids]
                result = await outcome(each.commit(Commit(runs=tuple(runs))))
                assert isinstance(result, (CommitResult, RevisionConflict))
                won += isinstance(result, CommitResult)
            return won

        pairs = (("a", "b"), ("b", "a"))
        won = await asyncio.gather(*(advance((store, peer_store)[n % 2], pairs[n // 2]) for n in range(4)))
        assert [await revision_of(store, job_id) for job_id in "ab"] == [1 + sum(won)] * 2

    async def test_listing(self, store: StoreService) -> None:
        ids = ["B", "_x", "a", "a/1", "a1", "b", "ä", "🙂"]
        await store.commit(Commit(runs=tuple(create(job_id, status=n % 2) for n, job_id in enumerate(ids))))
        assert [run.job_id for run in await store.list_runs()] == sorted(ids)
        assert [run.job_id for run in await store.list_runs(after="a", limit=3)] == ["a/1", "a1", "b"]
        assert [run.job_id for run in await store.list_runs(status=1)] == sorted(ids[1::2])
        assert (await store.list_runs("ä"))[0] == RunRecord("🙂", 1, 1, b"state-1", b"origin")
        assert await store.list_runs("🙂") == []


@pytest.mark.asyncio
class TestCurrentRun:
    """commit of current-run pointers, load_current_run."""

    async def test_it_names_a_run(self, store: StoreService, peer_store: StoreService) -> None:
        assert await store.load_current_run("ns/w") is None
        await store.commit(Commit(runs=(create("r1"),), current_runs=(CurrentRunWrite("ns/w", None, "r1"),)))
        first = RunRecord("r1", 1, 1, b"state-1", b"origin")
        assert await peer_store.load_current_run("ns/w") == first
        assert await store.load_current_run("ns/w", ("r1", 1)) == replace(first, state=b"", origin=b"")
        await store.commit(Commit(runs=(create("r2"),), current_runs=(CurrentRunWrite("ns/w", "r1", "r2"),)))
        assert await peer_store.load_current_run("ns/w", ("r1", 1)) == replace(first, job_id="r2")

    @pytest.mark.parametrize("expected", [None, "r9"])
    async def test_another_run_is_current(self, store: StoreService, expected: str | None) -> None:
        await store.commit(Commit(runs=(create("r1"),), current_runs=(CurrentRunWrite("ns/w", None, "r1"),)))
        with pytest.raises(CurrentRunConflict) as caught:
            await store.commit(Commit(runs=(create("r2"),), current_runs=(CurrentRunWrite("ns/w", expected, "r2"),)))
        assert (caught.value.pointer_id, caught.value.current) == ("ns/w", "r1")
        assert await store.load_run("r2") is None

    async def test_none_is_current(self, store: StoreService) -> None:
        with pytest.raises(CurrentRunConflict) as caught:
            await store.commit(Commit(runs=(create("r2"),), current_runs=(CurrentRunWrite("ns/w", "r1", "r2"),)))
        assert caught.value.current is None
        assert await store.load_run("r2") is None

    async def test_one_of_racing_starts_wins(self, store: StoreService, peer_store: StoreService) -> None:
        stores = (store, peer_store)
        commits = [
            Commit(runs=(create(f"r{n}"),), current_runs=(CurrentRunWrite("ns/w", None, f"r{n}"),)) for n in range(20)
        ]
        results = await asyncio.gather(*(outcome(stores[n % 2].commit(each)) for n, each in enumerate(commits)))
        assert sum(isinstance(result, CommitResult) for result in results) == 1
        winner = next(n for n, result in enumerate(results) if isinstance(result, CommitResult))
        losers = [result for result in results if isinstance(result, CurrentRunConflict)]
        assert {loser.current for loser in losers} == {f"r{winner}"}
        assert len(losers) == 19
        assert [run.job_id for run in await store.list_runs()] == [f"r{winner}"]


@pytest.mark.asyncio
class TestMarks:
    """commit of dedup marks."""

    async def test_a_request_is_applied_once(self, store: StoreService, peer_store: StoreService) -> None:
        await store.commit(Commit(runs=(create(),)))
        commit = Commit(runs=(update(1),), marks=(Mark("run", "request"),))
        await store.commit(commit)
        with pytest.raises(DuplicateMark) as caught:
            await peer_store.commit(Commit(runs=(update(2),), marks=(Mark("run", "new"), Mark("run", "request"))))
        assert (caught.value.job_id, caught.value.guid) == ("run", "request")
        assert await revision_of(store, "run") == 2
        await peer_store.commit(Commit(runs=(update(2),), marks=(Mark("run", "new"), Mark("other", "request"))))

    async def test_it_is_the_ledger_of_collate_synthetic(self, store: StoreService) -> None:
        await store.commit(Commit(runs=(create(),), marks=(Mark("run", "m"),)))
        assert await store.collate_synthetic("run", "m", 1) == 2
        assert await store.collate_synthetic("run", "n", 1) == 1
        with pytest.raises(DuplicateMark):
            await store.commit(Commit(marks=(Mark("run", "n"),)))

    async def test_asking_sets_nothing(self, store: StoreService, peer_store: StoreService) -> None:
        mark = Mark("run", "request")
        assert await store.has_mark(mark) is False
        assert await store.has_mark(mark) is False
        await store.commit(Commit(runs=(create(),), marks=(mark,)))
        assert await peer_store.has_mark(mark) is True
        assert await peer_store.has_mark(Mark("run", "other")) is False
        assert await peer_store.has_mark(Mark("other", "request")) is False
        await store.expire_job("run", 0.05)

        async def gone() -> bool:
            return not await peer_store.has_mark(mark)

        await eventually(gone)
        await store.commit(Commit(marks=(mark,)))

    async def test_one_of_racing_requests(self, store: StoreService, peer_store: StoreService) -> None:
        commit = Commit(marks=(Mark("run", "request"),), outbox=(Publish(stream="s", message="m"),))
        results = await asyncio.gather(*(outcome(each.commit(commit)) for each in (store, peer_store) * 10))
        assert sum(isinstance(result, CommitResult) for result in results) == 1
        assert sum(isinstance(result, DuplicateMark) for result in results) == 19
        assert len(await store.outbox_claim("me", 100, 1000, now_ms())) == 1


def everything(orders: str, taken: Ack, *, run: RunWrite, expected: str | None, guid: str) -> Commit:
    """A commit that changes a bit of everything."""
    return Commit(
        runs=(create("side"), run),
        current_runs=(CurrentRunWrite("ns/w", expected, "side"),),
        marks=(Mark("run", guid),),
        publishes=(Publish(stream=orders, message="new"),),
        outbox=(Publish(stream=orders, message="out"),),
        acks=(taken,),
        timers=(TimerWrite("new", 5),),
        cancel_timers=("old",),
        search=(SearchDocument("doc", "default"),),
    )


@pytest.mark.asyncio
class TestWholeCommit:
    """All or nothing, over every part."""

    looks = 0  # each look at the state is a second later, so that what the one before claimed is free again

    async def setup_run(self, backend: Backend) -> tuple[str, Ack]:
        """A run, a pointer, a mark, an armed timer and a consumed message."""
        store, stream = store_of(backend), stream_of(backend)
        orders = stream_name(stream)
        batch = EventBatch(1, 4, b"events")
        pointer = CurrentRunWrite("ns/w", None, "run")
        await store.commit(
            Commit(
                runs=(create("run", batch),),
                current_runs=(pointer,),
                marks=(Mark("run", "used"),),
                timers=(TimerWrite("old", 5, "payload"),),
                publishes=(Publish(stream=orders, message="old"),),
            )
        )
        (message,) = await stream.consume_messages(orders, GROUP, "c")
        return orders, Ack(orders, GROUP, message.message_id, "c", message.attempt)

    async def state(self, backend: Backend, orders: str) -> list[object]:
        """What the commit would change."""
        store, search = store_of(backend), search_of(backend)
        now = now_ms() + self.looks * 1000
        self.looks += 1
        due = await store.claim_due_timers(now, 10, 1)
        current = await store.load_current_run("ns/w")
        return [
            await revision_of(store, "run"),
            await revision_of(store, "side"),
            current and current.job_id,
            len(await store.get_events("run")),
            await stream_of(backend).get_stream_depth(orders),
            len(await store.outbox_claim("me", 10, 1, now)),
            [timer.timer_id for timer in due.timers],
            await search.get("doc") is not None,
        ]

    @pytest.mark.parametrize(
        ("run", "expected", "guid", "error"),
        [
            (update(7), "wrong", "used", RevisionConflict),
            (update(1, "run", EventBatch(3, 5, b"x")), "run", "new", RevisionConflict),
            (update(1, "run", EventBatch(5, 6, b"x")), "run", "new", RevisionConflict),
            (update(1), "wrong", "used", CurrentRunConflict),
            (update(1), "run", "used", DuplicateMark),
        ],
        ids=["revision", "overlap", "gap", "pointer", "mark"],
    )
    async def test_a_conflict_changes_nothing(
        self, backend: Backend, run: RunWrite, expected: str | None, guid: str, error: type[Exception]
    ) -> None:
        orders, ack = await self.setup_run(backend)
        before = await self.state(backend, orders)
        assert before == [1, 0, "run", 1, 1, 0, ["old"], False]
        with pytest.raises(error):
            await store_of(backend).commit(everything(orders, ack, run=run, expected=expected, guid=guid))
        assert await self.state(backend, orders) == before
        if guid == "new":
            assert await store_of(backend).collate_synthetic("run", "new", 1) == 1

    async def test_without_conflict_all_is_applied(self, backend: Backend, peer: Backend) -> None:
        orders, ack = await self.setup_run(backend)
        run = update(1, "run", EventBatch(4, 6, b"x"), EventBatch(6, 7, b"y"))
        result = await store_of(backend).commit(everything(orders, ack, run=run, expected="run", guid="new"))
        assert (len(result.message_ids), len(result.outbox_ids)) == (1, 1)
        assert await self.state(peer, orders) == [2, 1, "side", 3, 1, 1, ["new"], True]
        (message,) = await stream_of(peer).consume_messages(orders, GROUP, "c", batch_size=9)
        assert (message.message_id, message.data) == (result.message_ids[0], "new")

    async def test_nothing_at_all(self, store: StoreService) -> None:
        assert await store.commit(Commit()) == CommitResult()


async def consume_all(backend: Backend, stream: str) -> Sequence[str]:
    """The data of every ready message."""
    return [each.data for each in await stream_of(backend).consume_messages(stream, GROUP, "c", batch_size=1000)]


@pytest.mark.asyncio
class TestCommitMessages:
    """Messages, acks and timers in a commit."""

    async def test_ids_are_in_order(self, backend: Backend) -> None:
        stream = stream_of(backend)
        streams = [stream_name(stream, topic) for topic in ("a", "b")]
        publishes = tuple(Publish(stream=streams[n % 2], message=str(n)) for n in range(100))
        result = await store_of(backend).commit(Commit(publishes=publishes, outbox=publishes[:5]))
        assert len(set(result.message_ids)) == 100
        for n, name in enumerate(streams):
            messages = await stream.consume_messages(name, GROUP, "c", batch_size=100)
            assert [each.message_id for each in messages] == list(result.message_ids[n::2])
            assert [each.data for each in messages] == [str(m) for m in range(n, 100, 2)]
        entries = await store_of(backend).outbox_claim("me", 10, 1000, now_ms())
        assert [entry.outbox_id for entry in entries] == list(result.outbox_ids)

    async def test_priority_delay_and_lease(self, backend: Backend) -> None:
        stream = stream_of(backend)
        orders = stream_name(stream)
        at = now_ms() + 400
        publishes = (
            Publish(stream=orders, message="low"),
            Publish(stream=orders, message="high", priority=9),
            Publish(stream=orders, message="later", visible_at_ms=at),
            Publish(stream=orders, message="leased", lease=MessageLease(GROUP, "mine", 200)),
        )
        result = await store_of(backend).commit(Commit(publishes=publishes))
        assert await consume_all(backend, orders) == ["high", "low"]
        await asyncio.sleep(0.25)
        (lapsed,) = await stream.consume_messages(orders, GROUP, "other")
        assert (lapsed.message_id, lapsed.data, lapsed.attempt) == (result.message_ids[3], "leased", 2)
        await asyncio.sleep(max(0, at - now_ms()) / 1000 + 0.05)
        assert await consume_all(backend, orders) == ["later"]

    async def test_a_leased_message_can_be_acked(self, backend: Backend) -> None:
        stream, store = stream_of(backend), store_of(backend)
        orders = stream_name(stream)
        lease = MessageLease(GROUP, "mine", 30_000)
        result = await store.commit(Commit(publishes=(Publish(stream=orders, message="m", lease=lease),)))
        await store.commit(Commit(acks=(Ack(orders, GROUP, result.message_ids[0], "mine", 1),)))
        assert await stream.get_stream_depth(orders) == 0

    async def test_a_lost_lease_is_no_error(self, backend: Backend) -> None:
        stream, store = stream_of(backend), store_of(backend)
        orders = stream_name(stream)
        await stream.publish_messages(orders, ["m"])
        (lost,) = await stream.consume_messages(orders, GROUP, "slow", lease_ms=50)
        await asyncio.sleep(0.1)
        (held,) = await stream.consume_messages(orders, GROUP, "fast")
        acks = (Ack(orders, GROUP, lost.message_id, "slow", lost.attempt), Ack(orders, GROUP, "999999", "slow", 1))
        await store.commit(Commit(runs=(create(),), acks=acks))
        assert await revision_of(store, "run") == 1
        assert await stream.get_stream_depth(orders) == 1
        await store.commit(Commit(acks=(Ack(orders, GROUP, held.message_id, "fast", held.attempt),)))
        assert await stream.get_stream_depth(orders) == 0

    async def test_too_large_a_message_changes_nothing(self, backend: Backend) -> None:
        stream, store = stream_of(backend), store_of(backend)
        size = stream.get_provider_specific_features().max_message_size + 1
        publish = Publish(stream=stream_name(stream), message="x" * size)
        with pytest.raises(MessageTooLarge):
            await store.commit(Commit(runs=(create(),), publishes=(publish,)))
        assert await store.load_run("run") is None

    async def test_timers(self, store: StoreService) -> None:
        timers = (TimerWrite("a", 10, "pa"), TimerWrite("b", 20), TimerWrite("c", 30))
        await store.commit(Commit(timers=timers))
        await store.commit(Commit(timers=(TimerWrite("a", 25, "new"),), cancel_timers=("b", "unknown")))
        due = await store.claim_due_timers(100, 10, 1000)
        assert [(each.timer_id, each.fire_at_ms, each.payload) for each in due.timers] == [
            ("a", 25, "new"),
            ("c", 30, ""),
        ]

    async def test_timers_of_one_id(self, store: StoreService) -> None:
        await store.register_timer("a", 10)
        timers = (TimerWrite("a", 20, "first"), TimerWrite("a", 30, "last"))
        await store.commit(Commit(timers=timers, cancel_timers=("a", "a")))
        due = await store.claim_due_timers(100, 10, 1000)
        assert [(each.timer_id, each.fire_at_ms, each.payload) for each in due.timers] == [("a", 30, "last")]

    async def test_documents_of_one_id(self, backend: Backend) -> None:
        documents = tuple(SearchDocument("doc", "default", {"Number": n}) for n in (1, 2))
        await store_of(backend).commit(Commit(search=documents))
        assert await search_of(backend).get("doc") == documents[1]

    async def test_a_scrubbed_run_leaves_its_pointer_free(self, store: StoreService) -> None:
        pointer = CurrentRunWrite("ns/w", None, "run")
        await store.commit(Commit(runs=(create(),), current_runs=(pointer,)))
        await store.scrub("run")
        assert await store.load_current_run("ns/w") is None
        with pytest.raises(NotFound):
            await store.get_status("run", APP)
        await store.commit(Commit(runs=(create(),), current_runs=(pointer,)))
        assert await revision_of(store, "run") == 1
