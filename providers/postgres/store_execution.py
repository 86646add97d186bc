"""Runs, histories, timers, outbox and leases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
)
from hotmesh_temporal.contracts.errors import CurrentRunConflict, RevisionConflict
from hotmesh_temporal.contracts.execution import ExecutionStore
from hotmesh_temporal.contracts.types import Transaction

from .base import Service
from .commit import check_batches, check_size, commit_arguments, commit_call, commit_result, message_number
from .database import nothing, scalar
from .driver import Row

_RUN_COLUMNS = """j.job_id, j.revision, j.status,
    CASE WHEN {known} THEN ''::bytea ELSE j.state END AS state,
    CASE WHEN {known} THEN ''::bytea ELSE coalesce(o.data, '') END AS origin"""
_LOAD_RUN = f"""
SELECT {_RUN_COLUMNS.format(known="j.revision = $3")}
FROM hotmesh.jobs j LEFT JOIN hotmesh.origins o ON o.job = j.id AND j.revision <> $3
WHERE j.app = $1 AND j.job_id = $2 AND j.revision > 0 AND hotmesh.live(j.expires_at)"""
_LOAD_CURRENT = f"""
SELECT {_RUN_COLUMNS.format(known="(j.job_id = $3 AND j.revision = $4)")}
FROM hotmesh.current_runs c JOIN hotmesh.jobs j ON j.app = c.app AND j.job_id = c.run_id
LEFT JOIN hotmesh.origins o ON o.job = j.id AND NOT (j.job_id = $3 AND j.revision = $4)
WHERE c.app = $1 AND c.pointer_id = $2 AND j.revision > 0 AND hotmesh.live(j.expires_at)"""
_LIST_RUNS = f"""
SELECT {_RUN_COLUMNS.format(known="false")}
FROM hotmesh.jobs j LEFT JOIN hotmesh.origins o ON o.job = j.id
WHERE j.app = $1 AND j.job_id > $2 AND ($4::bigint IS NULL OR j.status = $4) AND j.revision > 0
    AND hotmesh.live(j.expires_at)
ORDER BY j.job_id LIMIT $3"""
_GET_EVENTS = """
SELECT e.first_id, e.next_id, e.data FROM hotmesh.jobs j JOIN hotmesh.events e ON e.job = j.id
WHERE j.app = $1 AND j.job_id = $2 AND hotmesh.live(j.expires_at)
    AND e.first_id < $4 AND e.next_id > $3
    -- Batches have no gaps, so the one that holds the first event is found from the index alone.
    AND e.first_id >= coalesce(
        (SELECT max(s.first_id) FROM hotmesh.events s WHERE s.job = j.id AND s.first_id <= $3), 0)
