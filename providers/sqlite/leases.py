"""Rows of leases. A released lease keeps its row, so that the fence goes on growing."""

from __future__ import annotations

from hotmesh_temporal.contracts.commit import Lease

from .database import Session

_ACQUIRE = """
INSERT INTO hm_leases (scope, name, owner, fence, expires_at) VALUES (?1, ?2, ?3, 1, ?4)
ON CONFLICT (scope, name) DO UPDATE SET
    owner = ?3, expires_at = ?4, fence = fence + (owner IS NOT ?3 OR expires_at <= ?5)
WHERE owner IS NULL OR expires_at <= ?5 OR (owner = ?3 AND ?6)
RETURNING fence
"""


def acquire(
    session: Session, scope: int, name: str, owner: str, ttl_ms: int, now: int, *, extend: bool = True
) -> Lease | None:
    """Take a lease that is free or lapsed; with ``extend`` also one's own. None: it is held."""
    expires_at = now + ttl_ms
    row = session.execute(_ACQUIRE, (scope, name, owner, expires_at, now, extend)).fetchone()
    return None if row is None else Lease(name, owner, row[0], expires_at)


def renew(session: Session, scope: int, name: str, owner: str, fence: int, ttl_ms: int, now: int) -> bool:
    """Extend a lease that is held under ``fence`` and has not lapsed."""
    cursor = session.execute(
        """UPDATE hm_leases SET expires_at = ?
        WHERE scope = ? AND name = ? AND owner = ? AND fence = ? AND expires_at > ?""",
        (now + ttl_ms, scope, name, owner, fence, now),
    )
    return cursor.rowcount == 1


def release(session: Session, scope: int, name: str, owner: str, fence: int | None, now: int) -> bool:
    """Give up a lease; ``fence`` None: whatever it is, if it has not lapsed."""
    cursor = session.execute(
        """UPDATE hm_leases SET owner = NULL, expires_at = 0
        WHERE scope = ?1 AND name = ?2 AND owner = ?3 AND (fence = ?4 OR (?4 IS NULL AND expires_at > ?5))""",
        (scope, name, owner, fence, now),
    )
    return cursor.rowcount == 1
