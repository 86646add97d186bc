"""The engine's unit of work, step by step: a whole `Commit`, checked and applied inside of one savepoint."""

from __future__ import annotations

from hotmesh_temporal.contracts.commit import Commit, CommitResult, Publish

from . import messages, outbox, runs, timers
from .clock import now_ms
from .database import Session
from .search_index import write_document


def check_commit(commit: Commit) -> None:
    """Raise what is wrong with the arguments before anything is handed to the writer."""
    for publish in (*commit.publishes, *commit.outbox):
        messages.check_message(publish.message)
    for publish in commit.publishes:
        messages.check_delivery(_delivery(publish))
    for write in commit.runs:
        runs.check_batches(write.batches)


def apply_commit(session: Session, scope: int, commit: Commit) -> CommitResult:
    """Apply everything. An error leaves the savepoint to the caller, so checks and writes may go hand in hand."""
    now = now_ms()
    job_keys = {write.job_id: runs.write_run(session, scope, write, now) for write in commit.runs}
    for pointer in commit.current_runs:
        runs.write_current_run(session, scope, pointer)
    for mark in commit.marks:
        runs.write_mark(session, scope, mark, job_keys)
    result = _publish_all(session, scope, commit, now)
    _apply_rest(session, scope, commit)
    return result


def _delivery(publish: Publish) -> messages.Delivery:
    return messages.Delivery(publish.visible_at_ms, publish.priority, publish.lease)


def _publish_all(session: Session, scope: int, commit: Commit, now: int) -> CommitResult:
    return CommitResult(
        tuple(
            messages.publish(session, scope, publish.stream, publish.message, _delivery(publish), now)
            for publish in commit.publishes
        ),
        tuple(outbox.add(session, scope, publish) for publish in commit.outbox),
    )


def _apply_rest(session: Session, scope: int, commit: Commit) -> None:
    for ack in commit.acks:
        messages.ack(session, scope, ack)
    for timer_id in commit.cancel_timers:
        timers.cancel(session, scope, timer_id)
    for timer in commit.timers:
        timers.arm(session, scope, timer.timer_id, timer.fire_at_ms, timer.payload)
    for document in commit.search:
        write_document(session, scope, document)
