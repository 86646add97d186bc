"""Store: the state of jobs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hotmesh_temporal.contracts import fields as rules
from hotmesh_temporal.contracts.errors import AlreadyDone, InvalidArgument, NotFound
from hotmesh_temporal.contracts.store_jobs import JobStore
from hotmesh_temporal.contracts.types import InterruptOptions, JsonObject, StringMap, Transaction

from .clock import now_ms
from .database import Session
from .jobs import JobRow, ensure_row, find_job, find_row, purge, require_job
from .service import Service
from .store_symbols import read_symbols

_INTERRUPTED = 1_000_000_000
_START_CURSOR = "0"

_MERGE_FIELD = """
INSERT INTO hm_job_fields (job_key, field, value) VALUES (?, ?, ?)
ON CONFLICT (job_key, field) DO UPDATE SET value = excluded.value
"""

_ADD_TO_MARK = """
INSERT INTO hm_marks (job_key, guid, value) VALUES (?, ?, ?)
ON CONFLICT (job_key, guid) DO UPDATE SET value = value + excluded.value RETURNING value
"""

_ADD_TO_LEDGER = """
INSERT INTO hm_ledgers (job_key, field, value) VALUES (?, ?, ?)
ON CONFLICT (job_key, field) DO UPDATE SET value = value + excluded.value RETURNING value
"""


class JobGroup(Service, JobStore):
    """`JobStore` on SQLite."""

    # -- status -----------------------------------------------------------------------------------------------

    async def set_state_nx(self, job_id: str, app_id: str, status: int = 1) -> bool:
        """See the contract."""
        self._check_app(app_id)
        scope = self._scope
        return await self._database.write(lambda session: _create(session, scope, job_id, status))

    async def set_status(self, delta: int, job_id: str, app_id: str, transaction: Transaction | None = None) -> int:
        """See the contract."""
        self._check_app(app_id)
        scope = self._scope
        return await self._run(lambda session: _add_status(session, scope, job_id, delta), transaction, 0)

    async def get_status(self, job_id: str, app_id: str) -> int:
        """See the contract."""
        self._check_app(app_id)
        scope = self._scope
        row = await self._database.read(lambda session: require_job(session, scope, job_id))
        return row.status or 0

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
        """See the contract."""
        scope, names = self._scope, tuple(symbol_names)
        symbols = await self._database.scan(lambda session: _symbol_maps(session, scope, names))
        fields = rules.state_to_fields(state, symbols, dids)

        def work(session: Session) -> str:
            row = require_job(session, scope, job_id)
            _write_fields(session, row, fields)
            if status is not None:
                session.execute("UPDATE hm_jobs SET status = ? WHERE job_key = ?", (status, row.job_key))
            return job_id

        return await self._run(work, transaction, "")

    async def get_state(
        self, job_id: str, consumes: Mapping[str, Sequence[str]], dids: StringMap
    ) -> tuple[dict[str, Any], int]:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> tuple[dict[str, Any], int]:
            row = require_job(session, scope, job_id)
            wanted = rules.consumed_fields(consumes, _symbol_maps(session, scope, tuple(consumes)), dids)
            return rules.fields_to_state(wanted, _read_fields(session, row, wanted)), row.status or 0

        return await self._database.scan(work)

    async def set_query_state(self, job_id: str, fields: StringMap, transaction: Transaction | None = None) -> None:
        """See the contract."""
        scope, stored = self._scope, {rules.query_field(name): value for name, value in fields.items()}
        if rules.STATUS_FIELD in stored:
            raise InvalidArgument("the status is changed by set_status, not as a field")
        await self._run(
            lambda session: _write_fields(session, require_job(session, scope, job_id), stored), transaction, None
        )

    async def get_query_state(self, job_id: str, fields: Sequence[str]) -> dict[str, str | None]:
        """See the contract."""
        scope, names = self._scope, {name: rules.query_field(name) for name in fields}

        def work(session: Session) -> dict[str, str]:
            row = find_job(session, scope, job_id)
            if row is None:
                return {}
            return {**_read_fields(session, row, names.values()), rules.STATUS_FIELD: str(row.status)}

        stored = await self._database.scan(work)
        return {name: stored.get(field) for name, field in names.items()}

    async def get_raw(self, job_id: str) -> dict[str, str]:
        """See the contract. Ledgers are left out."""
        scope = self._scope

        def work(session: Session) -> dict[str, str]:
            row = require_job(session, scope, job_id)
            rows = session.execute("SELECT field, value FROM hm_job_fields WHERE job_key = ?", (row.job_key,))
            return {rules.STATUS_FIELD: str(row.status), **dict(rows.fetchall())}

        return await self._database.scan(work)

    # -- collation --------------------------------------------------------------------------------------------

    async def collate(
        self, job_id: str, activity_id: str, amount: int, dids: StringMap, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> int:
            row = require_job(session, scope, job_id)
            field = rules.ledger_field(activity_id, read_symbols(session, scope, activity_id), dids)
            return _exact(session.execute(_ADD_TO_LEDGER, (row.job_key, field, amount)).fetchone()[0])

        return await self._run(work, transaction, 0)

    async def collate_synthetic(
        self, job_id: str, guid: str, amount: int, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> int:
            row = ensure_row(session, scope, job_id)
            return _exact(session.execute(_ADD_TO_MARK, (row.job_key, guid, amount)).fetchone()[0])

        return await self._run(work, transaction, 0)

    # -- end --------------------------------------------------------------------------------------------------

    async def expire_job(self, job_id: str, in_seconds: float, transaction: Transaction | None = None) -> None:
        """See the contract."""
        scope = self._scope
        counts = in_seconds > 0 and not math.isnan(in_seconds)

        def work(session: Session) -> None:
            if counts:
                _expire(session, scope, job_id, now_ms() + int(min(in_seconds, 1e12) * 1000))

        await self._run(work, transaction, None)

    async def interrupt(self, topic: str, job_id: str, options: InterruptOptions | None = None) -> None:
        """See the contract."""
        scope, chosen = self._scope, options or InterruptOptions()
        try:
            await self._database.write(lambda session: _interrupt(session, scope, topic, job_id, chosen))
        except (NotFound, AlreadyDone):
            if not chosen.suppress:
                raise

    async def scrub(self, job_id: str) -> None:
        """See the contract."""
        scope = self._scope
        await self._database.write(lambda session: purge(session, scope, job_id))

    async def add_dependency(self, job_id: str, dependency: str, transaction: Transaction | None = None) -> None:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> None:
            session.execute(
                "INSERT INTO hm_job_dependencies (job_key, dependency) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (ensure_row(session, scope, job_id).job_key, dependency),
            )

        await self._run(work, transaction, None)

    async def get_dependencies(self, job_id: str) -> list[str]:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> list[str]:
            row = find_row(session, scope, job_id)
            statement = "SELECT dependency FROM hm_job_dependencies WHERE job_key = ? ORDER BY position"
            return [] if row is None else [name for (name,) in session.execute(statement, (row.job_key,))]

        return await self._database.scan(work)

    # -- find -------------------------------------------------------------------------------------------------

    async def find_jobs(
        self, query_string: str = "*", limit: int = 1000, batch_size: int = 1000, cursor: str = "0"
    ) -> tuple[str, list[str]]:
        """See the contract. ``batch_size`` is not needed: SQLite walks its rows one by one."""
        scope, pattern, after = self._scope, _glob(query_string), _read_cursor(cursor)
        rows = await self._database.scan(
            lambda session: session.execute(
                """SELECT job_id FROM hm_jobs WHERE scope = ? AND status IS NOT NULL AND job_id GLOB ?
                AND (? IS NULL OR job_id > ?) AND (expires_at IS NULL OR expires_at > ?) ORDER BY job_id LIMIT ?""",
                (scope, pattern, after, after, now_ms(), limit + 1),
            ).fetchall()
        )
        job_ids = [row[0] for row in rows[:limit]]
        return _next_cursor(job_ids, len(rows) > limit), job_ids

    async def find_job_fields(
        self,
        job_id: str,
        field_match_pattern: str = "*",
        limit: int = 1000,
        batch_size: int = 1000,
        cursor: str = "0",
    ) -> tuple[str, dict[str, str]]:
        """See the contract. ``batch_size`` is not needed here either."""
        scope, pattern, after = self._scope, _glob(field_match_pattern), _read_cursor(cursor)
        rows = await self._database.scan(
            lambda session: _find_fields(session, scope, job_id, pattern, after, limit + 1)
        )
        fields = dict(rows[:limit])
        return _next_cursor(list(fields), len(rows) > limit), fields


# -- work --------------------------------------------------------------------------------------------------------------


def _create(session: Session, scope: int, job_id: str, status: int) -> bool:
    row = ensure_row(session, scope, job_id)
    if row.status is not None:
        return False
    session.execute("UPDATE hm_jobs SET status = ?, revision = 1 WHERE job_key = ?", (status, row.job_key))
    return True


def _add_status(session: Session, scope: int, job_id: str, delta: int) -> int:
    row = require_job(session, scope, job_id)
    statement = "UPDATE hm_jobs SET status = status + ? WHERE job_key = ? RETURNING status"
    return _exact(session.execute(statement, (delta, row.job_key)).fetchone()[0])


def _exact(value: int | float) -> int:
    """SQLite goes over to floating point where a sum leaves 64 bits."""
    if not isinstance(value, int):
        raise InvalidArgument("the sum does not fit into 64 bits")
    return value


def _symbol_maps(session: Session, scope: int, names: Sequence[str]) -> dict[str, dict[str, str]]:
    return {name: read_symbols(session, scope, name) for name in names}


def _write_fields(session: Session, row: JobRow, fields: StringMap) -> None:
    for field, value in fields.items():
        session.execute(_MERGE_FIELD, (row.job_key, field, value))


def _read_fields(session: Session, row: JobRow, names: Any) -> dict[str, str]:
    statement = "SELECT value FROM hm_job_fields WHERE job_key = ? AND field = ?"
    found = ((name, session.execute(statement, (row.job_key, name)).fetchone()) for name in names)
    return {name: value[0] for name, value in found if value is not None}


def _expire(session: Session, scope: int, job_id: str, expires_at: int) -> None:
    row = find_job(session, scope, job_id)
    if row is not None:
        session.execute("UPDATE hm_jobs SET expires_at = ? WHERE job_key = ?", (expires_at, row.job_key))
        session.execute(
            "UPDATE hm_search_documents SET expires_at = ? WHERE scope = ? AND doc_id = ?", (expires_at, scope, job_id)
        )


def _interrupt(session: Session, scope: int, topic: str, job_id: str, options: InterruptOptions) -> None:
    row = require_job(session, scope, job_id)
    if (row.status or 0) <= 0:
        raise AlreadyDone(f"job {job_id!r} is completed already")
    _add_status(session, scope, job_id, -_INTERRUPTED)
    if options.throw:
        field = read_symbols(session, scope, f"${topic}").get(rules.ERROR_PATH, rules.ERROR_PATH)
        problem = {"code": options.code, "message": options.reason, "stack": options.stack, "job_id": job_id}
        _write_fields(session, row, {field: rules.encode_value(problem)})


def _find_fields(
    session: Session, scope: int, job_id: str, pattern: str, after: str | None, limit: int
) -> list[tuple[str, str]]:
    row = find_job(session, scope, job_id)
    if row is None:
        return []
    statement = """
        SELECT field, value FROM (
            SELECT field, value FROM hm_job_fields WHERE job_key = ? UNION ALL SELECT ?, ?
        ) WHERE field GLOB ? AND (? IS NULL OR field > ?) ORDER BY field LIMIT ?
    """
    parameters = (row.job_key, rules.STATUS_FIELD, str(row.status), pattern, after, after, limit)
    return session.execute(statement, parameters).fetchall()


# -- patterns and cursors ----------------------------------------------------------------------------------------------


def _glob(pattern: str) -> str:
    r"""The contract's pattern (``*`` any text, ``\`` escapes) as one for SQLite's GLOB, which minds case."""
    out: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            out.append("*")
            continue
        if character == "\\":
            character = next(characters, "\\")
        out.append(f"[{character}]" if character in "*?[" else character)
    return "".join(out)


def _read_cursor(cursor: str) -> str | None:
    """What a cursor stands behind; None: the beginning."""
    if cursor == _START_CURSOR:
        return None
    try:
        return str(json.loads(cursor)["after"])
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidArgument(f"{cursor!r} is not a cursor of this store") from error


def _next_cursor(names: list[str], more: bool) -> str:
    return json.dumps({"after": names[-1]}) if more else _START_CURSOR
