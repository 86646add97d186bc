"""Rows of messages, off the hot path: retries, leases, dead letters, counts and trimming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from hotmesh_temporal.contracts.types import DeadLetter, StreamStats

from .database import Session
from .messages import FENCED, Claim, Fence, Taken, find_stream, to_rowid

_LIVE_IDS = """
SELECT message_id FROM hm_messages WHERE stream_key = :stream AND available_at = 0
UNION ALL SELECT message_id FROM hm_messages WHERE stream_key = :stream AND available_at > 0
"""
"""Every message of a stream that is not a dead letter, by the two indexes."""

_MAX_RETRIES = "max retries"

# -- groups and leases -------------------------------------------------------------------------------------------------


def delete_group(session: Session, scope: int, stream: str, group: str) -> bool:
    """Remove a group and release what it holds. True if it existed."""
    key = find_stream(session, scope, stream)
    removed = session.execute("DELETE FROM hm_stream_groups WHERE stream_key = ? AND name = ?", (key, group))
    if removed.rowcount == 0:
        return False
    session.execute(
        f"""UPDATE hm_messages SET available_at = 0, consumer_group = NULL, consumer = NULL
        WHERE message_id IN ({_LIVE_IDS}) AND consumer_group = :group""",
        {"stream": key, "group": group},
    )
    session.published.add((scope, stream))
    return True


def extend(session: Session, scope: int, stream: str, held: tuple[int, str, str, int], lease_ms: int, now: int) -> bool:
    """Prolong a lease; ``held`` is message, group, consumer and attempt."""
    cursor = session.execute(
        """UPDATE hm_messages SET available_at = ?, delivered_at = ? WHERE stream_key = ? AND available_at >= 0
        AND message_id = ? AND consumer_group = ? AND consumer = ? AND attempt = ?""",
        (now + max(lease_ms, 0), now, find_stream(session, scope, stream), *held),
    )
    return cursor.rowcount == 1


_RELEASE = f"""
UPDATE hm_messages SET available_at = ?, consumer_group = NULL, consumer = NULL
WHERE message_id = ? AND stream_key = ? AND available_at > ? AND consumer IS NOT NULL AND {FENCED}
"""


def release(
    session: Session, scope: int, stream: str, message_ids: Sequence[str], fence: Fence, delay: int, now: int
) -> int:
    """Give leases back; returns how many were held."""
    key, available_at = find_stream(session, scope, stream), now + delay if delay > 0 else 0
    session.published.add((scope, stream))
    return sum(
        session.execute(_RELEASE, (available_at, to_rowid(message_id), key, now, *fence.parameters)).rowcount
        for message_id in message_ids
    )


# -- retries -----------------------------------------------------------------------------------------------------------


class Retry(NamedTuple):
    """Parameters of ``retry_messages``; ``rowids`` is a JSON list or None, a ``by.limit`` of -1 is no limit."""

    by: Claim
    min_idle_time: int
    rowids: str | None
    delay: int
    max_retries: int | None


_IDLE = f"""
SELECT message_id, data, attempt, priority FROM hm_messages
WHERE message_id IN ({_LIVE_IDS}) AND consumer_group = :group AND delivered_at <= :idle_since
    AND (:rowids IS NULL OR message_id IN (SELECT value FROM json_each(:rowids)))
ORDER BY message_id LIMIT :limit
"""

_TAKE_OVER = """
UPDATE hm_messages SET available_at = ?, delivered_at = ?, consumer_group = ?, consumer = ?, attempt = attempt + 1
WHERE message_id = ?
"""

_POSTPONE = "UPDATE hm_messages SET available_at = ?, consumer_group = NULL, consumer = NULL WHERE message_id = ?"

_BURY = """
UPDATE hm_messages SET available_at = NULL, dead_at = ?, dead_reason = ?
WHERE message_id = ? AND stream_key = ? AND available_at >= 0
"""


def retry(session: Session, scope: int, stream: str, retry: Retry, now: int) -> list[Taken]:
    """Take over, postpone or bury what was delivered and not acked."""
    key = find_stream(session, scope, stream)
    parameters = {
        "stream": key,
        "group": retry.by.group,
        "idle_since": now - max(retry.min_idle_time, 0),
        "rowids": retry.rowids,
        "limit": retry.by.limit,
    }
    taken: list[Taken] = []
    for row in session.execute(_IDLE, parameters).fetchall():
        message = Taken(*row)
        if retry.max_retries is not None and message.attempt > retry.max_retries:
            session.execute(_BURY, (now, _MAX_RETRIES, message.message_id, key))
        elif retry.delay > 0:
            session.execute(_POSTPONE, (now + retry.delay, message.message_id))
            session.published.add((scope, stream))
        else:
            taken.append(_take_over(session, message, retry.by, now))
    return taken


def _take_over(session: Session, message: Taken, by: Claim, now: int) -> Taken:
    state = (now + max(by.lease_ms, 0), now, by.group, by.consumer)
    session.execute(_TAKE_OVER, (*state, message.message_id))
    return message._replace(attempt=message.attempt + 1)


# -- dead letters ------------------------------------------------------------------------------------------------------


def bury(session: Session, scope: int, stream: str, message_ids: Sequence[str], reason: str, now: int) -> int:
    """Make dead letters of messages; returns how many."""
    key = find_stream(session, scope, stream)
    return sum(session.execute(_BURY, (now, reason, to_rowid(message_id), key)).rowcount for message_id in message_ids)


def dead_letters(session: Session, scope: int, stream: str, limit: int, after: str) -> list[DeadLetter]:
    """Dead letters of a stream in order of publication."""
    rows = session.execute(
        """SELECT message_id, data, attempt, dead_reason, dead_at FROM hm_messages
        WHERE stream_key = ? AND available_at IS NULL AND message_id > ? ORDER BY message_id LIMIT ?""",
        (find_stream(session, scope, stream), to_rowid(after), limit),
    )
    return [DeadLetter(str(row[0]), stream, row[1], row[2], row[3] or "", row[4]) for row in rows]


# The CASE makes sure that the path is only looked for in what is JSON.
_DELETE_OF_JOB = """
DELETE FROM hm_messages WHERE available_at >= 0
    AND stream_key IN (SELECT stream_key FROM hm_streams WHERE scope = ?)
    AND CASE WHEN json_valid(data) THEN json_extract(data, '$.metadata.jid') = ? ELSE 0 END
