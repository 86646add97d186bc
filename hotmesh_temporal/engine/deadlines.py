"""What a run waits for by time, and what happens when that time has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from temporalio.api.enums.v1 import TimeoutType

from . import closing
from .machines import activity, timer, workflow_task
from .model import ExecutionState
from .turn import Turn

Due = tuple[int, Callable[[Turn], None]]


def next_deadline(state: ExecutionState) -> int:
    """When the run has to be looked at next (nanoseconds since the epoch; 0: never)."""
    return min((at for at, _ in _all(state)), default=0)


def fire_due(turn: Turn) -> bool:
    """Let everything happen whose time has come, in order of time. True if anything did."""
    fired = False
    while turn.state.running:
        due = min(_all(turn.state), key=lambda each: each[0], default=None)
        if due is None or due[0] > turn.ctx.now:
            break
        due[1](turn)
        fired = True
    return fired


def _all(state: ExecutionState) -> Iterator[Due]:
    if not state.running:
        return
    if state.execution_expires_at:
        yield state.execution_expires_at, lambda turn: closing.time_out(turn, whole_chain=True)
    if state.run_expires_at:
        yield state.run_expires_at, lambda turn: closing.time_out(turn, whole_chain=False)
    if state.waits_for_first_task:
        yield state.first_task_at, workflow_task.schedule_first
    if state.task is not None:
        at = workflow_task.deadline(state.task)
        if at:
            yield at, _time_out_task
    for each in state.timers.values():
        yield each.fires_at, lambda turn, each=each: _fire_timer(turn, each.timer_id)
    for pending in state.activities.values():
        yield from _of_activity(pending.scheduled_event_id, pending)


def _of_activity(scheduled_id: int, pending: activity.Activity) -> Iterator[Due]:
    if pending.retry_at:
        yield pending.retry_at, lambda turn: activity.retry_due(turn, turn.state.activities[scheduled_id])
    at, kind = activity.deadline(pending)
    if at:
        yield at, lambda turn: _time_out_activity(turn, scheduled_id, kind)


def _time_out_task(turn: Turn) -> None:
    task = turn.state.task
    assert task is not None
    kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE if task.started_at else TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
    workflow_task.time_out(turn, kind)
    workflow_task.schedule(turn)


def _fire_timer(turn: Turn, timer_id: str) -> None:
    timer.fire(turn, turn.state.timers[timer_id])
    workflow_task.schedule(turn)


def _time_out_activity(turn: Turn, scheduled_id: int, kind: int) -> None:
    if not activity.time_out(turn, turn.state.activities[scheduled_id], kind):
        workflow_task.schedule(turn)
