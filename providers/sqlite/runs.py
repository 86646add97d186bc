"""Rows of runs, histories and current-run pointers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotmesh_temporal.contracts.commit import CurrentRunWrite, EventBatch, Mark, RunRecord, RunWrite
from hotmesh_temporal.contracts.errors import CurrentRunConflict, DuplicateMark, InvalidArgument, RevisionConflict

from .clock import now_ms
from .database import Session
from .jobs import EVENT_ID_BITS, ensure_row, find_row, purge_if_expired

_MAX_EVENT_ID = (1 << EVENT_ID_BITS) - 1

_LIVE = "j.status IS NOT NULL AND (j.expires_at IS NULL OR j.expires_at > ?)"

# -- writing a run ----------------------------------------------------------------------------------------------------

_ADVANCE = """
UPDATE hm_jobs SET revision = revision + 1, status = ?, state = ?
WHERE scope = ? AND job_id = ? AND revision = ? AND status IS NOT NULL AND (expires_at IS NULL OR expires_at > ?)
RETURNING job_key
"""

_ADVANCE_WITH_EVENTS = """
UPDATE hm_jobs SET revision = revision + 1, status = ?, state = ?, next_event_id = ?
WHERE scope = ? AND job_id = ? AND revision = ? AND status IS NOT NULL AND (expires_at IS NULL OR expires_at > ?)
    AND next_event_id = ?
RETURNING job_key
"""

_CREATE = """
INSERT INTO hm_jobs (scope, job_id, status, revision, next_event_id, state) VALUES (?, ?, ?, 1, ?, ?)
ON CONFLICT (scope, job_id) DO NOTHING
"""

_ADOPT = "UPDATE hm_jobs SET status = ?, revision = 1, next_event_id = ?, state = ? WHERE job_key = ?"


def write_run(session: Session, scope: int, write: RunWrite, now: int) -> int:
    """Apply one `RunWrite` and return the key of its job."""
    if write.expected_revision == 0:
        job_key = _create_run(session, scope, write)
    else:
        job_key = _advance_run(session, scope, write, now)
    if write.batches:
        insert_batches(session, job_key, write.batches)
    return job_key


def _advance_run(session: Session, scope: int, write: RunWrite, now: int) -> int:
    where = (scope, write.job_id, write.expected_revision, now)
    if write.batches:
        first, following = write.batches[0].first_event_id, write.batches[-1].next_event_id
        row = session.execute(_ADVANCE_WITH_EVENTS, (write.status, write.state, following, *where, first)).fetchone()
    else:
        row = session.execute(_ADVANCE, (write.status, write.state, *where)).fetchone()
    if row is None:
        raise RevisionConflict(write.job_id)
    return row[0]


def _create_run(session: Session, scope: int, write: RunWrite) -> int:
    following = write.batches[-1].next_event_id if write.batches else 1
    values = (scope, write.job_id, write.status, following, write.state)
    cursor = session.execute(_CREATE, values)
    first = write.batches[0].first_event_id if write.batches else 1
    if cursor.rowcount == 1 and first == 1:
        job_key = cursor.lastrowid or 0
    else:
        job_key = _adopt_row(session, scope, write, created=cursor.rowcount == 1)
    if write.origin is not None:
        session.execute("INSERT INTO hm_job_origins (job_key, origin) VALUES (?, ?)", (job_key, write.origin))
    return job_key


def _adopt_row(session: Session, scope: int, write: RunWrite, *, created: bool) -> int:
    """Make a run of a row that is there for other reasons: marks, events, or a run whose time ran out."""
    row = None if created else ensure_row(session, scope, write.job_id)
    expected = row.next_event_id if row is not None else 1
    first = write.batches[0].first_event_id if write.batches else expected
    if row is None or row.status is not None or first != expected:
        raise RevisionConflict(write.job_id)
    following = write.batches[-1].next_event_id if write.batches else expected
    session.execute(_ADOPT, (write.status, following, write.state, row.job_key))
    return row.job_key


# -- history ----------------------------------------------------------------------------------------------------------


def check_batches(batches: Sequence[EventBatch]) -> None:
    """Raise `InvalidArgument` for batches that are empty, out of range or do not follow on each other."""
    expected = batches[0].first_event_id if batches else 1
    for batch in batches:
        if batch.first_event_id != expected or not 1 <= batch.first_event_id < batch.next_event_id <= _MAX_EVENT_ID:
            raise InvalidArgument(
                f"events {batch.first_event_id}..{batch.next_event_id - 1} do not follow {expected - 1}"
            )
        expected = batch.next_event_id


def insert_batches(session: Session, job_key: int, batches: Sequence[EventBatch]) -> None:
    """Store batches whose place was checked."""
    base = job_key << EVENT_ID_BITS
    for batch in batches:
        session.execute(
            "INSERT INTO hm_history (batch_key, next_event_id, data) VALUES (?, ?, ?)",
            (base | batch.first_event_id, batch.next_event_id, batch.data),
        )


def append_events(session: Session, scope: int, job_id: str, batches: Sequence[EventBatch]) -> None:
    """Append batches to the history of a job id."""
    row = ensure_row(session, scope, job_id)
    if row.next_event_id != batches[0].first_event_id:
        raise RevisionConflict(job_id)
    session.execute("UPDATE hm_jobs SET next_event_id = ? WHERE job_key = ?", (batches[-1].next_event_id, row.job_key))
    insert_batches(session, row.job_key, batches)


_EVENTS = """
SELECT batch_key, next_event_id, data FROM hm_history
WHERE batch_key >= coalesce((SELECT max(batch_key) FROM hm_history WHERE batch_key BETWEEN ? AND ?), ?)
    AND batch_key < ? AND next_event_id > ?
