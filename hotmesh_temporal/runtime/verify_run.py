"""Is one run sound? Plain functions over what was read; `verify` does the reading.

A run is sound if its history has no gap and ends properly, if its state is what its history makes it, and if
everything that it waits for will come: each task that nobody has yet lies in a queue, each deadline has a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.api.history.v1 import History, HistoryEvent

from ..contracts.commit import EventBatch, RunRecord
from ..contracts.search import SearchDocument
from ..engine.activity_options import as_scheduled
from ..engine.context import Namespace
from ..engine.deadlines import next_deadline
from ..engine.events import CLOSES_RUN, WAKES
from ..engine.evolve import append, fold
from ..engine.model import Child, ExecutionState, decode_state
from ..engine.protos import ceil_ms
from ..engine.search_attributes import PREDEFINED, SYSTEM
from .keys import ENGINE_QUEUE, QueueKey, RunKey, run_key
from .visibility import document

BEYOND_HISTORY = frozenset(
    [
        "start_request_id",
        "sticky_queue",
        "sticky_timeout",
        "task_attempt",
        "close_attempted",
        "buffered",
        "asked_updates",
        "rejected_updates",
        "update_count",
        "transitions",
        "worker_version",
        "reset_points",
        "build_ids",
        "armed_at_ms",
        "paused_types",
        "reset_request_id",
        "reset_run_id",
        "gave_way",
        "deleting",
        "schedule",
    ]
)
"""What a run knows beside its history."""

BEYOND_HISTORY_OF_TASK = frozenset({"original_scheduled_at", "schedule_deadline"})
"""The same for its pending workflow task; one that is not written yet is not in the history at all."""

BEYOND_HISTORY_OF_ACTIVITY = frozenset(
    [
        "scheduled_at",
        "attempt",
        "started_at",
        "request_id",
        "identity",
        "heartbeat_at",
        "heartbeat_details",
        "last_failure",
        "last_attempt_completed_at",
        "last_worker_identity",
        "retry_at",
        "retry_interval",
        "stamp",
        "paused_at",
        "pause_identity",
        "pause_reason",
        "pause_request_id",
        "reset",
        "drops_heartbeat",
    ]
)
"""The same for each pending activity: everything about its attempts, and what was done to it from outside."""

Offer = tuple[str, str, int, int]
"""A task in a queue: in which stream, of which job, which event, which attempt."""


@dataclass(slots=True)
class Surroundings:
    """What the database holds for runs beside themselves: tasks in queues, and when each job's timer fires.

    ``stream_of`` gives the name of a task queue's stream.
    """

    stream_of: Callable[[QueueKey], str]
    offers: set[Offer] = field(default_factory=set[Offer])
    timers: dict[str, int] = field(default_factory=dict[str, int])


class RunCheck:
    """Looks at one run: give it the batches of its history in order (`feed`), then ask for the rest (`finish`).

    ``events`` counts those of the history, ``offers`` the tasks in queues that the run waits for.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._key = run_key(record.job_id)
        self._rebuilt = ExecutionState(*self._key)
        self._terminal_at = 0
        self._last_wake = self._last_event = 0
        self._foldable = True
        self.events = 0
        self.offers = 0
        self.problems: list[str] = []
        self.state: ExecutionState | None = None
        """The stored state, once `finish` could read it."""

    def feed(self, batch: EventBatch) -> None:
        """Take the next batch."""
        expected = self._last_event + 1
        if batch.first_event_id != expected:
            self._say(f"a batch begins with event {batch.first_event_id} where event {expected} is due")
        try:
            events = History.FromString(batch.data).events
        except DecodeError as error:
            self._say(f"the batch from event {batch.first_event_id} on cannot be read: {error}")
            self._last_event, self._foldable = batch.next_event_id - 1, False
            return
        for event in events:
            self._take(event)
        if self._last_event != batch.next_event_id - 1:
            self._say(
                f"the batch {batch.first_event_id} to {batch.next_event_id - 1} ends with event {self._last_event}"
            )
            self._last_event = batch.next_event_id - 1

    def _take(self, event: HistoryEvent) -> None:
        self.events += 1
        if event.event_id != self._last_event + 1:
            self._say(f"event {event.event_id} follows event {self._last_event}")
        if self._terminal_at:
            self._say(f"event {event.event_id} comes after the closing event {self._terminal_at}")
        self._last_event = event.event_id
        if self.events == 1:
            self._check_first(event)
        if event.event_type in CLOSES_RUN:
            self._terminal_at = event.event_id
        elif event.event_type in WAKES:
            self._last_wake = event.event_id
        self._fold(event)

    def _check_first(self, event: HistoryEvent) -> None:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            self._say(f"the first event is {_name(event)}, not WorkflowExecutionStarted")
        if event.SerializeToString(deterministic=True) != _deterministic(self._record.origin):
            self._say("the stored first event is not that of the history")

    def _fold(self, event: HistoryEvent) -> None:
        if not self._foldable:
            return
        try:
            append(self._rebuilt, event)
            fold(self._rebuilt, event)
        except (KeyError, AssertionError, AttributeError) as error:
            self._foldable = False
            self._say(f"event {event.event_id} ({_name(event)}) does not follow from those before: {error!r}")

    def finish(self, surroundings: Surroundings, found: SearchDocument | None, namespace: Namespace) -> list[str]:
        """Every problem of the run. ``found`` is its search document."""
        try:
            state = decode_state(self._record.state)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            self._say(f"the state cannot be read: {error}")
            return self.problems
        self.state = state
        job_id = self._record.job_id
        self.problems += _check_identity(self._record, self._key, state)
        self.problems += self._check_end(state)
        if self._foldable:
            self.problems += _check_fold(self._rebuilt, state)
        self.problems += self._check_offers(state, surroundings)
        self.problems += self._check_orders(state, surroundings)
        self.problems += _check_task(state)
        self.problems += self._check_unseen(state)
        self.problems += _check_timer(state, surroundings.timers.get(job_id, 0))
        self.problems += _check_document(document(job_id, state, namespace), found, namespace)
        return self.problems

    def _check_end(self, state: ExecutionState) -> Iterator[str]:
        if not self.events:
            yield "there is no history"
        if self._last_event != state.next_event_id - 1:
            yield f"the history ends with event {self._last_event}, the state with event {state.next_event_id - 1}"
        if state.running and self._terminal_at:
            yield f"the run is open, but event {self._terminal_at} closes it"
        if not state.running and not self._terminal_at:
            yield "the run is closed, but no event closes it"

    def _check_offers(self, state: ExecutionState, surroundings: Surroundings) -> Iterator[str]:
        # A task of a sticky queue whose worker is known to be gone is offered on the normal one.
        normal = QueueKey(state.namespace, False, state.task_queue)
        for queue, event_id, stamp, what in _due_offers(state):
            streams = [surroundings.stream_of(each) for each in ((queue,) if queue.activity else (queue, normal))]
            if any((each, self._record.job_id, event_id, stamp) in surroundings.offers for each in streams):
                self.offers += 1
            else:
                yield f"{what} waits for a worker, but there is no message for it in the task queue {queue.name!r}"

    def _check_orders(self, state: ExecutionState, surroundings: Surroundings) -> Iterator[str]:
        """What the run wants of others and has no answer to yet lies in the engine's queue."""
        stream = surroundings.stream_of(ENGINE_QUEUE)
        for event_id, what in _due_orders(state):
            if (stream, self._record.job_id, event_id, 0) in surroundings.offers:
                self.offers += 1
            else:
                yield f"{what} (event {event_id}) waits for the engine, but there is no message for it"

    def _check_unseen(self, state: ExecutionState) -> Iterator[str]:
        waits = state.task is not None or state.waits_for_first_task
        if state.running and not waits and self._last_wake > state.last_task_completed_id:
            yield f"event {self._last_wake} was shown to no worker, and no workflow task is pending"

    def _say(self, problem: str) -> None:
        self.problems.append(problem)