"""


def delete_job_messages(session: Session, scope: int, job_id: str) -> int:
    """Remove the messages of a job; looks at every message."""
    return session.execute(_DELETE_OF_JOB, (scope, job_id)).rowcount


# -- counts ------------------------------------------------------------------------------------------------------------

_STATS = """
SELECT
    (SELECT count(*) FROM hm_messages WHERE stream_key = :stream AND available_at = 0),
    (SELECT count(*) FROM hm_messages WHERE stream_key = :stream AND available_at > 0 AND available_at <= :now),
    (SELECT count(*) FROM hm_messages WHERE stream_key = :stream AND available_at > :now AND consumer IS NULL),
    (SELECT count(*) FROM hm_messages WHERE stream_key = :stream AND available_at > :now AND consumer IS NOT NULL),
    (SELECT count(*) FROM hm_messages WHERE stream_key = :stream AND available_at IS NULL)
"""


def stats(session: Session, scope: int, stream: str, now: int) -> StreamStats:
    """Counts by state."""
    key = find_stream(session, scope, stream)
    ready, due, delayed, in_flight, dead = session.execute(_STATS, {"stream": key, "now": now}).fetchone()
    return StreamStats(stream, ready + due + delayed + in_flight, ready + due, delayed, in_flight, dead)


_DEPTHS = """
SELECT name,
    (SELECT count(*) FROM hm_messages m WHERE m.stream_key = s.stream_key AND available_at = 0)
    + (SELECT count(*) FROM hm_messages m WHERE m.stream_key = s.stream_key AND available_at > 0)
FROM hm_streams s WHERE scope = ? AND name IN (SELECT value FROM json_each(?))
"""


def depths(session: Session, scope: int, streams: Sequence[str]) -> dict[str, int]:
    """Depth of each stream that exists."""
    return dict(session.execute(_DEPTHS, (scope, json.dumps(streams, ensure_ascii=False))).fetchall())


_READY = """
SELECT name FROM hm_streams s WHERE scope = ?1 AND name IN (SELECT value FROM json_each(?2)) AND (
    EXISTS (SELECT 1 FROM hm_messages m WHERE m.stream_key = s.stream_key AND available_at = 0) OR
    EXISTS (SELECT 1 FROM hm_messages m WHERE m.stream_key = s.stream_key AND available_at > 0 AND available_at <= ?3))
"""


def ready_streams(session: Session, scope: int, streams: Sequence[str], now: int) -> set[str]:
    """Those with a message that could be delivered now."""
    return {name for (name,) in session.execute(_READY, (scope, json.dumps(streams, ensure_ascii=False), now))}


# -- trimming ----------------------------------------------------------------------------------------------------------

_NOT_IN_FLIGHT = "(consumer IS NULL OR available_at <= :now)"

_TRIM_AGE = f"""
DELETE FROM hm_messages WHERE message_id IN ({_LIVE_IDS}) AND created_at < :before AND {_NOT_IN_FLIGHT}
"""

_TRIM_LENGTH = f"""
DELETE FROM hm_messages WHERE message_id IN (
    SELECT message_id FROM hm_messages WHERE message_id IN ({_LIVE_IDS}) AND {_NOT_IN_FLIGHT}
    ORDER BY message_id LIMIT :excess)
"""


def trim(session: Session, scope: int, stream: str, max_len: int | None, max_age: int | None, now: int) -> int:
    """Remove the oldest messages that are not in flight; returns how many."""
    parameters = {"stream": find_stream(session, scope, stream), "now": now}
    removed = 0
    if max_age is not None:
        removed += session.execute(_TRIM_AGE, {**parameters, "before": now - max_age}).rowcount
    if max_len is not None:
        excess = depths(session, scope, [stream]).get(stream, 0) - max(max_len, 0)
        removed += session.execute(_TRIM_LENGTH, {**parameters, "excess": max(excess, 0)}).rowcount
    return removed