ORDER BY batch_key {direction} LIMIT ?
"""
_EVENTS_FORWARD = _EVENTS.format(direction="ASC")
_EVENTS_BACKWARD = _EVENTS.format(direction="DESC")


def read_events(
    session: Session, scope: int, job_id: str, span: tuple[int, int | None], limit: int, *, reverse: bool
) -> list[EventBatch]:
    """Batches that hold an event of ``span`` (first, before)."""
    row = find_row(session, scope, job_id)
    if row is None:
        return []
    first = min(max(span[0], 1), _MAX_EVENT_ID)
    before = _MAX_EVENT_ID if span[1] is None else min(max(span[1], 1), _MAX_EVENT_ID)
    base = row.job_key << EVENT_ID_BITS
    rows = session.execute(
        _EVENTS_BACKWARD if reverse else _EVENTS_FORWARD,
        (base, base | first, base, base | before, first, limit),
    )
    return [EventBatch(key & _MAX_EVENT_ID, following, data) for key, following, data in rows]


# -- current runs and marks --------------------------------------------------------------------------------------------

_POINT = """
INSERT INTO hm_current_runs (scope, pointer_id, run_id) VALUES (?, ?, ?) ON CONFLICT (scope, pointer_id) DO NOTHING
"""
_POINT_ELSEWHERE = "UPDATE hm_current_runs SET run_id = ? WHERE scope = ? AND pointer_id = ? AND run_id = ?"


def write_current_run(session: Session, scope: int, write: CurrentRunWrite) -> None:
    """Move one pointer, or raise `CurrentRunConflict`."""
    if write.expected is not None:
        cursor = session.execute(_POINT_ELSEWHERE, (write.run_id, scope, write.pointer_id, write.expected))
        if cursor.rowcount == 0:
            raise CurrentRunConflict(write.pointer_id, _current_run(session, scope, write.pointer_id))
        return
    values = (scope, write.pointer_id, write.run_id)
    if session.execute(_POINT, values).rowcount == 0:
        current = _current_run(session, scope, write.pointer_id)
        if current is not None or session.execute(_POINT, values).rowcount == 0:
            raise CurrentRunConflict(write.pointer_id, current)


def _current_run(session: Session, scope: int, pointer_id: str) -> str | None:
    """The run that a pointer names. One whose time ran out is removed, and the pointer with it."""
    row = session.execute(
        "SELECT run_id FROM hm_current_runs WHERE scope = ? AND pointer_id = ?", (scope, pointer_id)
    ).fetchone()
    return None if row is None or purge_if_expired(session, scope, row[0]) else row[0]


def write_mark(session: Session, scope: int, mark: Mark, job_keys: dict[str, int]) -> None:
    """Set one mark, or raise `DuplicateMark`."""
    job_key = job_keys.get(mark.job_id) or ensure_row(session, scope, mark.job_id).job_key
    cursor = session.execute(
        "INSERT INTO hm_marks (job_key, guid, value) VALUES (?, ?, 1) ON CONFLICT (job_key, guid) DO NOTHING",
        (job_key, mark.guid),
    )
    if cursor.rowcount == 0:
        raise DuplicateMark(mark.job_id, mark.guid)


_HAS_MARK = """
SELECT 1 FROM hm_jobs j JOIN hm_marks m USING (job_key)
WHERE j.scope = ? AND j.job_id = ? AND (j.expires_at IS NULL OR j.expires_at > ?) AND m.guid = ?
"""


def has_mark(session: Session, scope: int, mark: Mark) -> bool:
    """The mark is set, and its job not expired."""
    return session.execute(_HAS_MARK, (scope, mark.job_id, now_ms(), mark.guid)).fetchone() is not None


# -- reading runs ------------------------------------------------------------------------------------------------------

_COLUMNS = """
j.job_id, j.revision, j.status,
CASE WHEN {known} THEN x'' ELSE j.state END,
CASE WHEN {known} THEN x'' ELSE coalesce((SELECT origin FROM hm_job_origins o WHERE o.job_key = j.job_key), x'') END
"""

_LOAD = f"""
SELECT {_COLUMNS.format(known="j.revision = ?3")}
FROM hm_jobs j WHERE j.scope = ?1 AND j.job_id = ?2 AND {_LIVE.replace("?", "?4")}
"""

_LOAD_CURRENT = f"""
SELECT {_COLUMNS.format(known="j.job_id = ?3 AND j.revision = ?4")}
FROM hm_current_runs c JOIN hm_jobs j ON j.scope = c.scope AND j.job_id = c.run_id
WHERE c.scope = ?1 AND c.pointer_id = ?2 AND {_LIVE.replace("?", "?5")}
"""

_LIST = f"""
SELECT {_COLUMNS.format(known="0")} FROM hm_jobs j
WHERE j.scope = ?1 AND j.job_id > ?2 AND (?3 IS NULL OR j.status = ?3) AND {_LIVE.replace("?", "?4")}
ORDER BY j.job_id LIMIT ?5
"""


def _record(row: Any) -> RunRecord | None:
    return None if row is None else RunRecord(*row)


def load_run(session: Session, scope: int, job_id: str, known_revision: int) -> RunRecord | None:
    """The run, without what the caller knows."""
    return _record(session.execute(_LOAD, (scope, job_id, known_revision, now_ms())).fetchone())


def load_current_run(session: Session, scope: int, pointer_id: str, known: tuple[str, int]) -> RunRecord | None:
    """The run that a pointer names, without what the caller knows."""
    return _record(session.execute(_LOAD_CURRENT, (scope, pointer_id, *known, now_ms())).fetchone())


def list_runs(session: Session, scope: int, after: str, limit: int, status: int | None) -> list[RunRecord]:
    """Runs in order of their id."""
    rows = session.execute(_LIST, (scope, after, status, now_ms(), limit))
    return [RunRecord(*row) for row in rows]
