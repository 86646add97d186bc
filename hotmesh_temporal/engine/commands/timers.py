"""Start and cancel a timer."""

from __future__ import annotations

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import TimerCanceledEventAttributes, TimerStartedEventAttributes

from ..durations import cut_down
from ..machines import timer
from .scope import CommandScope, require

_BAD_START = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES
_DUPLICATE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID
_BAD_CANCEL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES


def start(scope: CommandScope, command: Command) -> None:
    """StartTimer."""
    attributes, turn = command.start_timer_command_attributes, scope.turn
    given = attributes.start_to_fire_timeout if attributes.HasField("start_to_fire_timeout") else None
    timer_id, wrong = attributes.timer_id, cut_down(given) if given is not None else None
    require(timer_id, _BAD_START, "TimerId is not set on StartTimerCommand.")
    _check_length(scope, timer_id, "StartTimerCommand", _BAD_START)
    require(
        wrong is None,
        _BAD_START,
        f"An invalid StartToFireTimeout is set on StartTimerCommand: {wrong}. TimerId={timer_id}",
    )
    require(
        timer_id not in turn.state.timers,
        _DUPLICATE,
        f"invalid history builder state for action: add-timer-started-event, TimerID: {timer_id}",
    )
    turn.record(
        TimerStartedEventAttributes(
            timer_id=timer_id,
            start_to_fire_timeout=given,
            workflow_task_completed_event_id=scope.completed_id,
        )
    )


def cancel(scope: CommandScope, command: Command) -> None:
    """CancelTimer. A timer that has fired, but not been shown to the worker yet, is canceled all the same."""
    timer_id, turn = command.cancel_timer_command_attributes.timer_id, scope.turn
    require(timer_id, _BAD_CANCEL, "TimerId is not set on CancelTimerCommand.")
    _check_length(scope, timer_id, "CancelTimerCommand", _BAD_CANCEL)
    pending = turn.state.timers.get(timer_id)
    started_id = pending.started_event_id if pending else timer.take_back_fired(turn, timer_id)
    require(
        started_id is not None,
        _BAD_CANCEL,
        f"invalid history builder state for action: add-timer-canceled-event, TimerID: {timer_id}",
    )
    turn.record(
        TimerCanceledEventAttributes(
            timer_id=timer_id,
            started_event_id=started_id or 0,
            workflow_task_completed_event_id=scope.completed_id,
            identity=scope.identity,
        )
    )


def _check_length(scope: CommandScope, timer_id: str, command: str, cause: int) -> None:
    limit = scope.turn.ctx.limits.id_length
    require(
        len(timer_id.encode()) <= limit,
        cause,
        f"TimerId on {command} exceeds length limit. TimerId={timer_id} Length={len(timer_id)} Limit={limit}",
    )


HANDLERS = {CommandType.COMMAND_TYPE_START_TIMER: start, CommandType.COMMAND_TYPE_CANCEL_TIMER: cancel}