ORDER BY e.first_id {direction} LIMIT $5"""
_HAS_MARK = """
SELECT FROM hotmesh.ledgers l LEFT JOIN hotmesh.jobs j ON j.app = l.app AND j.job_id = l.job_id
WHERE l.app = $1 AND l.job_id = $2 AND l.kind = 'g' AND l.name = $3 AND hotmesh.live(j.expires_at)"""
_CLAIM_TIMERS = """
WITH due AS (
    SELECT timer_id FROM hotmesh.timers WHERE app = $1 AND due_at <= $2
    ORDER BY due_at, timer_id LIMIT $3 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE hotmesh.timers t SET due_at = $2 + $4, fence = nextval('hotmesh.fences')
    FROM due WHERE t.app = $1 AND t.timer_id = due.timer_id
    RETURNING t.timer_id, t.fire_at, t.payload, t.fence
), waiting AS (
    SELECT t.fire_at FROM hotmesh.timers t
    WHERE t.app = $1 AND (t.due_at = t.fire_at OR t.due_at <= $2)
        AND NOT EXISTS (SELECT FROM due WHERE due.timer_id = t.timer_id)
    ORDER BY t.due_at LIMIT 1
)
SELECT timer_id, fire_at, payload, fence FROM claimed
UNION ALL SELECT NULL, fire_at, NULL, NULL FROM waiting"""
_CLAIM_OUTBOX = """
WITH picked AS (
    SELECT id FROM hotmesh.outbox WHERE app = $1 AND claimed_until <= $5 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE hotmesh.outbox o SET owner = $2, claimed_until = $5 + $4 FROM picked WHERE o.app = $1 AND o.id = picked.id
    RETURNING o.id, o.stream, o.message, o.visible_at, o.priority
)
SELECT * FROM claimed ORDER BY id"""
_ACQUIRE_LEASE = """
INSERT INTO hotmesh.leases AS l (app, name, owner, fence, expires_at)
VALUES ($1, 'lease/' || $2, $3, nextval('hotmesh.fences'), $5::bigint + $4)
ON CONFLICT (app, name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at,
    fence = CASE WHEN l.owner = excluded.owner AND l.expires_at > $5 THEN l.fence ELSE excluded.fence END
WHERE l.owner = excluded.owner OR l.expires_at <= $5
RETURNING fence, expires_at"""


class PostgresExecutionStore(Service, ExecutionStore):
    """See `ExecutionStore`. Its owner may set ``published``, which is told the streams that a commit published to."""

    published: Callable[[Sequence[str]], None] | None = None

    # -- runs -------------------------------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> CommitResult:
        db = self._db
        arguments = commit_arguments(commit, db.app, self._queues)
        rows = await self._call_commit(arguments)
        result = commit_result(rows[0][0], commit)
        if "p_new_streams" in arguments:
            self._queues.learn(arguments["p_new_streams"])
        if self.published is not None:
            self.published([publish.stream for publish in commit.publishes])
        return result

    async def _call_commit(self, arguments: dict[str, Any]) -> list[Row]:
        statement, values = commit_call(arguments)
        try:
            return await self._db.fetch(statement, *values)
        except CurrentRunConflict as conflict:
            # Another commit created the pointer while this one ran; by now it can be read.
            raise CurrentRunConflict(conflict.pointer_id, await self._pointer(conflict.pointer_id)) from conflict

    async def _pointer(self, pointer_id: str) -> str | None:
        sql = "SELECT run_id FROM hotmesh.current_runs WHERE app = $1 AND pointer_id = $2"
        run_id: str | None = scalar(await self._db.read(sql, self._db.app, pointer_id))
        return run_id

    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        rows = await self._db.read(_LOAD_RUN, self._db.app, job_id, known_revision)
        return RunRecord(*rows[0]) if rows else None

    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        rows = await self._db.read(_LOAD_CURRENT, self._db.app, pointer_id, *known)
        return RunRecord(*rows[0]) if rows else None

    async def list_runs(self, after: str = "", limit: int = 1000, status: int | None = None) -> list[RunRecord]:
        rows = await self._db.read(_LIST_RUNS, self._db.app, after, limit, status)
        return [RunRecord(*row) for row in rows]

    # -- history ----------------------------------------------------------------------------------------------

    async def append_events(
        self, job_id: str, batches: Sequence[EventBatch], transaction: Transaction | None = None
    ) -> None:
        check_batches(batches, job_id)

        def decode(rows: list[Row]) -> None:
            if not scalar(rows):
                raise RevisionConflict(job_id)

        await self._write(
            "SELECT $3::bigint[] = '{}' OR hotmesh.append_events($1, $2, $3, $4, $5)",
            job_id,
            [batch.first_event_id for batch in batches],
            [batch.next_event_id for batch in batches],
            [batch.data for batch in batches],
            job=job_id,
            transaction=transaction,
            placeholder=None,
            decode=decode,
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
        sql = _GET_EVENTS.format(direction="DESC" if reverse else "ASC")
        before = 2**63 - 1 if before_event_id is None else before_event_id
        rows = await self._db.read(sql, self._db.app, job_id, from_event_id, before, limit)
        return [EventBatch(*row) for row in rows]

    # -- guards -----------------------------------------------------------------------------------------------

    async def guard(self, job_id: str, revision: int, transaction: Transaction) -> None:
        def decode(rows: list[Row]) -> None:
            # A job without a run has revision 0 but exists, so it passes neither way.
            found = (rows[0][0] or -1) if rows else 0
            if found != revision:
                raise RevisionConflict(job_id)

        await self._write(
            "SELECT revision FROM hotmesh.jobs WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at) FOR UPDATE",
            job_id,
            job=job_id,
            transaction=transaction,
            placeholder=None,
            decode=decode,
        )

    async def has_mark(self, mark: Mark) -> bool:
        return bool(await self._db.read(_HAS_MARK, self._db.app, mark.job_id, mark.guid))

    # -- timers -----------------------------------------------------------------------------------------------

    async def register_timer(
        self, timer_id: str, fire_at_ms: int, payload: str = "", transaction: Transaction | None = None
    ) -> None:
        await self._write(
            """INSERT INTO hotmesh.timers (app, timer_id, due_at, fire_at, fence, payload)
            VALUES ($1, $2, $3, $3, nextval('hotmesh.fences'), $4)
            ON CONFLICT (app, timer_id) DO UPDATE SET due_at = excluded.due_at, fire_at = excluded.fire_at,
                fence = excluded.fence, payload = excluded.payload""",
            timer_id,
            fire_at_ms,
            payload,
            transaction=transaction,
            placeholder=None,
            decode=nothing,
            repeatable=True,
        )

    async def cancel_timer(self, timer_id: str, transaction: Transaction | None = None) -> bool:
        sql = "DELETE FROM hotmesh.timers WHERE app = $1 AND timer_id = $2 RETURNING true"
        return await self._write(sql, timer_id, transaction=transaction, placeholder=False, decode=bool)

    async def claim_due_timers(self, now_ms: int, limit: int, lease_ms: int) -> DueTimers:
        rows = await self._db.read(_CLAIM_TIMERS, self._db.app, now_ms, limit, lease_ms)
        timers = [DueTimer(*row) for row in rows if row[0] is not None]
        next_fire_at = next((row[1] for row in rows if row[0] is None), None)
        return DueTimers(tuple(sorted(timers, key=lambda timer: (timer.fire_at_ms, timer.timer_id))), next_fire_at)

    async def ack_timer(self, timer_id: str, fence: int) -> bool:
        sql = "DELETE FROM hotmesh.timers WHERE app = $1 AND timer_id = $2 AND fence = $3 RETURNING true"
        return bool(await self._db.fetch(sql, self._db.app, timer_id, fence))

    # -- outbox -----------------------------------------------------------------------------------------------

    async def outbox_add(
        self, stream: str, messages: Sequence[str], transaction: Transaction | None = None
    ) -> list[str]:
        for message in messages:
            check_size(message)
        return await self._write(
            """INSERT INTO hotmesh.outbox (app, stream, message)
            SELECT $1, $2, m FROM unnest($3::text[]) WITH ORDINALITY AS u (m, n) ORDER BY n RETURNING id""",
            stream,
            list(messages),
            transaction=transaction,
            placeholder=list[str](),
            decode=lambda rows: [str(row[0]) for row in rows],
        )

    async def outbox_claim(self, owner: str, limit: int, lease_ms: int, now_ms: int) -> list[OutboxEntry]:
        rows = await self._db.read(_CLAIM_OUTBOX, self._db.app, owner, limit, lease_ms, now_ms)
        return [OutboxEntry(str(row[0]), *row[1:]) for row in rows]

    async def outbox_done(self, outbox_ids: Sequence[str]) -> int:
        sql = "DELETE FROM hotmesh.outbox WHERE app = $1 AND id = ANY ($2::bigint[]) RETURNING id"
        ids = [message_number(outbox_id) for outbox_id in outbox_ids]
        return len(await self._db.fetch(sql, self._db.app, ids, repeatable=True))

    # -- leases -----------------------------------------------------------------------------------------------

    async def acquire_lease(self, name: str, owner: str, ttl_ms: int, now_ms: int) -> Lease | None:
        rows = await self._db.read(_ACQUIRE_LEASE, self._db.app, name, owner, ttl_ms, now_ms)
        return Lease(name, owner, rows[0][0], rows[0][1]) if rows else None

    async def renew_lease(self, name: str, owner: str, fence: int, ttl_ms: int, now_ms: int) -> bool:
        sql = """UPDATE hotmesh.leases SET expires_at = $6::bigint + $5
            WHERE app = $1 AND name = 'lease/' || $2 AND owner = $3 AND fence = $4 AND expires_at > $6 RETURNING true"""
        return bool(await self._db.read(sql, self._db.app, name, owner, fence, ttl_ms, now_ms))

    async def release_lease(self, name: str, owner: str, fence: int) -> bool:
        sql = """DELETE FROM hotmesh.leases
            WHERE app = $1 AND name = 'lease/' || $2 AND owner = $3 AND fence = $4 RETURNING true"""
        return bool(await self._db.fetch(sql, self._db.app, name, owner, fence))
