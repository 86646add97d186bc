"""A usual commit as one SQL statement: an INSERT into the view ``hm_commits``, whose trigger does the rest.

Why: each statement lets go of Python's global lock and has to win it back. Beside a thread that computes (workflow code
in a sandbox does) that takes up to ``sys.getswitchinterval()``, 5 ms, for each of the dozen statements of a commit.

The trigger only does what is usual. Everything else fails it without a trace, and `apply_commit` takes over.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hotmesh_temporal.contracts.commit import Ack, Commit, CommitResult, Publish, RunWrite
from hotmesh_temporal.contracts.search import SearchDocument

from . import messages
from .clock import now_ms
from .database import Session, Statement
from .search_index import ABSENT, COLUMNS, column_values, field_rows
from .timers import new_fence

_CLOCK_SLACK_US = 1_000_000

Parameters = dict[str, Any]

_MESSAGE_COLUMNS = (
    "message_id",
    "stream",
    "available_at",
    "priority",
    "attempt",
    "delivered_at",
    "consumer_group",
    "consumer",
    "message",
)
_ACK_COLUMNS = ("ack_id", "ack_consumer", "ack_attempt", "ack_group", "ack_stream")


def commit_statement(session: Session, scope: int, database_id: str, commit: Commit) -> Statement[CommitResult] | None:
    """The statement for a commit, or None if it is not of the usual form."""
    if not _is_usual(commit):
        return None
    now = now_ms()
    parameters: Parameters = {"scope": scope, "now": now}
    if commit.runs:
        _add_run(parameters, commit.runs[0])
    if commit.current_runs:
        pointer = commit.current_runs[0]
        parameters.update(pointer_id=pointer.pointer_id, pointer_expected=pointer.expected, pointer_run=pointer.run_id)
    if commit.search:
        _add_document(parameters, commit.search[0])
    result = _add_messages(parameters, session, scope, database_id, commit)
    _add_rest(parameters, commit)
    return Statement(_sql(tuple(parameters)), parameters, result)


@functools.lru_cache(maxsize=256)
def _sql(columns: tuple[str, ...]) -> str:
    """The INSERT with just these columns: fewer parameters to bind, and few enough different statements to keep."""
    return f"INSERT INTO hm_commits ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"


def _is_usual(commit: Commit) -> bool:
    if len(commit.runs) > 1 or len(commit.current_runs) > 1 or len(commit.search) > 1:
        return False
    if any(len(run.batches) > 1 for run in commit.runs):
        return False
    # JSON numbers are not read back bit for bit.
    return not any(isinstance(value, float) for document in commit.search for value in document.fields.values())


def _json(rows: Sequence[Any]) -> str:
    """One JSON parameter."""
    text = msgspec.json.encode(rows).decode()
    if "\\u0000" in text:
        raise ValueError("SQLite's JSON ends texts at a NUL")
    return text


def _add_rows(parameters: Parameters, columns: Sequence[str], plural: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """One row in columns of its own, more as JSON."""
    if len(rows) == 1:
        parameters.update(zip(columns, rows[0]))  # noqa: B905  the lengths are those of constants
    else:
        parameters[plural] = _json(rows)


def _add_run(parameters: Parameters, run: RunWrite) -> None:
    parameters.update(
        job_id=run.job_id,
        expected_revision=run.expected_revision,
        status=run.status,
        state=run.state,
        origin=run.origin,
    )
    if run.batches:
        batch = run.batches[0]
        parameters.update(first_event_id=batch.first_event_id, next_event_id=batch.next_event_id, events=batch.data)


def _add_document(parameters: Parameters, document: SearchDocument) -> None:
    columns: Mapping[str, Any] = column_values(document.fields)
    rows = field_rows(document.fields)
    if any(row[3] == ABSENT for row in rows):
        raise ValueError("an empty list is stored as a blob, which JSON does not have")
    parameters.update(
        doc_id=document.doc_id,
        doc_namespace=document.namespace,
        doc_data=document.data,
        doc_columns=_json([columns.get(name) for name in COLUMNS]),
        doc_fields=_json(rows),
    )


def _add_messages(
    parameters: Parameters, session: Session, scope: int, database_id: str, commit: Commit
) -> CommitResult:
    now: int = parameters["now"]
    rows = [_message_row(session, publish, now) for publish in commit.publishes]
    entries = [_outbox_row(session, entry) for entry in commit.outbox]
    session.published.update((scope, publish.stream) for publish in commit.publishes if publish.lease is None)
    if rows:
        parameters["oldest_message"] = rows[0][0] + _CLOCK_SLACK_US
        _add_rows(parameters, _MESSAGE_COLUMNS, "publishes", rows)
    if entries:
        parameters["outbox"] = _json(entries)
    return CommitResult(tuple(str(row[0]) for row in rows), tuple(f"{database_id}-{entry[0]}" for entry in entries))


def _message_row(session: Session, publish: Publish, now: int) -> tuple[Any, ...]:
    delivery = messages.Delivery(publish.visible_at_ms, publish.priority, publish.lease)
    available_at, priority, attempt, _, delivered_at, group, consumer = messages.initial_state(delivery, now)
    where = (session.next_id(), publish.stream, available_at, priority, attempt)
    return (*where, delivered_at, group, consumer, publish.message)


def _ack_row(ack: Ack) -> tuple[Any, ...]:
    return messages.to_rowid(ack.message_id), ack.consumer, ack.attempt, ack.group, ack.stream


def _outbox_row(session: Session, entry: Publish) -> tuple[Any, ...]:
    return session.next_id(), entry.stream, entry.message, entry.visible_at_ms, entry.priority


def _add_rest(parameters: Parameters, commit: Commit) -> None:
    if commit.marks:
        parameters["marks"] = _json([(mark.job_id, mark.guid) for mark in commit.marks])
    if commit.acks:
        _add_rows(parameters, _ACK_COLUMNS, "acks", [_ack_row(ack) for ack in commit.acks])
    if commit.cancel_timers:
        parameters["cancels"] = _json(commit.cancel_timers)
    if commit.timers:
        parameters["timers"] = _json(
            [(timer.timer_id, timer.fire_at_ms, new_fence(), timer.payload) for timer in commit.timers]
        )
