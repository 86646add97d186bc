"""The state of jobs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hotmesh_temporal.contracts.errors import AlreadyDone, InvalidArgument, NotFound
from hotmesh_temporal.contracts.fields import (
    ERROR_PATH,
    STATUS_FIELD,
    consumed_fields,
    encode_value,
    fields_to_state,
    ledger_field,
    like_pattern,
    query_field,
    state_to_fields,
)
from hotmesh_temporal.contracts.store_jobs import JobStore
from hotmesh_temporal.contracts.types import InterruptOptions, JsonObject, StringMap, Transaction

from .database import Decode, nothing, scalar
from .driver import Row
from .store_lists import PostgresSymbolStore

INTERRUPTED = 1_000_000_000
"""What an interruption takes from the status."""

_PUT_FIELDS = """
WITH job AS (
    SELECT status FROM hotmesh.jobs WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at) FOR UPDATE
), status AS (
    UPDATE hotmesh.jobs SET status = $5 WHERE app = $1 AND job_id = $2 AND $5::bigint IS NOT NULL
        AND EXISTS (SELECT FROM job)
), fields AS (
    INSERT INTO hotmesh.job_fields (app, job_id, field, value)
    SELECT $1, $2, f, v FROM job, unnest($3::text[], $4::text[]) AS u (f, v)
    ON CONFLICT (app, job_id, field) DO UPDATE SET value = excluded.value
)
SELECT status FROM job"""
_GET_FIELDS = """
SELECT j.status, array_agg(f.field), array_agg(f.value)
FROM hotmesh.jobs j LEFT JOIN hotmesh.job_fields f
    ON f.app = j.app AND f.job_id = j.job_id AND ($3::text[] IS NULL OR f.field = ANY ($3))
WHERE j.app = $1 AND j.job_id = $2 AND hotmesh.live(j.expires_at) GROUP BY j.status"""
_FIND_JOBS = """
SELECT job_id, job_id LIKE $4 ESCAPE '\\' FROM hotmesh.jobs
WHERE app = $1 AND ($2::text IS NULL OR job_id > $2) AND hotmesh.live(expires_at) ORDER BY job_id LIMIT $3"""
_FIND_FIELDS = """
SELECT f.field, f.value FROM hotmesh.jobs j CROSS JOIN LATERAL (
    SELECT ':' COLLATE "C" AS field, j.status::text AS value
    UNION ALL SELECT field, value FROM hotmesh.job_fields WHERE app = j.app AND job_id = j.job_id
) AS f
WHERE j.app = $1 AND j.job_id = $2 AND hotmesh.live(j.expires_at)
    AND ($3::text IS NULL OR f.field > $3) AND f.field LIKE $5 ESCAPE '\\'
