"""Activities.

    (none) --scheduled--> scheduled
    scheduled --a worker takes it--> started
    started --completed, canceled, failed or timed out for good--> (none)
    started --failed or timed out, to be retried--> waiting
    waiting --retry is due--> scheduled
    scheduled, waiting --timed out, cancel requested--> (none)
    scheduled, waiting --paused--> paused
    paused --unpaused, reset--> scheduled
    paused --unpaused or reset with a delay--> waiting
    started --paused, then failed or timed out, to be retried--> paused
    paused --completed by id, cancel requested--> (none)

An attempt leaves no event of its own: ActivityTaskStarted is written together with the outcome of the last attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads, WorkerVersionStamp
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
    HistoryEvent,
)

from ...errors import invalid_argument
from ..effects import TaskDispatch
from ..failures import too_large
from ..model import Activity, ExecutionState
from ..priority import packed_priority
from ..protos import moment, nanos, timestamp
from ..retry import Backoff, is_retryable, next_attempt

if TYPE_CHECKING:
    from ..turn import Turn


@dataclass(frozen=True, slots=True)
class Answerer:
    """The worker that reports an outcome; its version goes into the event of the attempt's start."""

    identity: str
    worker_version: WorkerVersionStamp | None = None


_TIMEOUT_TEXT = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "activity StartToClose timeout",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: "activity ScheduleToStart timeout",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: "activity ScheduleToClose timeout",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "activity Heartbeat timeout",
}


def dispatch(turn: Turn, activity: Activity) -> None:
    """Offer the current attempt to the workers."""
    turn.dispatch(TaskDispatch(True, activity.queue, False, activity.scheduled_event_id, activity.stamp))


def start(turn: Turn, activity: Activity, request_id: str, identity: str) -> None:
    """A worker takes the current attempt."""
    activity.started_at = turn.ctx.now
    activity.request_id, activity.identity = request_id, identity
    activity.last_worker_identity = identity


def heartbeat(turn: Turn, activity: Activity, details: Payloads | None) -> None:
    """The worker says that it is alive; its details are shown to the next attempt."""
    activity.heartbeat_at = turn.ctx.now
    activity.heartbeat_details = details.SerializeToString() if details is not None else b""


def complete(turn: Turn, activity: Activity, result: Payloads | None, by: Answerer) -> None:
    """The current attempt succeeded."""
    started_id = _write_start(turn, activity, by.worker_version)
    attributes = ActivityTaskCompletedEventAttributes(
        scheduled_event_id=activity.scheduled_event_id,
        started_event_id=started_id,
        identity=by.identity,
        result=result,
    )
    turn.record(attributes)


def cancel_at_worker(turn: Turn, activity: Activity, details: Payloads | None, identity: str) -> None:
    """The worker stopped because it was asked to."""
    if not activity.cancel_requested:
        raise invalid_argument("unable to mark activity as canceled without activity being request canceled first")
    started_id = _write_start(turn, activity)
    _write_canceled(turn, activity, started_id, details, identity)


def cancel_unstarted(turn: Turn, activity: Activity, identity: str) -> None:
    """Nobody works on it: a request to cancel ends it at once."""
    _write_canceled(turn, activity, 0, _NOT_STARTED, identity)


def _write_canceled(turn: Turn, activity: Activity, started_id: int, details: Payloads | None, identity: str) -> None:
    turn.record(
        ActivityTaskCanceledEventAttributes(
            details=details,
            latest_cancel_requested_event_id=activity.cancel_request_event_id,
            scheduled_event_id=activity.scheduled_event_id,
            started_event_id=started_id,
            identity=identity,
        )
    )


def fail(turn: Turn, activity: Activity, failure: Failure, by: Answerer) -> bool:
    """The current attempt failed. True if it will be tried again, else the activity is over."""
    backoff = _backoff(turn, activity, failure)
    if backoff.again:
        kept = turn.ctx.limits.pending_failure_size
        if failure.ByteSize() > kept:
            failure = too_large(failure, kept, non_retryable=False)
        _leave_attempt(turn, activity, failure, backoff)
        return True
    started_id = _write_start(turn, activity, by.worker_version)
    turn.record(
        ActivityTaskFailedEventAttributes(
            failure=failure,
            scheduled_event_id=activity.scheduled_event_id,
            started_event_id=started_id,
            identity=by.identity,
            retry_state=backoff.state,  # type: ignore[arg-type]  # enum values are ints
        )
    )
    return False


