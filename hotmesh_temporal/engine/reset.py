"""Reset: a new run with the history of another one up to some workflow task, which is then done anew.

`Fork` folds the events up to that point into the new run's state, `begin` fails the task that is pending there,
`reapply` takes over what had come in from outside since, and `resume` brings everything that the run waits for on its
way again. The run before is ended with `machines.workflow.give_way`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import EventType, ResetReapplyExcludeType, ResetReapplyType, UpdateAdmittedEventOrigin
from temporalio.api.history.v1 import HistoryEvent

from ..errors import invalid_argument
from . import reset_points
from .context import Context
from .effects import Work, WorkOrder
from .events import FIELD_OF
from .evolve import append, fold
from .machines import activity, update, workflow_task
from .model import ExecutionState
from .tasks import INLINE_REQUEST_ID
from .turn import Turn

SIGNALS = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL
UPDATES = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE
_KINDS = frozenset(ResetReapplyExcludeType.values()) - {0}
_OLD_CHOICES: dict[int, Set[int]] = {
    ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL: {UPDATES},
    ResetReapplyType.RESET_REAPPLY_TYPE_NONE: {SIGNALS, UPDATES},
}
_REAPPLIED = UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY


def excluded_kinds(excluded: Iterable[int], old_choice: int) -> Set[int]:
    """What is not to be taken over, by both of the request's fields for it."""
    return frozenset(excluded) | _OLD_CHOICES.get(old_choice, frozenset())


def excludes_all(excluded: Set[int]) -> bool:
    """Nothing is to be taken over; else what no kind stands for is taken over too."""
    return excluded >= _KINDS


def check_point(base: ExecutionState, finish_event_id: int) -> None:
    """The event is one of the run's, and not its first."""
    if not 1 < finish_event_id < base.next_event_id:
        raise invalid_argument("Workflow task finish ID must be > 1 && <= workflow last event ID.")


class Fork:
    """The new run as it is at the point: give it the events before the point, in order."""

    def __init__(self, ctx: Context, base: ExecutionState, run_id: str) -> None:
        self._ctx = ctx
        self.last_event_type = 0
        self.origin = HistoryEvent()
        self.state = ExecutionState(base.namespace, base.workflow_id, run_id)
        self.state.start_request_id = base.start_request_id
        self.state.schedule = base.schedule

    def take(self, event: HistoryEvent) -> None:
        """The next event."""
        if event.event_id == 1:
            self._open(event)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            self._note_builds(event)
        append(self.state, event)
        fold(self.state, event)
        self.last_event_type = event.event_type

    def _open(self, event: HistoryEvent) -> None:
        self.origin = event
        before = event.workflow_execution_started_event_attributes.prev_auto_reset_points
        self.state.reset_points = before.SerializeToString()

    def _note_builds(self, event: HistoryEvent) -> None:
        attributes = event.workflow_task_completed_event_attributes
        stamp = attributes.worker_version
        if attributes.HasField("worker_version"):
            self.state.worker_version = stamp.SerializeToString()
        task = self.state.task
        build_id = WorkerVersionStamp.FromString(task.worker_version).build_id if task is not None else ""
        build = reset_points.Build(build_id or stamp.build_id, attributes.binary_checksum)
        reset_points.note(self.state, build, event.event_id, self._ctx.now, self._ctx.limits.reset_points)

    def check_end(self, stored: Sequence[HistoryEvent]) -> None:
        """The point is one that a run can be reset to: between two decisions, and with a workflow task to do again.

        ``stored`` are the events that were stored together, if the point is in the midst of them.
        """
        last_id = self.state.next_event_id - 1
        if stored and not self._divides(stored):
            raise invalid_argument(
                f"StateRebuilder unable to Rebuild mutable state to event ID: {last_id}, version: 0, "
                "this event must be at the boundary"
            )
        if not workflow_task.has_or_repeats(self.state):
            raise invalid_argument(
                "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: "
                f"{last_id + 1}"
            )

    def _divides(self, stored: Sequence[HistoryEvent]) -> bool:
        """Events that are stored together may still be of several decisions: a task's end is always a new one."""
        task = self.state.task
        following = stored[self.state.next_event_id - stored[0].event_id]
        if following.event_type in _TASK_ENDS:
            return True
        if task is None or task.started_at:
            return False
        if following.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            return following is stored[-1] and self._was_taken_at_once(stored, following)
        return self.last_event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED or self.last_event_type in _ALONE

    def _was_taken_at_once(self, stored: Sequence[HistoryEvent], started: HistoryEvent) -> bool:
        """A worker was idle when the task was scheduled. Else it was given to one by the decision itself (inline or
        eager), or left no events until something came of it.
        """
        attributes = started.workflow_task_started_event_attributes
        eager = self.origin.workflow_execution_started_event_attributes.eager_execution_accepted
        given = attributes.request_id == INLINE_REQUEST_ID or (eager and attributes.scheduled_event_id == _FIRST_TASK)
        return not given and stored[0].event_id != attributes.scheduled_event_id


