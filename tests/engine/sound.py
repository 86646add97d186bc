"""What holds for every run, whatever happens to it.

- Events are numbered without a gap, and nothing follows the one that closes the run.
- What began ends once at most: a timer fires or is canceled, an activity has one outcome, an update one answer. An
  outcome names the event of its start, and comes after it.
- Signals keep their order.
- The history, folded into a fresh state, gives the state, but for what a Temporal server keeps outside of history too.
- The stored form of the state gives the state back.
- An open run is not forgotten: what its worker has not seen has a task, each task is offered, each wish to other runs
  is ordered, and the run is looked at again when the first of its times is over (by the history, not by the engine).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import Message
from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent

from hotmesh_temporal.engine.activity_options import as_scheduled
from hotmesh_temporal.engine.deadlines import next_deadline
from hotmesh_temporal.engine.effects import TaskDispatch
from hotmesh_temporal.engine.events import CLOSES_RUN, FIELD_OF
from hotmesh_temporal.engine.evolve import append, fold
from hotmesh_temporal.engine.model import Activity, ExecutionState, WorkflowTask, decode_state, encode_state
from hotmesh_temporal.engine.protos import moment, nanos
from hotmesh_temporal.runtime.verify_run import (
    BEYOND_HISTORY,
    BEYOND_HISTORY_OF_ACTIVITY,
    BEYOND_HISTORY_OF_TASK,
    WAKES,
)
from tests.engine.support import Run

Thing = tuple[str, int]
"""Something that begins and ends: the kind, and the event that it began with."""


def check(run: Run) -> None:
    """Everything that holds for every run, from its first event on."""
    Witness(run).look()


# -- what began ends once -------------------------------------------------------------------------------------

BEGINS = {
    "WORKFLOW_TASK_SCHEDULED": "workflow task",
    "ACTIVITY_TASK_SCHEDULED": "activity",
    "TIMER_STARTED": "timer",
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED": "child",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": "signal",
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": "cancel",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": "update",
}
STARTS = {
    "WORKFLOW_TASK_STARTED": ("workflow task", "scheduled_event_id"),
    "ACTIVITY_TASK_STARTED": ("activity", "scheduled_event_id"),
    "CHILD_WORKFLOW_EXECUTION_STARTED": ("child", "initiated_event_id"),
}
ENDS = {
    "WORKFLOW_TASK_COMPLETED": ("workflow task", "scheduled_event_id"),
    "WORKFLOW_TASK_FAILED": ("workflow task", "scheduled_event_id"),
    "WORKFLOW_TASK_TIMED_OUT": ("workflow task", "scheduled_event_id"),
    "ACTIVITY_TASK_COMPLETED": ("activity", "scheduled_event_id"),
    "ACTIVITY_TASK_FAILED": ("activity", "scheduled_event_id"),
    "ACTIVITY_TASK_TIMED_OUT": ("activity", "scheduled_event_id"),
    "ACTIVITY_TASK_CANCELED": ("activity", "scheduled_event_id"),
    "TIMER_FIRED": ("timer", "started_event_id"),
    "TIMER_CANCELED": ("timer", "started_event_id"),
    "START_CHILD_WORKFLOW_EXECUTION_FAILED": ("child", "initiated_event_id"),
    "CHILD_WORKFLOW_EXECUTION_COMPLETED": ("child", "initiated_event_id"),
    "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED": ("signal", "initiated_event_id"),
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": ("signal", "initiated_event_id"),
    "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED": ("cancel", "initiated_event_id"),
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": ("cancel", "initiated_event_id"),
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": ("update", "accepted_event_id"),
}
_V = TypeVar("_V")


def _numbered(given: dict[str, _V]) -> dict[int, _V]:
    return {EventType.Value(f"EVENT_TYPE_{name}"): each for name, each in given.items()}


_BEGINS, _STARTS, _ENDS = _numbered(BEGINS), _numbered(STARTS), _numbered(ENDS)
_WITH_START = frozenset(kind for kind, _ in STARTS.values())
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


class Ledger:
    """What has begun and not ended, by the events alone."""

    def __init__(self) -> None:
        self.open: dict[Thing, int] = {}
        """With the event of its start; 0: it was not started."""
        self._last_signal = ""

    def enter(self, event: HistoryEvent) -> None:
        """The next event of the history."""
        kind = event.event_type
        if kind in _BEGINS:
            self.open[_BEGINS[kind], event.event_id] = 0
        elif kind in _STARTS:
            thing = _thing(event, *_STARTS[kind])
            assert self.open.get(thing) == 0, f"{thing} is started again, or after its end, by event {event.event_id}"
            self.open[thing] = event.event_id
        elif kind in _ENDS:
            self._end(event, *_ENDS[kind])
        elif kind == _SIGNALED:
            name = event.workflow_execution_signaled_event_attributes.signal_name
            assert self._last_signal <= name, f"signal {name} comes after signal {self._last_signal}"
            self._last_signal = name

    def _end(self, event: HistoryEvent, kind: str, field: str) -> None:
        thing = _thing(event, kind, field)
        assert thing in self.open, f"{thing} ends again by event {event.event_id}, or never began"
        started_id = self.open.pop(thing)
        attributes: Any = getattr(event, FIELD_OF[event.event_type])
        if kind in _WITH_START and hasattr(attributes, "started_event_id"):
            assert attributes.started_event_id == started_id, (
                f"event {event.event_id} does not name the start of {thing}"
            )


def _thing(event: HistoryEvent, kind: str, field: str) -> Thing:
    return kind, getattr(getattr(event, FIELD_OF[event.event_type]), field)


# -- the witness ----------------------------------------------------------------------------------------------


class Witness:
    """Follows one run, and reads each event once: `look` at it after each step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ledger = Ledger()
        self._folded = ExecutionState(run.state.namespace, run.state.workflow_id, run.state.run_id)
        self._read = self._size = self._last_wake = self._closed_by = 0

    def look(self) -> None:
        """Everything holds now."""
        run, state = self.run, self.run.state
        for event in run.history[self._read :]:
            self._take(event)
        assert state.next_event_id == self._read + 1
        assert state.history_size == self._size
        assert state.running == (self._closed_by == 0)
        assert decode_state(encode_state(state)) == state
        assert differences(self._with_buffered(), state) == []
        if state.running:
            check_tasks(run, self._last_wake)
            check_offers(run)
            check_times(run)

    def _take(self, event: HistoryEvent) -> None:
        self._read += 1
        assert event.event_id == self._read
        assert not self._closed_by, f"event {event.event_id} follows the closing event"
        self._size += event.ByteSize()
        if event.event_type in CLOSES_RUN:
            self._closed_by = event.event_id
        elif event.event_type in WAKES:
            self._last_wake = event.event_id
        self.ledger.enter(event)
        append(self._folded, event)
        fold(self._folded, event)

    def _with_buffered(self) -> ExecutionState:
        """The state as the history makes it, with the events that have no place in it yet."""
        if not self.run.state.buffered:
            return self._folded
        folded = decode_state(encode_state(self._folded))
        for data in self.run.state.buffered:
            fold(folded, HistoryEvent.FromString(data))
        return folded