def _name(event: HistoryEvent) -> str:
    try:
        name = EventType.Name(event.event_type)
    except ValueError:
        return f"of type {event.event_type}"
    return name.removeprefix("EVENT_TYPE_").title().replace("_", "")


def _deterministic(origin: bytes) -> bytes:
    try:
        return HistoryEvent.FromString(origin).SerializeToString(deterministic=True)
    except DecodeError:
        return b""


def _check_identity(record: RunRecord, key: RunKey, state: ExecutionState) -> Iterator[str]:
    if (state.namespace, state.workflow_id, state.run_id) != key:
        yield f"the state is that of {state.namespace}/{state.workflow_id}/{state.run_id}"
    if record.status != (1 if state.running else 0):
        yield f"the job's status is {record.status}, but the run is {'open' if state.running else 'closed'}"


# -- the state is what the history makes it -------------------------------------------------------------------


def _check_fold(rebuilt: ExecutionState, state: ExecutionState) -> Iterator[str]:
    """Buffered events have no place in the history yet, but the state knows them."""
    try:
        for data in state.buffered:
            fold(rebuilt, HistoryEvent.FromString(data))
    except (KeyError, AssertionError, DecodeError) as error:
        yield f"a buffered event does not follow from the history: {error!r}"
        return
    yield from _differences(_comparable(rebuilt), _comparable(state))


