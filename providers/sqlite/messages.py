"""Rows of streams and messages. A message's ``available_at`` tells its state: see the schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hotmesh_temporal.contracts.commit import Ack, MessageLease
from hotmesh_temporal.contracts.errors import InvalidArgument, MessageTooLarge
from hotmesh_temporal.contracts.types import StreamFeatures, StreamMessage

from .database import Session

FEATURES = StreamFeatures()


def check_message(message: str) -> None:
    """Raise `MessageTooLarge` for a message that no stream takes."""
    limit = FEATURES.max_message_size
    # Text has at most four bytes a character: most messages need not be encoded to be measured.
    if len(message) * 4 > limit and len(message.encode("utf-8", "surrogatepass")) > limit:
        raise MessageTooLarge(f"the message has more than {limit} bytes")


def to_rowid(message_id: str) -> int:
    """The row of a message id; 0, which no row has, for anything that is not one."""
    return int(message_id) if message_id.isascii() and message_id.isdigit() and len(message_id) < 19 else 0


# -- streams ----------------------------------------------------------------------------------------------------------


def find_stream(session: Session, scope: int, name: str) -> int | None:
    """The key of a stream, or None."""
    row = session.execute("SELECT stream_key FROM hm_streams WHERE scope = ? AND name = ?", (scope, name)).fetchone()
    return None if row is None else row[0]


def ensure_stream(session: Session, scope: int, name: str) -> int:
    """The key of a stream, made if it is missing."""
    found = find_stream(session, scope, name)
    if found is None:
        cursor = session.execute("INSERT INTO hm_streams (scope, name) VALUES (?, ?)", (scope, name))
        found = cursor.lastrowid or 0
    return found


def delete_stream(session: Session, scope: int, name: str) -> bool:
    """Remove a stream with all that it has. True if it existed."""
    key = find_stream(session, scope, name)
    if key is None:
        return False
    # By the three indexes in turn: there is none over all messages of a stream.
    for state in ("= 0", "> 0", "IS NULL"):
        session.execute(f"DELETE FROM hm_messages WHERE stream_key = ? AND available_at {state}", (key,))
    session.execute("DELETE FROM hm_stream_groups WHERE stream_key = ?", (key,))
    session.execute("DELETE FROM hm_streams WHERE stream_key = ?", (key,))
    return True


def ensure_group(session: Session, stream_key: int, group: str) -> bool:
    """Make a group exist. True if it is new."""
    cursor = session.execute(
        "INSERT INTO hm_stream_groups (stream_key, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (stream_key, group)
    )
    return cursor.rowcount == 1


# -- publishing --------------------------------------------------------------------------------------------------------


class Delivery(NamedTuple):
    """How a message is put into a stream."""

    visible_at_ms: int | None = None
    priority: int = 0
    lease: MessageLease | None = None


_INSERT = """
INSERT INTO hm_messages
    (message_id, stream_key, available_at, priority, attempt, created_at, delivered_at, consumer_group, consumer, data)
