"""From a `Commit` to one call of the stored function ``commit_work``, and from its answer to a result or an error.

Only the groups that a commit has are sent, by name; the statement for a combination of groups is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hotmesh_temporal.contracts.commit import (
    Ack,
    Commit,
    CommitResult,
    CurrentRunWrite,
    EventBatch,
    Publish,
    RunWrite,
)
from hotmesh_temporal.contracts.errors import (
    CurrentRunConflict,
    DuplicateMark,
    InvalidArgument,
    MessageTooLarge,
    RevisionConflict,
)

from .documents import document_arguments
from .queues import Queues, queue_of

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

Arguments = dict[str, Any]

_TYPED_GROUPS = {
    "text": "p_runs p_pointers p_expected p_pointer_runs p_mark_jobs p_mark_guids p_new_streams p_messages p_groups "
    "p_consumers p_out_streams p_out_messages p_ack_groups p_ack_consumers p_timers p_payloads p_cancelled "
    "p_docs p_namespaces p_doc_status p_types p_workflow_ids p_run_ids p_task_queues p_fields",
    "bigint": "p_revisions p_status p_first p_next p_batch_first p_batch_next p_visible p_leases p_out_visible "
    "p_ack_ids p_fire_at p_start_times p_close_times p_execution_times p_durations p_lengths p_sizes p_transitions",
    "integer": "p_batch_run p_priorities p_out_priorities p_ack_attempts",
    "bytea": "p_states p_origins p_batch_data p_doc_data",
    "uuid": "p_new_queues p_queues p_ack_queues",
}
_TYPES = {name: kind for kind, names in _TYPED_GROUPS.items() for name in names.split()}
"""Element type of each array parameter of ``commit_work``."""


def commit_arguments(commit: Commit, app: int, queues: Queues) -> Arguments:
    """Parameter name to value for every group that the commit has. Raises `InvalidArgument`, `MessageTooLarge`."""
    arguments: Arguments = {"p_app": app}
    if commit.runs:
        _add_runs(arguments, commit.runs)
    if commit.current_runs:
        _add_pointers(arguments, commit.current_runs)
    if commit.marks:
        marks = sorted((mark.job_id, mark.guid) for mark in commit.marks)
        arguments["p_mark_jobs"] = [job for job, _ in marks]
        arguments["p_mark_guids"] = [guid for _, guid in marks]
    if commit.publishes:
        _add_publishes(arguments, commit.publishes, app, queues)
    if commit.outbox:
        _add_outbox(arguments, commit.outbox)
    if commit.acks:
        _add_acks(arguments, commit.acks, app)
    if commit.timers or commit.cancel_timers:
        _add_timers(arguments, commit)
    if commit.search:
        arguments.update(document_arguments(commit.search))
    return arguments


def commit_call(arguments: Arguments) -> tuple[str, list[Any]]:
    """Statement and values. An array of one element is sent as that element: binding arrays is the dearest part."""
    values: list[Any] = []
    shape: list[tuple[str, bool]] = []
    for name, value in arguments.items():
        alone = name != "p_app" and len(value) == 1
        values.append(value[0] if alone else value)
        shape.append((name, alone))
    return _statement(tuple(shape)), values


@lru_cache(maxsize=512)
def _statement(shape: tuple[tuple[str, bool], ...]) -> str:
    parts = [
        f"{name} => ARRAY[${n}::{_TYPES[name]}]" if alone else f"{name} => ${n}"
        for n, (name, alone) in enumerate(shape, 1)
    ]
    return f"SELECT hotmesh.commit_work({', '.join(parts)})"


def commit_result(answer: Sequence[Any], commit: Commit) -> CommitResult:
    """Ids of the messages; raises `RevisionConflict`, `CurrentRunConflict` or `DuplicateMark` for a failed check."""
    match answer[0]:
        case "ok":
            split = 1 + len(commit.publishes)
            return CommitResult(tuple(answer[1:split]), tuple(answer[split:]))
        case "revision":
            raise RevisionConflict(answer[1])
        case "pointer":
            raise CurrentRunConflict(answer[1], answer[2])
        case _:
            raise DuplicateMark(answer[1], answer[2])


def check_size(message: str) -> None:
    """Raise `MessageTooLarge` for a message above the limit."""
    # A character takes at most four bytes, so most messages need not be encoded to know.
    if len(message) * 4 > MAX_MESSAGE_BYTES and len(message.encode()) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"a message is larger than {MAX_MESSAGE_BYTES} bytes")


def message_number(message_id: str) -> int:
    """The number behind a message id; -1, which no message has, for any other text."""
    return int(message_id) if message_id.isdecimal() and message_id.isascii() and len(message_id) < 19 else -1


def check_batches(batches: Sequence[EventBatch], job_id: str) -> None:
    """Raise `InvalidArgument` unless the batches are not empty and follow one another."""
    expected: int | None = None
    for batch in batches:
        if batch.next_event_id <= batch.first_event_id or expected not in (None, batch.first_event_id):
            raise InvalidArgument(f"the event batches of {job_id!r} must not be empty and must follow one another")
        expected = batch.next_event_id


def _add_runs(arguments: Arguments, given: Sequence[RunWrite]) -> None:
    runs = sorted(given, key=lambda run: run.job_id) if len(given) > 1 else given
    if len({run.job_id for run in runs}) != len(runs):
        raise InvalidArgument("a commit must not write one run twice")
    arguments["p_runs"] = [run.job_id for run in runs]
    arguments["p_revisions"] = [run.expected_revision for run in runs]
    arguments["p_status"] = [run.status for run in runs]
    arguments["p_states"] = [run.state for run in runs]
    if any(run.origin is not None for run in runs):
        arguments["p_origins"] = [run.origin for run in runs]
    if any(run.batches for run in runs):
        _add_batches(arguments, runs)


def _add_batches(arguments: Arguments, runs: Sequence[RunWrite]) -> None:
    for run in runs:
        check_batches(run.batches, run.job_id)
    arguments["p_first"] = [run.batches[0].first_event_id if run.batches else None for run in runs]
    arguments["p_next"] = [run.batches[-1].next_event_id if run.batches else None for run in runs]
    batches = [(n, batch) for n, run in enumerate(runs, 1) for batch in run.batches]
    arguments["p_batch_run"] = [n for n, _ in batches]
    arguments["p_batch_first"] = [batch.first_event_id for _, batch in batches]
    arguments["p_batch_next"] = [batch.next_event_id for _, batch in batches]
    arguments["p_batch_data"] = [batch.data for _, batch in batches]


def _add_pointers(arguments: Arguments, given: Sequence[CurrentRunWrite]) -> None:
    writes = sorted(given, key=lambda write: write.pointer_id)
    if len({write.pointer_id for write in writes}) != len(writes):
        raise InvalidArgument("a commit must not write one current-run pointer twice")
    arguments["p_pointers"] = [write.pointer_id for write in writes]
    arguments["p_expected"] = [write.expected for write in writes]
    arguments["p_pointer_runs"] = [write.run_id for write in writes]


def _add_publishes(arguments: Arguments, publishes: Sequence[Publish], app: int, queues: Queues) -> None:
    for publish in publishes:
        check_publish(publish)
    new = queues.unknown({publish.stream for publish in publishes})
    if new:
        arguments["p_new_queues"] = list(new.values())
        arguments["p_new_streams"] = list(new)
    leases = [publish.lease for publish in publishes]
    arguments["p_queues"] = [queue_of(app, publish.stream) for publish in publishes]
    arguments["p_messages"] = [publish.message for publish in publishes]
    arguments["p_visible"] = [publish.visible_at_ms for publish in publishes]
    arguments["p_priorities"] = [publish.priority for publish in publishes]
    arguments["p_groups"] = [lease.group if lease else None for lease in leases]
    arguments["p_consumers"] = [lease.consumer if lease else None for lease in leases]
    arguments["p_leases"] = [lease.lease_ms if lease else None for lease in leases]


def check_publish(publish: Publish) -> None:
    """Raise `MessageTooLarge`, and `InvalidArgument` for a lease on a delayed message."""
    check_size(publish.message)
    if publish.lease is not None and publish.visible_at_ms is not None:
        raise InvalidArgument("a message cannot be delayed and leased at once")


def _add_outbox(arguments: Arguments, outbox: Sequence[Publish]) -> None:
    arguments["p_out_streams"] = [entry.stream for entry in outbox]
    arguments["p_out_messages"] = [entry.message for entry in outbox]
    arguments["p_out_visible"] = [entry.visible_at_ms for entry in outbox]
    arguments["p_out_priorities"] = [entry.priority for entry in outbox]


def _add_acks(arguments: Arguments, given: Sequence[Ack], app: int) -> None:
    acks = sorted(given, key=lambda ack: message_number(ack.message_id))
    arguments["p_ack_ids"] = [message_number(ack.message_id) for ack in acks]
    arguments["p_ack_queues"] = [queue_of(app, ack.stream) for ack in acks]
    arguments["p_ack_groups"] = [ack.group for ack in acks]
    arguments["p_ack_consumers"] = [ack.consumer for ack in acks]
    arguments["p_ack_attempts"] = [ack.attempt for ack in acks]


def _add_timers(arguments: Arguments, commit: Commit) -> None:
    # A later write of one id in the same commit wins, as if they came one after another.
    timers: Mapping[str, Any] = {timer.timer_id: timer for timer in commit.timers}
    if timers:
        ids = sorted(timers)
        arguments["p_timers"] = ids
        arguments["p_fire_at"] = [timers[timer_id].fire_at_ms for timer_id in ids]
        arguments["p_payloads"] = [timers[timer_id].payload for timer_id in ids]
    if commit.cancel_timers:
        arguments["p_cancelled"] = sorted(set(commit.cancel_timers))
