"""What somebody outside may do to pending activities: pause, unpause, reset, change their options.

None of it leaves an event. An attempt that a worker has goes on; the worker learns of it with its next heartbeat.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from temporalio.api.activity.v1 import ActivityOptions

from ..errors import WorkflowCompleted, failed_precondition, no_such_activity
from .activity_options import merged, original_options, set_options
from .context import SECOND
from .machines import activity
from .model import Activity, ExecutionState
from .retry import delay_after
from .turn import Turn


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pending activities are meant: by id, by type, or (with neither) all."""

    activity_id: str | None = None
    activity_type: str | None = None


def select(state: ExecutionState, which: Selection) -> list[Activity]:
    """The pending activities that are meant. NOT_FOUND if the run is closed or there are none."""
    if not state.running:
        raise WorkflowCompleted()
    return find(state, which)


def find(state: ExecutionState, which: Selection) -> list[Activity]:
    """As `select`, in closed runs too."""
    found = [each for each in state.activities.values() if _is_meant(each, which)]
    if not found:
        raise no_such_activity()
    return found


def _is_meant(pending: Activity, which: Selection) -> bool:
    if which.activity_id is not None:
        return pending.activity_id == which.activity_id
    return which.activity_type is None or pending.activity_type == which.activity_type


def pause(turn: Turn, which: Selection, identity: str, reason: str, request_id: str) -> None:
    """No further attempts, until unpaused. FAILED_PRECONDITION if another request has paused it."""
    for pending in select(turn.state, which):
        if pending.paused and pending.pause_request_id == request_id:
            continue
        if pending.paused:
            raise failed_precondition("activity is already paused")
        if not pending.started:
            pending.stamp += 1
            pending.retry_at = 0
        pending.paused_at = turn.ctx.now
        pending.pause_identity, pending.pause_reason, pending.pause_request_id = identity, reason, request_id
    _note_pauses(turn)


def unpause(turn: Turn, which: Selection, *, reset_attempts: bool, reset_heartbeat: bool, jitter: int) -> None:
    """The next attempt is made at once, or at some moment within ``jitter`` (nanoseconds)."""
    for pending in select(turn.state, which):
        if not pending.paused:
            continue
        _end_pause(pending)
        pending.stamp += 1
        if reset_attempts:
            pending.attempt = 1
        if reset_heartbeat:
            pending.heartbeat_at, pending.heartbeat_details = 0, b""
        if not pending.started:
            _schedule_anew(turn, pending, _somewhen(turn, jitter))
    _note_pauses(turn)


def reset(
    turn: Turn, which: Selection, *, reset_heartbeat: bool, keep_paused: bool, restore_options: bool, jitter: int
) -> None:
    """Begin again with the first attempt: at once if no worker has one, else after the one that it has."""
    for pending in select(turn.state, which):
        pending.attempt, pending.reset = 1, True
        pending.drops_heartbeat = pending.drops_heartbeat or reset_heartbeat
        if restore_options:
            set_options(pending, original_options(pending), keeps_priority=True)
            pending.stamp += 1
        if pending.paused and keep_paused:
            continue
        pending.stamp += 1
        _end_pause(pending)
        if not pending.started:
            _schedule_anew(turn, pending, _somewhen(turn, jitter))
    _note_pauses(turn)


def change_options(turn: Turn, which: Selection, changes: ActivityOptions, paths: Collection[str]) -> ActivityOptions:
    """Change some options; those of the last activity that was changed. INVALID_ARGUMENT if they cannot be so."""
    limit = turn.ctx.limits.id_length
    found = [(each, merged(each, changes, paths, limit)) for each in find(turn.state, which)]
    return _set_all(turn, found)


def restore_options(turn: Turn, which: Selection) -> ActivityOptions:
    """Back to the options that the activities were scheduled with; closed runs are no exception."""
    found = [(each, original_options(each)) for each in find(turn.state, which)]
    options = ActivityOptions()
    options.CopyFrom(_set_all(turn, found))
    options.retry_policy.non_retryable_error_types.extend(found[-1][0].non_retryable)
    return options


def _set_all(turn: Turn, found: Sequence[tuple[Activity, ActivityOptions]]) -> ActivityOptions:
    for pending, options in found:
        set_options(pending, options)
        pending.stamp += 1
        if not pending.started:
            _schedule_anew(turn, pending, _due(pending))
    return found[-1][1]


def _due(pending: Activity) -> int:
    """When the next attempt is due: as it was, or by the retry policy as it is now."""
    # The server takes the next attempt's number here where it takes the last one's after a failure.
    wait = delay_after(pending.attempt, pending.retry_initial, pending.retry_coefficient, pending.retry_maximum)
    return pending.last_attempt_completed_at + wait if pending.attempt > 1 and wait > 0 else pending.scheduled_at


def _schedule_anew(turn: Turn, pending: Activity, at: int) -> None:
    """The offer of the next attempt takes the place of the one before, which is stale by its stamp."""
    pending.scheduled_at = at
    pending.last_failure = b""
    activity.forget_reset(pending)
    pending.retry_at = 0
    if pending.paused or not turn.state.running:
        return
    if at > turn.ctx.now:
        pending.retry_at, pending.retry_interval = at, at - pending.last_attempt_completed_at
    else:
        activity.dispatch(turn, pending)


def _end_pause(pending: Activity) -> None:
    pending.paused_at = 0
    pending.pause_identity = pending.pause_reason = pending.pause_request_id = ""


def _somewhen(turn: Turn, jitter: int) -> int:
    """A moment within ``jitter`` from now, by chance: the clock's fraction of a second."""
    return turn.ctx.now + jitter * (turn.ctx.now % SECOND) // SECOND


def _note_pauses(turn: Turn) -> None:
    """Which types are paused is a search attribute. Like on the server, only these operations bring it up to date."""
    types = sorted({each.activity_type for each in turn.state.activities.values() if each.paused})
    if types != turn.state.paused_types:
        turn.state.paused_types = types
        turn.visibility_changed = True