def time_out(turn: Turn, activity: Activity, kind: int) -> bool:
    """A timeout of the activity has passed. True if the attempt will be made again, else the activity is over."""
    failure = _timeout_failure(kind)
    backoff = _backoff(turn, activity, failure)
    if kind in _OF_THE_WHOLE:
        backoff = Backoff(RetryState.RETRY_STATE_TIMEOUT)
    elif backoff.again:
        _leave_attempt(turn, activity, failure, backoff)
        return True
    if backoff.state == RetryState.RETRY_STATE_TIMEOUT and kind != TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START:
        failure = _no_time_left()
    if activity.last_failure:
        failure.cause.ParseFromString(activity.last_failure)
    if activity.heartbeat_details:
        failure.timeout_failure_info.last_heartbeat_details.ParseFromString(activity.heartbeat_details)
    started_id = _write_start(turn, activity) if activity.started else 0
    turn.record(
        ActivityTaskTimedOutEventAttributes(
            failure=failure,
            scheduled_event_id=activity.scheduled_event_id,
            started_event_id=started_id,
            retry_state=backoff.state,  # type: ignore[arg-type]  # enum values are ints
        )
    )
    return False


def lose_worker(turn: Turn, activity: Activity) -> None:
    """No answer of the worker that has the attempt can arrive any more: the next attempt is made at once.

    Without one (the attempt was the last, or the workflow wants an end) the attempt goes on until it times out, as
    that of a worker which has died; somebody who knows the activity's id may still end it.
    """
    failure = _timeout_failure(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    failure.message = _WORKER_LOST
    failure.timeout_failure_info.last_heartbeat_details.ParseFromString(activity.heartbeat_details)
    backoff = _backoff(turn, activity, failure)
    if not backoff.again:
        return
    _leave_attempt(turn, activity, failure, backoff)
    if not activity.paused:
        activity.retry_at = activity.retry_interval = 0
        activity.scheduled_at = turn.ctx.now
        dispatch(turn, activity)


_WORKER_LOST = "the workflow was moved to another service while a worker had this attempt"
_NOT_STARTED = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"')])
_OF_THE_WHOLE = (TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START)


def retry_due(turn: Turn, activity: Activity) -> None:
    """The wait before the next attempt is over."""
    activity.retry_at = 0
    dispatch(turn, activity)


def deadline(activity: Activity) -> tuple[int, int]:
    """When the activity times out next, and which ``TimeoutType`` that is; (0, 0) if it never does.

    While it is paused, no timeout counts, not even that of an attempt which a worker goes on with.
    """
    if activity.paused:
        return 0, 0
    whole = activity.first_scheduled_at + activity.schedule_to_close if activity.schedule_to_close else 0
    candidates = [(whole, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)]
    if activity.started:
        if activity.start_to_close:
            candidates.append((activity.started_at + activity.start_to_close, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE))
        if activity.heartbeat:
            alive_at = max(activity.started_at, activity.heartbeat_at)
            candidates.append((alive_at + activity.heartbeat, TimeoutType.TIMEOUT_TYPE_HEARTBEAT))
    elif activity.schedule_to_start:
        waiting_since = activity.scheduled_at
        candidates.append((waiting_since + activity.schedule_to_start, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START))
    return min((each for each in candidates if each[0]), default=(0, 0))


def _timeout_failure(kind: int) -> Failure:
    return Failure(
        message=_TIMEOUT_TEXT[TimeoutType.ValueType(kind)],
        source="Server",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=kind),  # type: ignore[arg-type]  # enum values are ints
    )


def _no_time_left() -> Failure:
    return Failure(
        message="Not enough time to schedule next retry before activity ScheduleToClose timeout, giving up retrying",
        source="Server",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE),
    )


