"""Rows of the outbox: messages for a broker that cannot join the store's transaction."""

from __future__ import annotations

from hotmesh_temporal.contracts.commit import OutboxEntry, Publish

from .database import Session

_ADD = """
INSERT INTO hm_outbox (scope, stream, message, visible_at, priority) VALUES (?, ?, ?, ?, ?)
RETURNING (SELECT value FROM hm_meta WHERE name = 'database_id') || '-' || entry_id
"""

_CLAIM = """
UPDATE hm_outbox SET owner = ?1, leased_until = ?2
WHERE entry_id IN (SELECT entry_id FROM hm_outbox WHERE scope = ?3 AND leased_until <= ?4 ORDER BY entry_id LIMIT ?5)
RETURNING entry_id, (SELECT value FROM hm_meta WHERE name = 'database_id') || '-' || entry_id,
    stream, message, visible_at, priority
"""


def add(session: Session, scope: int, entry: Publish) -> str:
    """Keep one message. Its id is unique among databases, as a broker may serve several."""
    row = session.execute(_ADD, (scope, entry.stream, entry.message, entry.visible_at_ms, entry.priority)).fetchone()
    return row[0]


def claim(session: Session, scope: int, owner: str, limit: int, lease_ms: int, now: int) -> list[OutboxEntry]:
    """Claim the oldest entries that nobody holds."""
    rows = session.execute(_CLAIM, (owner, now + max(lease_ms, 0), scope, now, limit)).fetchall()
    return [OutboxEntry(*row[1:]) for row in sorted(rows)]


def any_waiting(session: Session, scope: int, now: int) -> bool:
    """True if `claim` would find something."""
    row = session.execute("SELECT 1 FROM hm_outbox WHERE scope = ? AND leased_until <= ? LIMIT 1", (scope, now))
    return row.fetchone() is not None


def done(session: Session, scope: int, outbox_id: str) -> bool:
    """Remove one entry. True if it was there."""
    cursor = session.execute(
        """DELETE FROM hm_outbox WHERE entry_id = ? AND scope = ?
        AND ? = (SELECT value FROM hm_meta WHERE name = 'database_id') || '-' || entry_id""",
        (entry_id(outbox_id), scope, outbox_id),
    )
    return cursor.rowcount == 1


def entry_id(outbox_id: str) -> int:
    """The row of an outbox id; 0, which no row has, for anything that is not one."""
    digits = outbox_id.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0
