"""Rows of timers. See the schema for ``due_at`` and the fence."""

from __future__ import annotations

import random

from hotmesh_temporal.contracts.commit import DueTimer, DueTimers

from .database import Session

_ARM = """
INSERT INTO hm_timers (scope, timer_id, fire_at, due_at, claimed, fence, payload) VALUES (?, ?, ?, ?, 0, ?, ?)
ON CONFLICT (scope, timer_id) DO UPDATE SET
    fire_at = excluded.fire_at, due_at = excluded.due_at, claimed = 0, fence = excluded.fence,
    payload = excluded.payload
"""


def new_fence() -> int:
    """A number that no earlier arming or claim had."""
    return random.getrandbits(62)


def arm(session: Session, scope: int, timer_id: str, fire_at_ms: int, payload: str) -> None:
    """Arm or re-arm one timer."""
    session.execute(_ARM, (scope, timer_id, fire_at_ms, fire_at_ms, new_fence(), payload))


def cancel(session: Session, scope: int, timer_id: str) -> bool:
    """Disarm one timer. True if it was armed."""
    cursor = session.execute("DELETE FROM hm_timers WHERE scope = ? AND timer_id = ?", (scope, timer_id))
    return cursor.rowcount == 1


_DUE = "SELECT timer_id, fire_at, payload FROM hm_timers WHERE scope = ? AND due_at <= ? ORDER BY due_at LIMIT ?"
_TAKE = "UPDATE hm_timers SET due_at = ?, claimed = 1, fence = ? WHERE scope = ? AND timer_id = ?"
_NEXT = "SELECT due_at FROM hm_timers WHERE scope = ? AND claimed = 0 ORDER BY due_at LIMIT 1"


def claim_due(session: Session, scope: int, now: int, limit: int, lease_ms: int) -> DueTimers:
    """Claim what is due."""
    timers: list[DueTimer] = []
    for timer_id, fire_at, payload in session.execute(_DUE, (scope, now, limit)).fetchall():
        fence = new_fence()
        session.execute(_TAKE, (now + max(lease_ms, 0), fence, scope, timer_id))
        timers.append(DueTimer(timer_id, fire_at, payload, fence))
    timers.sort(key=lambda timer: timer.fire_at_ms)
    return DueTimers(tuple(timers), next_unclaimed(session, scope))


def any_due(session: Session, scope: int, now: int) -> bool:
    """True if `claim_due` would find something."""
    return session.execute(_DUE, (scope, now, 1)).fetchone() is not None


def next_unclaimed(session: Session, scope: int) -> int | None:
    """When the first unclaimed timer is due."""
    row = session.execute(_NEXT, (scope,)).fetchone()
    return None if row is None else row[0]


def ack(session: Session, scope: int, timer_id: str, fence: int) -> bool:
    """Remove a claimed timer if nobody claimed or armed it since."""
    cursor = session.execute(
        "DELETE FROM hm_timers WHERE scope = ? AND timer_id = ? AND fence = ?", (scope, timer_id, fence)
    )
    return cursor.rowcount == 1