def _backoff(turn: Turn, activity: Activity, failure: Failure) -> Backoff:
    if activity.cancel_requested:
        return Backoff(RetryState.RETRY_STATE_CANCEL_REQUESTED)
    if activity.paused and is_retryable(failure, activity.non_retryable):
        return Backoff(RetryState.RETRY_STATE_IN_PROGRESS)
    return next_attempt(
        now=turn.ctx.now,
        attempt=activity.attempt,
        maximum_attempts=activity.retry_attempts,
        initial=activity.retry_initial,
        coefficient=activity.retry_coefficient,
        maximum=activity.retry_maximum,
        expires_at=activity.retry_expires_at,
        failure=failure,
        non_retryable=activity.non_retryable,
    )


def _leave_attempt(turn: Turn, activity: Activity, failure: Failure, backoff: Backoff) -> None:
    """The attempt is over. The next one is due after the wait, or, of a paused activity, when it is unpaused."""
    activity.attempt += 1
    activity.stamp += 1
    activity.last_failure = failure.SerializeToString()
    activity.last_attempt_completed_at = turn.ctx.now
    activity.started_at, activity.request_id = 0, ""
    if activity.paused:
        return
    forget_reset(activity)
    activity.retry_interval = backoff.delay
    activity.retry_at = activity.scheduled_at = turn.ctx.now + backoff.delay


def forget_reset(activity: Activity) -> None:
    """A new attempt begins: what a reset wanted is done."""
    if activity.drops_heartbeat:
        activity.heartbeat_at, activity.heartbeat_details = 0, b""
    activity.reset = activity.drops_heartbeat = False


def _write_start(turn: Turn, activity: Activity, worker_version: WorkerVersionStamp | None = None) -> int:
    """Write the event of the last attempt's start; its id (0 while it is buffered)."""
    started_at = activity.started_at
    attributes = ActivityTaskStartedEventAttributes(
        scheduled_event_id=activity.scheduled_event_id,
        identity=activity.identity,
        request_id=activity.request_id,
        attempt=activity.attempt,
    )
    if worker_version is not None:
        attributes.worker_version.CopyFrom(worker_version)
    if activity.last_failure:
        attributes.last_failure.ParseFromString(activity.last_failure)
    event = turn.record(attributes, adjust=lambda new: new.event_time.CopyFrom(timestamp(started_at)))
    return event.event_id


def _scheduled(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.activity_task_scheduled_event_attributes
    at, policy = moment(event.event_time), attributes.retry_policy
    whole = nanos(attributes.schedule_to_close_timeout)
    state.activities[event.event_id] = Activity(
        scheduled_event_id=event.event_id,
        activity_id=attributes.activity_id,
        activity_type=attributes.activity_type.name,
        queue=attributes.task_queue.name,
        first_scheduled_at=at,
        scheduled_at=at,
        schedule_to_close=whole,
        schedule_to_start=nanos(attributes.schedule_to_start_timeout),
        start_to_close=nanos(attributes.start_to_close_timeout),
        heartbeat=nanos(attributes.heartbeat_timeout),
        retry_initial=nanos(policy.initial_interval),
        retry_coefficient=policy.backoff_coefficient,
        retry_maximum=nanos(policy.maximum_interval),
        retry_attempts=policy.maximum_attempts,
        retry_expires_at=at + whole if whole else 0,
        non_retryable=list(policy.non_retryable_error_types),
        priority=packed_priority(attributes.priority) if attributes.HasField("priority") else None,
    )


def _started(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.activity_task_started_event_attributes
    activity = state.activities[attributes.scheduled_event_id]
    activity.started_at, activity.request_id = moment(event.event_time), attributes.request_id


def _cancel_requested(state: ExecutionState, event: HistoryEvent) -> None:
    activity = state.activities.get(event.activity_task_cancel_requested_event_attributes.scheduled_event_id)
    if activity is not None:
        activity.cancel_requested, activity.cancel_request_event_id = True, event.event_id


def _closed(state: ExecutionState, attributes: Message) -> None:
    state.activities.pop(attributes.scheduled_event_id, None)  # type: ignore[attr-defined]  # all four outcomes have it


FOLDS: dict[int, Callable[[ExecutionState, HistoryEvent], None]] = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: lambda state, event: _closed(
        state, event.activity_task_completed_event_attributes
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: lambda state, event: _closed(
        state, event.activity_task_failed_event_attributes
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: lambda state, event: _closed(
        state, event.activity_task_timed_out_event_attributes
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: lambda state, event: _closed(
        state, event.activity_task_canceled_event_attributes
    ),
}