# -- history and state ----------------------------------------------------------------------------------------

_SPECIAL = {"task", "activities", "memo", "search_attributes"}
_COMMON = [each for each in ExecutionState.__struct_fields__ if each not in BEYOND_HISTORY and each not in _SPECIAL]
_OF_TASK = [each for each in WorkflowTask.__struct_fields__ if each not in BEYOND_HISTORY_OF_TASK]
_OF_ACTIVITY = [each for each in Activity.__struct_fields__ if each not in BEYOND_HISTORY_OF_ACTIVITY]


def differences(history: ExecutionState, state: ExecutionState) -> list[str]:
    """Where the state is not what its history makes it: ``field: by the history, in the state``."""
    return [f"{name}: {ours!r}, {theirs!r}" for name, ours, theirs in _differences(history, state)]


def _differences(history: ExecutionState, state: ExecutionState) -> Iterator[tuple[str, object, object]]:
    yield from _unequal(history, state, _COMMON)
    written = state.task is not None and not state.task.unwritten
    if not written or history.task is None or state.task is None:
        if written or history.task is not None:
            yield "task", history.task, state.task
    else:
        yield from _unequal(history.task, state.task, _OF_TASK)
    if history.activities.keys() != state.activities.keys():
        yield "activities", list(history.activities), list(state.activities)
    for event_id in history.activities.keys() & state.activities.keys():
        pending = state.activities[event_id]
        scheduled = as_scheduled(pending) if pending.original else pending
        yield from _unequal(history.activities[event_id], scheduled, _OF_ACTIVITY)
    for name, kind in (("memo", Memo), ("search_attributes", SearchAttributes)):
        ours, theirs = getattr(history, name), getattr(state, name)
        # The order of a map's entries has no meaning.
        if ours != theirs and _in_order(kind, ours) != _in_order(kind, theirs):
            yield name, ours, theirs