def _comparable(state: ExecutionState) -> dict[str, Any]:
    known = _known(state, BEYOND_HISTORY)
    task = state.task
    known["task"] = _known(task, BEYOND_HISTORY_OF_TASK) if task is not None and not task.unwritten else None
    known["activities"] = {
        event_id: _known(as_scheduled(each), BEYOND_HISTORY_OF_ACTIVITY) for event_id, each in state.activities.items()
    }
    known["updates"] = {key: _known(each, frozenset()) for key, each in state.updates.items()}
    known["timers"] = {timer_id: _known(each, frozenset()) for timer_id, each in state.timers.items()}
    # The order of map entries is not part of their meaning.
    known["memo"] = Memo.FromString(state.memo).SerializeToString(deterministic=True)
    attributes = SearchAttributes.FromString(state.search_attributes)
    known["search_attributes"] = attributes.SerializeToString(deterministic=True)
    return known


def _known(value: msgspec.Struct, beyond: frozenset[str]) -> dict[str, Any]:
    return {name: each for name, each in msgspec.structs.asdict(value).items() if name not in beyond}


def _differences(history: dict[Any, Any], state: dict[Any, Any], path: str = "") -> Iterator[str]:
    for name in sorted({*history, *state}, key=str):
        ours: Any = history.get(name)
        theirs: Any = state.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _differences(cast("dict[Any, Any]", ours), cast("dict[Any, Any]", theirs), f"{path}{name}.")
        elif ours != theirs:
            yield f"{path}{name} is {_short(cast(object, theirs))}, by the history it is {_short(cast(object, ours))}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# -- nothing waits for ever -----------------------------------------------------------------------------------


def _check_task(state: ExecutionState) -> Iterator[str]:
    if not state.running:
        return
    if state.buffered and not state.task_in_flight:
        yield f"{len(state.buffered)} buffered events wait for a workflow task, but none is in flight"
    if state.asked_updates and state.task is None:
        yield f"{len(state.asked_updates)} updates wait for a workflow task, but none is pending"
    if state.task is None and not state.had_task and not state.waits_for_first_task:
        yield "the first workflow task was never offered"


def _due_offers(state: ExecutionState) -> Iterator[tuple[QueueKey, int, int, str]]:
    """Queue, event and attempt of each task that a worker has yet to take, and its name."""
    task = state.task
    if not state.running:
        return
    if task is not None and not task.started_at:
        what = f"workflow task {task.scheduled_event_id}"
        yield QueueKey(state.namespace, False, task.queue), task.scheduled_event_id, task.attempt, what
    for each in state.activities.values():
        if not each.started and not each.retry_at and not each.paused:
            what = f"activity {each.activity_id!r} (event {each.scheduled_event_id}, attempt {each.attempt})"
            yield QueueKey(state.namespace, True, each.queue), each.scheduled_event_id, each.stamp, what


def is_left_behind(child: Child, last: ExecutionState, parent: ExecutionState) -> bool:
    """``last``, the child's current run, should have been ended or asked to when its parent was closed.

    A reset leaves children alone, and later ones are not bound to a run that a reset has made.
    """
    if not last.running or child.policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
        return False
    if parent.gave_way or last.parent_run_id != parent.run_id:
        return False
    return child.policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE or not last.cancel_requested


def _due_orders(state: ExecutionState) -> Iterator[tuple[int, str]]:
    """Event and name of everything that the engine has yet to do for a run."""
    if state.deleting:
        yield state.next_event_id - 1, "the deletion of the run"
    if not state.running:
        return
    for child in state.children.values():
        if not child.run_id:
            yield child.initiated_event_id, f"the start of the child {child.workflow_id!r}"
    for sent in state.signals.values():
        yield sent.initiated_event_id, f"a signal to {sent.workflow_id!r}"
    for sent in state.cancels.values():
        yield sent.initiated_event_id, f"a request to cancel {sent.workflow_id!r}"


def _check_timer(state: ExecutionState, fires_at: int) -> Iterator[str]:
    deadline = ceil_ms(next_deadline(state))
    if deadline and not fires_at:
        yield f"a deadline is at {deadline} ms, but no timer is armed for it"
    elif deadline and fires_at > deadline:
        yield f"a deadline is at {deadline} ms, but the timer fires at {fires_at} ms only"
    if fires_at != state.armed_at_ms:
        yield f"the run's timer fires at {fires_at} ms, by the state it fires at {state.armed_at_ms} ms (0: not armed)"


# -- lists show the run as it is ------------------------------------------------------------------------------


def _check_document(due: SearchDocument, found: SearchDocument | None, namespace: Namespace) -> Iterator[str]:
    if found is None:
        yield "lists do not show the run: it has no search document"
        return
    for name in sorted({*due.fields, *found.fields} - {"BuildIds"}):
        # A custom attribute may have been removed or added anew, under another type, after the document was written.
        custom = name in namespace.attributes or name not in (*SYSTEM, *PREDEFINED)
        if custom and type(due.fields.get(name)) is not type(found.fields.get(name)):
            continue
        if due.fields.get(name) != found.fields.get(name):
            yield (
                f"lists show {name} as {_short(found.fields.get(name))} where the run has "
                f"{_short(due.fields.get(name))}"
            )
