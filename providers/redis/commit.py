"""The engine's unit of work as the arguments of one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotmesh_temporal.contracts.commit import Commit, EventBatch, MessageLease, OutboxEntry, Publish, RunWrite
from hotmesh_temporal.contracts.errors import InvalidArgument, MessageTooLarge
from hotmesh_temporal.contracts.types import StreamFeatures

from .database import blob
from .message_ids import real_ids
from .search_entries import document_arguments

FEATURES = StreamFeatures()

FORESEEN_MS = 10_000
"""Leases that last at least this long are seen by the poll of blocked consumers before they lapse; shorter ones are
announced to them.
"""

_MAX_EVENT_ID = 2**53


def check_message(message: str) -> None:
    """Raise `MessageTooLarge` for a message that no stream takes."""
    limit = FEATURES.max_message_size
    # Text has at most four bytes a character: most messages need not be encoded to be measured.
    if len(message) * 4 > limit and len(message.encode("utf-8", "surrogatepass")) > limit:
        raise MessageTooLarge(f"the message has more than {limit} bytes")


def check_batches(batches: Sequence[EventBatch]) -> None:
    """Raise `InvalidArgument` for batches that are empty, out of range or do not follow on each other."""
    expected = batches[0].first_event_id if batches else 1
    for batch in batches:
        if batch.first_event_id != expected or not 1 <= batch.first_event_id < batch.next_event_id <= _MAX_EVENT_ID:
            raise InvalidArgument(
                f"events {batch.first_event_id}..{batch.next_event_id - 1} do not follow {expected - 1}"
            )
        expected = batch.next_event_id


def flat_batches(batches: Sequence[EventBatch]) -> list[Any]:
    """Batches as the scripts take them."""
    return [part for batch in batches for part in (batch.first_event_id, batch.next_event_id, blob(batch.data))]


def delivery(visible_at_ms: int | None, priority: int, lease: MessageLease | None) -> tuple[Any, ...]:
    """How a message is put into a stream: visible time, priority, lease."""
    if lease is None:
        return visible_at_ms, priority, None
    if visible_at_ms is not None:
        raise InvalidArgument("a message cannot have both a lease and a visible time")
    return None, priority, (lease.group, lease.consumer, max(lease.lease_ms, 0), FORESEEN_MS)


def commit_arguments(commit: Commit) -> tuple[Any, ...]:
    """Everything of a commit, see ``commit.lua``. Raises what is wrong with it before anything is sent."""
    for publish in (*commit.publishes, *commit.outbox):
        check_message(publish.message)
    return (
        [_run(write) for write in commit.runs],
        [(write.pointer_id, write.expected, write.run_id) for write in commit.current_runs],
        [(mark.job_id, mark.guid) for mark in commit.marks],
        [_publish(publish) for publish in commit.publishes],
        [(each.stream, each.message, each.visible_at_ms, each.priority) for each in commit.outbox],
        [
            (ack.stream, ack.message_id, ack.consumer, ack.attempt, ack.group)
            for ack in commit.acks
            if real_ids([ack.message_id])
        ],
        commit.cancel_timers,
        [(timer.timer_id, timer.fire_at_ms, timer.payload) for timer in commit.timers],
        [document_arguments(document) for document in commit.search],
    )


def woken_streams(commit: Commit) -> list[str]:
    """The streams whose consumers have something to look at."""
    return [publish.stream for publish in commit.publishes if publish.lease is None]


def _run(write: RunWrite) -> tuple[Any, ...]:
    check_batches(write.batches)
    origin = blob(write.origin) if write.origin is not None and write.expected_revision == 0 else None
    batches = flat_batches(write.batches)
    return write.job_id, write.expected_revision, str(write.status), blob(write.state), origin, batches


def _publish(publish: Publish) -> tuple[Any, ...]:
    how = delivery(publish.visible_at_ms, publish.priority, publish.lease)
    return publish.stream, publish.message, *how


def outbox_row(row: Sequence[bytes]) -> OutboxEntry:
    """An entry as the scripts show it."""
    outbox_id, stream, message, visible_at, priority = row
    visible_at_ms = int(visible_at) if visible_at else None
    return OutboxEntry(outbox_id.decode(), stream.decode(), message.decode(), visible_at_ms, int(priority))