def _unequal(ours: msgspec.Struct, theirs: msgspec.Struct, names: list[str]) -> Iterator[tuple[str, object, object]]:
    for name in names:
        if getattr(ours, name) != getattr(theirs, name):
            yield name, getattr(ours, name), getattr(theirs, name)


def _in_order(kind: type[Message], data: bytes) -> bytes:
    return kind.FromString(data).SerializeToString(deterministic=True)


# -- nothing is forgotten -------------------------------------------------------------------------------------


def check_tasks(run: Run, last_wake: int) -> None:
    """What the worker has not seen has a task. ``last_wake``: the last event that it has to be shown."""
    state = run.state
    assert not state.buffered or state.task_in_flight
    if state.task is not None:
        return
    assert not state.asked_updates, f"no task brings {list(state.asked_updates)}"
    if not state.waits_for_first_task:
        assert state.had_task, "the first task was never offered"
        assert last_wake <= state.last_task_completed_id, f"no task shows event {last_wake}"


def check_offers(run: Run) -> None:
    """Each task that nobody has is offered, each wish to another run ordered."""
    state, task = run.state, run.state.task
    if task is not None and not task.started_at:
        assert TaskDispatch(False, task.queue, task.sticky, task.scheduled_event_id, task.attempt) in run.offered
    for each in state.activities.values():
        if not (each.started or each.retry_at or each.paused):
            assert TaskDispatch(True, each.queue, False, each.scheduled_event_id, each.stamp) in run.offered, each
    wanted = [f"start {each.initiated_event_id}" for each in state.children.values() if not each.run_id]
    wanted += [f"signal {each}" for each in state.signals] + [f"cancel {each}" for each in state.cancels]
    assert run.ordered.issuperset(wanted), wanted


def check_times(run: Run) -> None:
    """The run is looked at again when the first of its times is over."""
    assert next_deadline(run.state) == min(times(run), default=0)


def times(run: Run) -> Iterator[int]:
    """All times that an open run waits for."""
    state = run.state
    yield from (at for at in (state.run_expires_at, state.execution_expires_at) if at)
    if state.waits_for_first_task:
        yield state.execution_at
    if state.task is not None:
        yield from _of_task(state.task)
    for timer in state.timers.values():
        event = run.history[timer.started_event_id - 1]
        yield moment(event.event_time) + nanos(event.timer_started_event_attributes.start_to_fire_timeout)
    for each in state.activities.values():
        yield from _of_activity(each, run.history[each.scheduled_event_id - 1].activity_task_scheduled_event_attributes)


def _of_task(task: WorkflowTask) -> Iterator[int]:
    if task.started_at:
        assert task.timeout
        yield task.started_at + task.timeout
    elif task.sticky or task.speculative:
        assert task.schedule_deadline
        yield task.schedule_deadline
    elif task.schedule_deadline:
        yield task.schedule_deadline


def _of_activity(pending: Activity, given: ActivityTaskScheduledEventAttributes) -> Iterator[int]:
    """By the options that it was scheduled with, unless they were changed."""
    if pending.retry_at:
        yield pending.retry_at
    if pending.paused:
        return
    whole, waiting = pending.schedule_to_close, pending.schedule_to_start
    running, heartbeat = pending.start_to_close, pending.heartbeat
    if not pending.original:
        whole, waiting = nanos(given.schedule_to_close_timeout), nanos(given.schedule_to_start_timeout)
        running, heartbeat = nanos(given.start_to_close_timeout), nanos(given.heartbeat_timeout)
    assert running, "an attempt may take for ever"
    if whole:
        yield pending.first_scheduled_at + whole
    if not pending.started:
        yield from [pending.scheduled_at + waiting] if waiting else []
        return
    yield pending.started_at + running
    if heartbeat:
        yield max(pending.started_at, pending.heartbeat_at) + heartbeat