SELECT max(?, coalesce((SELECT max(message_id) + 1 FROM hm_messages), 0)), stream_key, ?, ?, ?, ?, ?, ?, ?, ?
FROM hm_streams WHERE scope = ? AND name = ?
"""

State = tuple[int, int, int, int, "int | None", "str | None", "str | None"]


def initial_state(delivery: Delivery, now: int) -> State:
    """``available_at``, priority, attempt, ``created_at``, ``delivered_at``, group and consumer of a new message."""
    lease = delivery.lease
    if lease is not None:
        return now + max(lease.lease_ms, 0), delivery.priority, 1, now, now, lease.group, lease.consumer
    visible_at = delivery.visible_at_ms
    available_at = visible_at if visible_at is not None and visible_at > now else 0
    return available_at, delivery.priority, 0, now, None, None, None


def publish(session: Session, scope: int, stream: str, message: str, delivery: Delivery, now: int) -> str:
    """Append one message and return its id."""
    if delivery.lease is None:
        session.published.add((scope, stream))
    values = (session.next_id(), *initial_state(delivery, now), message, scope, stream)
    cursor = session.execute(_INSERT, values)
    if cursor.rowcount == 0:
        ensure_stream(session, scope, stream)
        cursor = session.execute(_INSERT, values)
    return str(cursor.lastrowid)


def check_delivery(delivery: Delivery) -> None:
    """Raise `InvalidArgument` for a message that is to be both delivered and delayed."""
    if delivery.lease is not None and delivery.visible_at_ms is not None:
        raise InvalidArgument("a message cannot have both a lease and a visible time")


# -- consuming ---------------------------------------------------------------------------------------------------------


class Claim(NamedTuple):
    """Who takes messages, how many, and for how long."""

    group: str
    consumer: str
    limit: int
    lease_ms: int
    auto_ack: bool = False


class Taken(NamedTuple):
    """A message as it was claimed."""

    message_id: int
    data: str
    attempt: int
    priority: int

    def as_message(self) -> StreamMessage:
        """What the consumer gets."""
        return StreamMessage(str(self.message_id), self.data, self.attempt)


_READY_IDS = """
SELECT message_id FROM hm_messages WHERE stream_key = ? AND available_at = 0 ORDER BY priority DESC, message_id LIMIT ?
"""

_TAKE = f"""
UPDATE hm_messages SET available_at = ?, delivered_at = ?, consumer_group = ?, consumer = ?, attempt = attempt + 1
WHERE message_id IN ({_READY_IDS}) RETURNING message_id, data, attempt, priority
"""

_TAKE_FOR_GOOD = f"""
DELETE FROM hm_messages WHERE message_id IN ({_READY_IDS}) RETURNING message_id, data, attempt + 1, priority
"""


def claim(session: Session, scope: int, stream: str, wanted: Claim, now: int) -> list[Taken]:
    """Take the next ready messages, in order of delivery."""
    key = find_stream(session, scope, stream)
    if key is None:
        return []
    # What has become visible and what was not acked in time queues up by priority and age again.
    session.execute(
        "UPDATE hm_messages SET available_at = 0 WHERE stream_key = ? AND available_at > 0 AND available_at <= ?",
        (key, now),
    )
    if wanted.auto_ack:
        cursor = session.execute(_TAKE_FOR_GOOD, (key, wanted.limit))
    else:
        state = (now + max(wanted.lease_ms, 0), now, wanted.group, wanted.consumer)
        cursor = session.execute(_TAKE, (*state, key, wanted.limit))
    taken = [Taken(*row) for row in cursor.fetchall()]
    ensure_group(session, key, wanted.group)
    return sorted(taken, key=lambda one: (-one.priority, one.message_id))


_GIVE_BACK = """
UPDATE hm_messages SET available_at = 0, consumer_group = NULL, consumer = NULL
WHERE message_id = ? AND consumer = ? AND attempt = ?
"""

_REINSERT = """
INSERT INTO hm_messages (message_id, stream_key, available_at, priority, attempt, created_at, data)
SELECT ?, stream_key, 0, ?, ?, ?, ? FROM hm_streams WHERE scope = ? AND name = ?
"""


def give_back(session: Session, scope: int, stream: str, taken: Sequence[Taken], by: Claim, now: int) -> None:
    """Undo a claim whose caller is gone."""
    for one in taken:
        if by.auto_ack:
            values = (one.message_id, one.priority, one.attempt, now, one.data, scope, stream)
            session.execute(_REINSERT, values)
        else:
            session.execute(_GIVE_BACK, (one.message_id, by.consumer, one.attempt))
    session.published.add((scope, stream))


_NEXT_AVAILABLE = """
SELECT CASE WHEN EXISTS (SELECT 1 FROM hm_messages WHERE stream_key = ?1 AND available_at = 0) THEN 0
    ELSE (SELECT min(available_at) FROM hm_messages WHERE stream_key = ?1 AND available_at > 0) END
"""


def next_available(session: Session, scope: int, stream: str) -> int | None:
    """When the next message can be delivered (0: now), or None if there is none at all."""
    key = find_stream(session, scope, stream)
    return None if key is None else session.execute(_NEXT_AVAILABLE, (key,)).fetchone()[0]


# -- disposing ---------------------------------------------------------------------------------------------------------

_ACK = """
DELETE FROM hm_messages WHERE message_id = ? AND consumer = ? AND attempt = ? AND consumer_group = ?
    AND stream_key = (SELECT stream_key FROM hm_streams WHERE scope = ? AND name = ?)
"""


def ack(session: Session, scope: int, ack: Ack) -> bool:
    """Dispose of a delivered message if it was not delivered again since. True if this did."""
    holder = (ack.consumer, ack.attempt, ack.group)
    return session.execute(_ACK, (to_rowid(ack.message_id), *holder, scope, ack.stream)).rowcount == 1


class Fence(NamedTuple):
    """Which deliveries a call is about; None: any."""

    consumer: str | None = None
    attempt: int | None = None
    group: str | None = None

    @property
    def parameters(self) -> tuple[str | int | None, ...]:
        """For `FENCED`."""
        return (self.consumer, self.consumer, self.attempt, self.attempt, self.group, self.group)


FENCED = "(? IS NULL OR consumer = ?) AND (? IS NULL OR attempt = ?) AND (? IS NULL OR consumer_group = ?)"

_DELETE = f"DELETE FROM hm_messages WHERE message_id = ? AND stream_key = ? AND (? OR available_at >= 0) AND {FENCED}"


def dispose(
    session: Session, scope: int, stream: str, message_ids: Sequence[str], fence: Fence, *, dead_too: bool = False
) -> int:
    """Remove messages; returns how many."""
    key = find_stream(session, scope, stream)
    return sum(
        session.execute(_DELETE, (to_rowid(message_id), key, dead_too, *fence.parameters)).rowcount
        for message_id in message_ids
    )