_FIRST_TASK = 2
_TASK_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)
_ALONE = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
    }
)
"""Each is a decision of its own if a task was pending already, also when it was stored together with others."""


def begin(ctx: Context, fork: Fork, base_run_id: str, request_id: str, reason: str) -> Turn:
    """The new run from the point on: its pending task fails."""
    turn = Turn(ctx, fork.state, fork.origin)
    turn.state.reset_request_id = request_id
    workflow_task.fail_by_reset(turn, base_run_id, reason)
    turn.visibility_changed = True
    return turn


def reapply(turn: Turn, events: Iterable[HistoryEvent], excluded: Set[int]) -> None:
    """Take over what came in after the point, but for the excluded kinds.

    Answers to the run's commands are left out, because it will give the commands again; those of children that it
    had started before the point are taken over.
    """
    for event in events:
        handler = _HANDLERS.get(event.event_type)
        if handler is not None:
            handler(turn, event, excluded)


def resume(turn: Turn) -> None:
    """Offer what workers have to do, and let the engine do again what had no answer at the point."""
    state = turn.state
    for pending in state.activities.values():
        activity.dispatch(turn, pending)
    for child in state.children.values():
        if not child.run_id:
            turn.order(WorkOrder(Work.START_CHILD, child.initiated_event_id))
    for event_id in state.signals:
        turn.order(WorkOrder(Work.SIGNAL, event_id))
    for event_id in state.cancels:
        turn.order(WorkOrder(Work.CANCEL, event_id))
    workflow_task.schedule(turn)


def _signaled(turn: Turn, event: HistoryEvent, excluded: Set[int]) -> None:
    """Whichever workflow it came from is not kept."""
    if SIGNALS not in excluded:
        event.workflow_execution_signaled_event_attributes.ClearField("external_workflow_execution")
        _record_copy(turn, event)


def _options_updated(turn: Turn, event: HistoryEvent, excluded: Set[int]) -> None:
    del excluded
    _record_copy(turn, event)


def _admitted(turn: Turn, event: HistoryEvent, excluded: Set[int]) -> None:
    attributes = event.workflow_execution_update_admitted_event_attributes
    if UPDATES not in excluded:
        update.admit(turn, attributes.request, attributes.origin)


def _accepted(turn: Turn, event: HistoryEvent, excluded: Set[int]) -> None:
    """Without a request it was admitted before, and that was taken over."""
    attributes = event.workflow_execution_update_accepted_event_attributes
    if UPDATES not in excluded and attributes.HasField("accepted_request"):
        update.admit(turn, attributes.accepted_request, _REAPPLIED)


def _of_child(turn: Turn, event: HistoryEvent, excluded: Set[int]) -> None:
    """What became of a child, if the run has it at the point."""
    del excluded
    attributes: Any = getattr(event, FIELD_OF[event.event_type])
    child = turn.state.children.get(attributes.initiated_event_id)
    workflow_id = getattr(attributes, "workflow_id", "") or attributes.workflow_execution.workflow_id
    if child is None or child.workflow_id != workflow_id:
        return
    if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED and child.run_id:
        return
    if hasattr(attributes, "started_event_id"):
        attributes.started_event_id = child.started_event_id
    _record_copy(turn, event)


def _record_copy(turn: Turn, event: HistoryEvent) -> None:
    def adjust(new: HistoryEvent) -> None:
        new.links.extend(event.links)
        new.worker_may_ignore = event.worker_may_ignore

    turn.record(getattr(event, FIELD_OF[event.event_type]), adjust=adjust)


_HANDLERS: dict[int, Callable[[Turn, HistoryEvent, Set[int]], None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: _admitted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _accepted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _options_updated,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: _of_child,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: _of_child,
}
