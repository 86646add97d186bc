"""Store: runs, histories, timers, outbox and leases (the engine's extensions)."""

from __future__ import annotations

from collections.abc import Sequence

from hotmesh_temporal.contracts.commit import (
    Commit,
    CommitResult,
    DueTimers,
    EventBatch,
    Lease,
    Mark,
    OutboxEntry,
    Publish,
    RunRecord,
)
from hotmesh_temporal.contracts.errors import RevisionConflict
from hotmesh_temporal.contracts.execution import ExecutionStore
from hotmesh_temporal.contracts.types import Transaction

from . import leases, outbox, runs, timers
from .clock import now_ms
from .commits import apply_commit, check_commit
from .database import Session
from .jobs import find_job
from .messages import check_message
from .one_statement import commit_statement
from .service import Service
from .transaction import join


class ExecutionGroup(Service, ExecutionStore):
    """`ExecutionStore` on SQLite."""

    # -- runs -------------------------------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> CommitResult:
        """See the contract."""
        scope = self._scope
        check_commit(commit)
        database_id = self._database.database_id
        return await self._database.write(
            lambda session: apply_commit(session, scope, commit),
            shortcut=lambda session: commit_statement(session, scope, database_id, commit),
        )

    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        """See the contract."""
        scope = self._scope
        return await self._database.read(lambda session: runs.load_run(session, scope, job_id, known_revision))

    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        """See the contract."""
        scope = self._scope
        return await self._database.read(lambda session: runs.load_current_run(session, scope, pointer_id, known))

    async def list_runs(self, after: str = "", limit: int = 1000, status: int | None = None) -> list[RunRecord]:
        """See the contract."""
        scope = self._scope
        return await self._database.scan(lambda session: runs.list_runs(session, scope, after, limit, status))

    # -- history ----------------------------------------------------------------------------------------------

    async def append_events(
        self, job_id: str, batches: Sequence[EventBatch], transaction: Transaction | None = None
    ) -> None:
        """See the contract."""
        scope, batches = self._scope, tuple(batches)
        runs.check_batches(batches)

        def work(session: Session) -> None:
            if batches:
                runs.append_events(session, scope, job_id, batches)

        await self._run(work, transaction, None)

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
        scope, span = self._scope, (from_event_id, before_event_id)
        return await self._database.read(
            lambda session: runs.read_events(session, scope, job_id, span, limit, reverse=reverse)
        )

    # -- guards -----------------------------------------------------------------------------------------------

    async def guard(self, job_id: str, revision: int, transaction: Transaction) -> None:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> None:
            row = find_job(session, scope, job_id)
            if (row.revision if row is not None else 0) != revision:
                raise RevisionConflict(job_id)

        join(self._database, transaction).add(work)

    async def has_mark(self, mark: Mark) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.read(lambda session: runs.has_mark(session, scope, mark))

    # -- timers -----------------------------------------------------------------------------------------------

    async def register_timer(
        self, timer_id: str, fire_at_ms: int, payload: str = "", transaction: Transaction | None = None
    ) -> None:
        """See the contract."""
        scope = self._scope
        await self._run(lambda session: timers.arm(session, scope, timer_id, fire_at_ms, payload), transaction, None)

    async def cancel_timer(self, timer_id: str, transaction: Transaction | None = None) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._run(lambda session: timers.cancel(session, scope, timer_id), transaction, False)

    async def claim_due_timers(self, now_ms: int, limit: int, lease_ms: int) -> DueTimers:
        """See the contract. Looks first, so that polling an idle store takes no lock and writes nothing."""
        scope = self._scope

        def look(session: Session) -> DueTimers | None:
            if limit > 0 and timers.any_due(session, scope, now_ms):
                return None
            return DueTimers((), timers.next_unclaimed(session, scope))

        idle = await self._database.read(look)
        if idle is not None:
            return idle
        return await self._database.write(lambda session: timers.claim_due(session, scope, now_ms, limit, lease_ms))

    async def ack_timer(self, timer_id: str, fence: int) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: timers.ack(session, scope, timer_id, fence))

    # -- outbox -----------------------------------------------------------------------------------------------

    async def outbox_add(
        self, stream: str, messages: Sequence[str], transaction: Transaction | None = None
    ) -> list[str]:
        """See the contract."""
        scope = self._scope
        entries = [Publish(stream=stream, message=message) for message in messages]
        for entry in entries:
            check_message(entry.message)
        return await self._run(
            lambda session: [outbox.add(session, scope, entry) for entry in entries], transaction, []
        )

    async def outbox_claim(self, owner: str, limit: int, lease_ms: int, now_ms: int) -> list[OutboxEntry]:
        """See the contract. Looks first, as `claim_due_timers` does."""
        scope = self._scope
        if not await self._database.read(lambda session: outbox.any_waiting(session, scope, now_ms)):
            return []
        return await self._database.write(lambda session: outbox.claim(session, scope, owner, limit, lease_ms, now_ms))

    async def outbox_done(self, outbox_ids: Sequence[str]) -> int:
        """See the contract."""
        scope, ids = self._scope, tuple(outbox_ids)
        return await self._database.write(
            lambda session: sum(outbox.done(session, scope, outbox_id) for outbox_id in ids)
        )

    # -- leases -----------------------------------------------------------------------------------------------

    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> Lease | None:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: leases.acquire(session, scope, name, owner, ttl_ms, now_ms))

    async def renew_lease(self, name: str, owner: str, fence: int, ttl_ms: int, now_ms: int) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.write(
            lambda session: leases.renew(session, scope, name, owner, fence, ttl_ms, now_ms)
        )

    async def release_lease(self, name: str, owner: str, fence: int) -> bool:
        """See the contract."""
        scope, now = self._scope, now_ms()
        return await self._database.write(lambda session: leases.release(session, scope, name, owner, fence, now))
