"""Rows of jobs: finding, creating and removing them with everything that belongs to them."""

from __future__ import annotations

from typing import NamedTuple

from hotmesh_temporal.contracts.errors import NotFound

from .clock import now_ms
from .database import Session

EVENT_ID_BITS = 24
"""Bits of a batch key below the job key: the most events that a run may have, about 16.7 million."""

_SWEEP_BATCH = 50
_HINT_TTL_MS = 60_000


class JobRow(NamedTuple):
    """The parts of a job's row that decide. ``status`` None: the job itself does not exist (see the schema)."""

    job_key: int
    status: int | None
    revision: int
    next_event_id: int


_FIND = """
SELECT job_key, status, revision, next_event_id FROM hm_jobs
WHERE scope = ? AND job_id = ? AND (expires_at IS NULL OR expires_at > ?)
"""


def find_row(session: Session, scope: int, job_id: str) -> JobRow | None:
    """The row of an id, also one that only holds marks or events. None if there is none or it has expired."""
    row = session.execute(_FIND, (scope, job_id, now_ms())).fetchone()
    return None if row is None else JobRow(*row)


def find_job(session: Session, scope: int, job_id: str) -> JobRow | None:
    """The row of a job that exists, or None."""
    row = find_row(session, scope, job_id)
    return row if row is not None and row.status is not None else None


def require_job(session: Session, scope: int, job_id: str) -> JobRow:
    """The row of a job; raises `NotFound`."""
    row = find_job(session, scope, job_id)
    if row is None:
        raise NotFound(f"job {job_id!r} does not exist")
    return row


def ensure_row(session: Session, scope: int, job_id: str) -> JobRow:
    """The row of an id, made if it is missing; what an expired job left is removed first."""
    row = find_row(session, scope, job_id)
    if row is not None:
        return row
    purge_if_expired(session, scope, job_id)
    cursor = session.execute("INSERT INTO hm_jobs (scope, job_id) VALUES (?, ?)", (scope, job_id))
    return JobRow(cursor.lastrowid or 0, None, 0, 1)


def purge_if_expired(session: Session, scope: int, job_id: str) -> bool:
    """Remove a job whose time ran out. True if there was one."""
    expired = session.execute(
        "SELECT 1 FROM hm_jobs WHERE scope = ? AND job_id = ? AND expires_at <= ?", (scope, job_id, now_ms())
    ).fetchone()
    if expired:
        purge(session, scope, job_id)
    return expired is not None


_OF_JOB_KEY = (
    "DELETE FROM hm_job_origins WHERE job_key = ?",
    "DELETE FROM hm_job_fields WHERE job_key = ?",
    "DELETE FROM hm_marks WHERE job_key = ?",
    "DELETE FROM hm_ledgers WHERE job_key = ?",
    "DELETE FROM hm_job_dependencies WHERE job_key = ?",
    "DELETE FROM hm_jobs WHERE job_key = ?",
)

_OF_JOB_ID = (
    "DELETE FROM hm_time_hooks WHERE scope = ? AND job_id = ?",
    "DELETE FROM hm_timers WHERE scope = ? AND timer_id = ?",
    "DELETE FROM hm_current_runs WHERE scope = ? AND pointer_id = ?",
    "DELETE FROM hm_current_runs WHERE scope = ? AND run_id = ?",
)


def purge(session: Session, scope: int, job_id: str) -> None:
    """Remove whatever is kept for a job id. Nothing is left that a new job of the same id could see."""
    row = session.execute("SELECT job_key FROM hm_jobs WHERE scope = ? AND job_id = ?", (scope, job_id)).fetchone()
    if row is not None:
        job_key: int = row[0]
        session.execute("DELETE FROM hm_history WHERE batch_key BETWEEN ? AND ?", batch_keys(job_key))
        for statement in _OF_JOB_KEY:
            session.execute(statement, (job_key,))
    for statement in _OF_JOB_ID:
        session.execute(statement, (scope, job_id))
    delete_document(session, scope, job_id)


def delete_document(session: Session, scope: int, doc_id: str) -> int:
    """Remove a search document. Returns how many there were."""
    row = session.execute(
        "DELETE FROM hm_search_documents WHERE scope = ? AND doc_id = ? RETURNING doc_key", (scope, doc_id)
    ).fetchone()
    if row is None:
        return 0
    session.execute("DELETE FROM hm_search_fields WHERE doc_key = ?", row)
    return 1


def batch_keys(job_key: int) -> tuple[int, int]:
    """Lowest and highest key that a batch of the job can have."""
    base = job_key << EVENT_ID_BITS
    return base, base | (1 << EVENT_ID_BITS) - 1


def sweep(session: Session) -> bool:
    """Remove some of what has expired, in every scope. True if there may be more."""
    now = now_ms()
    expired = session.execute(
        "SELECT scope, job_id FROM hm_jobs WHERE expires_at <= ? LIMIT ?", (now, _SWEEP_BATCH)
    ).fetchall()
    for scope, job_id in expired:
        purge(session, scope, job_id)
    session.execute("DELETE FROM hm_hook_signals WHERE expires_at <= ?", (now,))
    session.execute("DELETE FROM hm_hints WHERE created_at <= ?", (now - _HINT_TTL_MS,))
    return len(expired) == _SWEEP_BATCH