ORDER BY f.field LIMIT $4"""
_INTERRUPT = """
UPDATE hotmesh.jobs SET status = status - $3::bigint
WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at) AND status > 0 RETURNING status"""

FIRST = "0"


def _found(job_id: str, decode: Decode = scalar) -> Decode:
    """A decoder that raises `NotFound` when there is no row."""

    def checked(rows: list[Row]) -> Any:
        if not rows:
            raise NotFound(f"job {job_id!r} does not exist")
        return decode(rows)

    return checked


class PostgresJobStore(PostgresSymbolStore, JobStore):
    """See `JobStore`."""

    # -- status -----------------------------------------------------------------------------------------------

    async def set_state_nx(self, job_id: str, app_id: str, status: int = 1) -> bool:
        self._check_app(app_id)
        created: bool = scalar(
            await self._db.fetch("SELECT hotmesh.create_job($1, $2, $3)", self._db.app, job_id, status)
        )
        return created

    async def set_status(self, delta: int, job_id: str, app_id: str, transaction: Transaction | None = None) -> int:
        self._check_app(app_id)
        return await self._write(
            """UPDATE hotmesh.jobs SET status = status + $3
            WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at) RETURNING status""",
            job_id,
            delta,
            job=job_id,
            transaction=transaction,
            placeholder=0,
            decode=_found(job_id),
        )

    async def get_status(self, job_id: str, app_id: str) -> int:
        self._check_app(app_id)
        sql = "SELECT status FROM hotmesh.jobs WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at)"
        status: int = _found(job_id)(await self._db.read(sql, self._db.app, job_id))
        return status

    # -- state ------------------------------------------------------------------------------------------------

    async def set_state(
        self,
        state: JsonObject,
        status: int | None,
        job_id: str,
        symbol_names: Sequence[str],
        dids: StringMap,
        transaction: Transaction | None = None,
    ) -> str:
        symbols = await self.get_symbol_keys(symbol_names)
        fields = state_to_fields(state, symbols, dids)
        done = await self._put_fields(job_id, fields, status, transaction)
        return job_id if done else ""

    async def set_query_state(self, job_id: str, fields: StringMap, transaction: Transaction | None = None) -> None:
        named = {query_field(name): value for name, value in fields.items()}
        if STATUS_FIELD in named:
            raise InvalidArgument("the status is not a user field: use set_status or set_state")
        await self._put_fields(job_id, named, None, transaction)

    async def _put_fields(
        self, job_id: str, fields: StringMap, status: int | None, transaction: Transaction | None
    ) -> bool:
        names = sorted(fields)
        return await self._write(
            _PUT_FIELDS,
            job_id,
            names,
            [fields[name] for name in names],
            status,
            job=job_id,
            transaction=transaction,
            placeholder=False,
            # The result of ``set_state`` inside of a transaction is the job's id as well.
            decode=_found(job_id, lambda _: job_id),
            repeatable=True,
        )

    async def get_state(
        self, job_id: str, consumes: Mapping[str, Sequence[str]], dids: StringMap
    ) -> tuple[dict[str, Any], int]:
        wanted = consumed_fields(consumes, await self.get_symbol_keys(list(consumes)), dids)
        found = await self._load_fields(job_id, list(wanted))
        if found is None:
            raise NotFound(f"job {job_id!r} does not exist")
        status, fields = found
        return fields_to_state(wanted, fields), status

    async def get_query_state(self, job_id: str, fields: Sequence[str]) -> dict[str, str | None]:
        names = {field: query_field(field) for field in fields}
        found = await self._load_fields(job_id, list(names.values()))
        if found is None:
            return dict.fromkeys(fields)
        status, stored = found
        stored[STATUS_FIELD] = str(status)
        return {field: stored.get(name) for field, name in names.items()}

    async def get_raw(self, job_id: str) -> dict[str, str]:
        found = await self._load_fields(job_id, None)
        if found is None:
            raise NotFound(f"job {job_id!r} does not exist")
        status, fields = found
        return {STATUS_FIELD: str(status), **fields}

    async def _load_fields(self, job_id: str, names: list[str] | None) -> tuple[int, dict[str, str]] | None:
        rows = await self._db.read(_GET_FIELDS, self._db.app, job_id, names)
        if not rows:
            return None
        status, fields, values = rows[0]
        return status, {field: value for field, value in zip(fields, values, strict=True) if field is not None}

    # -- collation --------------------------------------------------------------------------------------------

    async def collate(
        self, job_id: str, activity_id: str, amount: int, dids: StringMap, transaction: Transaction | None = None
    ) -> int:
        name = ledger_field(activity_id, await self.get_symbols(activity_id), dids)
        return await self._write(
            """SELECT hotmesh.collate($1, $2, 'a', $3, $4) FROM hotmesh.jobs
            WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at)""",
            job_id,
            name,
            amount,
            job=job_id,
            transaction=transaction,
            placeholder=0,
            decode=_found(job_id),
        )

    async def collate_synthetic(
        self, job_id: str, guid: str, amount: int, transaction: Transaction | None = None
    ) -> int:
        return await self._write(
            "SELECT hotmesh.collate($1, $2, 'g', $3, $4)",
            job_id,
            guid,
            amount,
            job=job_id,
            transaction=transaction,
            placeholder=0,
        )

    # -- end --------------------------------------------------------------------------------------------------

    async def expire_job(self, job_id: str, in_seconds: float, transaction: Transaction | None = None) -> None:
        milliseconds = 0 if math.isnan(in_seconds) else round(min(in_seconds, 1e12) * 1000)
        await self._write(
            """WITH job AS (
                UPDATE hotmesh.jobs SET expires_at = hotmesh.now_ms() + $3
                WHERE app = $1 AND job_id = $2 AND hotmesh.live(expires_at) AND $3::bigint > 0 RETURNING expires_at
            )
            UPDATE hotmesh.documents d SET expires_at = job.expires_at FROM job WHERE d.app = $1 AND d.doc_id = $2""",
            job_id,
            milliseconds,
            job=job_id,
            transaction=transaction,
            placeholder=None,
            decode=nothing,
            repeatable=True,
        )

    async def interrupt(self, topic: str, job_id: str, options: InterruptOptions | None = None) -> None:
        chosen = options or InterruptOptions()
        try:
            await self._interrupt(topic, job_id, chosen)
        except (NotFound, AlreadyDone):
            if not chosen.suppress:
                raise

    async def _interrupt(self, topic: str, job_id: str, options: InterruptOptions) -> None:
        field = (await self.get_symbols(f"${topic}")).get(ERROR_PATH, ERROR_PATH)
        error = {"code": options.code, "message": options.reason, "stack": options.stack, "job_id": job_id}
        transaction = self.transaction()
        await self._write(
            _INTERRUPT, job_id, INTERRUPTED, transaction=transaction, placeholder=None, decode=_must_change(job_id)
        )
        if options.throw:
            await self._put_fields(job_id, {field: encode_value(error)}, None, transaction)
        try:
            await transaction.exec()
        except AlreadyDone:
            await self.get_status(job_id, self._db.names[1])  # raises NotFound for a missing job
            raise

    async def scrub(self, job_id: str) -> None:
        await self._db.read("SELECT hotmesh.purge_job($1, $2)", self._db.app, job_id)

    async def add_dependency(self, job_id: str, dependency: str, transaction: Transaction | None = None) -> None:
        await self._write(
            """INSERT INTO hotmesh.dependencies (app, job_id, dependency)
            SELECT $1, $2, $3 FROM hotmesh.purge_if_expired($1, $2) ON CONFLICT DO NOTHING""",
            job_id,
            dependency,
            transaction=transaction,
            placeholder=None,
            decode=nothing,
            repeatable=True,
        )

    async def get_dependencies(self, job_id: str) -> list[str]:
        sql = """SELECT d.dependency FROM hotmesh.dependencies d
            LEFT JOIN hotmesh.jobs j ON j.app = d.app AND j.job_id = d.job_id
            WHERE d.app = $1 AND d.job_id = $2 AND hotmesh.live(j.expires_at) ORDER BY d.id"""
        return [row[0] for row in await self._db.read(sql, self._db.app, job_id)]

    # -- find -------------------------------------------------------------------------------------------------

    async def find_jobs(
        self, query_string: str = "*", limit: int = 1000, batch_size: int = 1000, cursor: str = FIRST
    ) -> tuple[str, list[str]]:
        pattern, after = like_pattern(query_string), _after(cursor)
        found: list[str] = []
        while len(found) < limit:
            rows = await self._db.read(_FIND_JOBS, self._db.app, after, max(batch_size, 1), pattern)
            for row in rows:
                after = row[0]
                if row[1]:
                    found.append(after)
                if len(found) == limit:
                    return _cursor(after), found
            if len(rows) < max(batch_size, 1):
                return FIRST, found
        return _cursor(after), found

    async def find_job_fields(
        self,
        job_id: str,
        field_match_pattern: str = "*",
        limit: int = 1000,
        batch_size: int = 1000,
        cursor: str = FIRST,
    ) -> tuple[str, dict[str, str]]:
        pattern = like_pattern(field_match_pattern)
        rows = await self._db.read(_FIND_FIELDS, self._db.app, job_id, _after(cursor), limit, pattern)
        fields = {row[0]: row[1] for row in rows}
        return (_cursor(rows[-1][0]) if rows and len(rows) == limit else FIRST), fields


def _must_change(job_id: str) -> Decode:
    def decode(rows: list[Row]) -> None:
        if not rows:
            raise AlreadyDone(f"job {job_id!r} is already completed")

    return decode


def _cursor(last: str | None) -> str:
    """The cursor after ``last``; JSON, so that it can never be the ``0`` that ends a walk."""
    return FIRST if last is None else json.dumps(last)


def _after(cursor: str) -> str | None:
    if cursor == FIRST:
        return None
    try:
        after = json.loads(cursor)
    except ValueError:
        after = None
    if not isinstance(after, str):
        raise InvalidArgument(f"{cursor!r} is not a cursor of this store")
    return after
