"""Store: runs, histories, timers, outbox and leases (the engine's extensions), and inspection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotmesh_temporal.contracts.commit import (
    Commit,
    CommitResult,
    DueTimer,
    DueTimers,
    EventBatch,
    Lease,
    Mark,
    OutboxEntry,
    RunRecord,
    TimerWrite,
)
from hotmesh_temporal.contracts.execution import ExecutionStore
from hotmesh_temporal.contracts.inspection import CurrentRun, StoreInspection
from hotmesh_temporal.contracts.types import Transaction

from .commit import check_batches, check_message, commit_arguments, flat_batches, outbox_row, woken_streams
from .database import rows, texts
from .message_ids import to_id
from .service import Service, nothing
from .transaction import Command, run_commands, run_or_queue


class ExecutionGroup(Service, ExecutionStore):
    """`ExecutionStore` on Redis."""

    # -- runs -------------------------------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> CommitResult:
        """See the contract."""
        command = Command("commit", commit_arguments(commit), _commit_result, woken_streams(commit))
        (result,) = await run_commands(self._db, [command])
        return result

    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        """See the contract."""
        return _run(await self._read("load_run", job_id, known_revision))

    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        """See the contract."""
        return _run(await self._read("load_current_run", pointer_id, *known))

    async def list_runs(self, after: str = "", limit: int = 1000, status: int | None = None) -> list[RunRecord]:
        """See the contract."""
        wanted = None if status is None else str(status)
        found = [_run(each) for each in await self._read("list_runs", after, limit, wanted, not after)]
        return [run for run in found if run is not None]

    # -- history ----------------------------------------------------------------------------------------------

    async def append_events(
        self, job_id: str, batches: Sequence[EventBatch], transaction: Transaction | None = None
    ) -> None:
        """See the contract."""
        check_batches(batches)
        await self._write(
            "append_events",
            job_id,
            flat_batches(batches),
            transaction=transaction,
            placeholder=None,
            decode=nothing,
        )

    async def get_events(
        self,
        job_id: str,
        from_event_id: int = 1,
        *,
        before_event_id: int | None = None,
        limit: int = 1000,
        reverse: bool = False,
    ) -> list[EventBatch]:
        """See the contract."""
        before = None if before_event_id is None else max(before_event_id, 1)
        found = await self._read("get_events", job_id, max(from_event_id, 1), before, limit, reverse)
        return [_batch(place, data) for place, data in rows(found, 2)]

    # -- guards -----------------------------------------------------------------------------------------------

    async def guard(self, job_id: str, revision: int, transaction: Transaction) -> None:
        """See the contract."""
        await run_or_queue(self._db, Command("guard", (job_id, revision), nothing), transaction, None)

    async def has_mark(self, mark: Mark) -> bool:
        """See the contract."""
        return bool(await self._read("has_mark", mark.job_id, mark.guid))

    # -- timers -----------------------------------------------------------------------------------------------

    async def register_timer(
        self, timer_id: str, fire_at_ms: int, payload: str = "", transaction: Transaction | None = None
    ) -> None:
        """See the contract."""
        await self._write(
            "arm_timer", timer_id, fire_at_ms, payload, transaction=transaction, placeholder=None, decode=nothing
        )

    async def cancel_timer(self, timer_id: str, transaction: Transaction | None = None) -> bool:
        """See the contract."""
        return await self._write("cancel_timer", timer_id, transaction=transaction, placeholder=False, decode=bool)

    async def claim_due_timers(self, now_ms: int, limit: int, lease_ms: int) -> DueTimers:
        """See the contract."""
        claimed, following = await self._db.call("claim_timers", now_ms, limit, max(lease_ms, 0))
        timers = [
            DueTimer(timer_id.decode(), int(fire_at), payload.decode(), fence)
            for timer_id, fire_at, payload, fence in rows(claimed, 4)
        ]
        timers.sort(key=lambda timer: timer.fire_at_ms)
        return DueTimers(tuple(timers), None if following == b"-1" else int(float(following)))

    async def ack_timer(self, timer_id: str, fence: int) -> bool:
        """See the contract."""
        return bool(await self._db.call("ack_timer", timer_id, fence))

    # -- outbox -----------------------------------------------------------------------------------------------

    async def outbox_add(
        self, stream: str, messages: Sequence[str], transaction: Transaction | None = None
    ) -> list[str]:
        """See the contract."""
        for message in messages:
            check_message(message)
        entries = [(stream, message, None, 0) for message in messages]
        return await self._write("outbox_add", entries, transaction=transaction, placeholder=[], decode=texts)

    async def outbox_claim(self, owner: str, limit: int, lease_ms: int, now_ms: int) -> list[OutboxEntry]:
        """See the contract."""
        found = await self._db.call("outbox_claim", max(limit, 0), max(lease_ms, 0), now_ms)
        return [outbox_row(row) for row in rows(found, 5)]

    async def outbox_done(self, outbox_ids: Sequence[str]) -> int:
        """See the contract."""
        ids = [self._outbox_id(outbox_id) for outbox_id in outbox_ids]
        return await self._db.call("outbox_done", [each for each in ids if each])

    def _outbox_id(self, outbox_id: str) -> str:
        """The place of an entry in this database's outbox, "" for what is not one's id."""
        database, _, place = outbox_id.rpartition("-")
        return place if database == self._db.database_id and place == to_id(place) else ""

    # -- leases -----------------------------------------------------------------------------------------------

    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> Lease | None:
        """See the contract."""
        fence = await self._db.call("acquire_lease", name, owner, ttl_ms, now_ms, True)
        return Lease(name, owner, fence, now_ms + ttl_ms) if fence else None

    async def renew_lease(self, name: str, owner: str, fence: int, ttl_ms: int, now_ms: int) -> bool:
        """See the contract."""
        return bool(await self._db.call("renew_lease", name, owner, fence, ttl_ms, now_ms))

    async def release_lease(self, name: str, owner: str, fence: int) -> bool:
        """See the contract."""
        return bool(await self._db.call("release_lease", name, owner, fence))


class StoreInspectionGroup(Service, StoreInspection):
    """`StoreInspection` on Redis."""

    async def list_current_runs(self, after: str = "", limit: int = 1000) -> list[CurrentRun]:
        """See the contract."""
        found = texts(await self._read("list_current_runs", after, limit))
        return [CurrentRun(*row) for row in rows(found, 2)]

    async def list_timers(self, after: str = "", limit: int = 1000) -> list[TimerWrite]:
        """See the contract."""
        found = texts(await self._read("list_timers", after, limit))
        return [TimerWrite(timer_id, int(at), payload) for timer_id, at, payload in rows(found, 3)]

    async def list_outbox(self, after: str = "", limit: int = 1000) -> list[OutboxEntry]:
        """See the contract."""
        found = await self._read("list_outbox", to_id(after.rpartition("-")[2]), limit)
        return [outbox_row(row) for row in rows(found, 5)]


def _commit_result(result: Any) -> CommitResult:
    return CommitResult(tuple(texts(result[0])), tuple(texts(result[1])))


def _run(found: Any) -> RunRecord | None:
    if found is None:
        return None
    job_id, revision, status, state, origin = found
    return RunRecord(job_id.decode(), int(revision), int(status), state, origin)


def _batch(place: bytes, data: bytes) -> EventBatch:
    first, _, following = place.partition(b"-")
    return EventBatch(int(first), int(following), data)
