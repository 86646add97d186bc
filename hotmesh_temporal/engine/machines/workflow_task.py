"""The workflow task: the turn of a worker to read new events and answer with commands.

    (none) --scheduled--> scheduled
    scheduled --a worker takes it--> in flight
    scheduled --timed out on a sticky queue, now on the normal one--> scheduled
    in flight --completed; the next is attempt 1--> (none)
    in flight --failed, timed out; the next is one attempt more--> (none)

A speculative task brings updates to a worker. It leaves no events at all if they are rejected; as soon as anything
else happens to the run it is written down, and is a normal one from there on.

From the second attempt on a task is transient: it leaves no events until it completes, so that a task which fails
again and again does not fill the history. New events in between make it a normal first attempt again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import (
    EventType,
    SuggestContinueAsNewReason,
    TaskQueueKind,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure, ResetWorkflowFailureInfo
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskFailedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
    WorkflowTaskTimedOutEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from ..context import SECOND, Limits
from ..effects import TaskDispatch, Withdrawal
from ..model import ExecutionState, WorkflowTask
from ..protos import duration, moment, nanos, timestamp

if TYPE_CHECKING:
    from ..turn import Turn


_SERVER = "history-service"
_NO_REQUEST = "emptyUuid"
"""What the server writes as request of a task that nobody has asked for."""
FORCE_CLOSE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND
_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW

_JITTER = 0.2
"""Share of a growing timeout that varies, so that tasks which fail together are not repeated together."""


def schedule(turn: Turn, original_scheduled_at: int = 0) -> None:
    """Offer a workflow task to the workers, unless one is pending already or the run is closed.

    ``original_scheduled_at`` is that of the task which a worker keeps alive by heartbeats (local activities).
    """
    state = turn.state
    if state.task is not None or not state.running:
        return
    if turn.flush():
        state.task_attempt = 1
    if state.task_attempt > 1:
        _schedule_transient(turn)
    else:
        turn.record(_scheduled_attributes(state, state.sticky_queue, state.task_timeout, 1))
    task = state.task
    assert task is not None
    task.original_scheduled_at = original_scheduled_at or task.scheduled_at
    turn.dispatch(TaskDispatch(False, task.queue, task.sticky, task.scheduled_event_id, task.attempt))


def schedule_first(turn: Turn) -> None:
    """The wait for the first task is over. One that brings an update already is the first, then."""
    write_speculative(turn)
    schedule(turn)


def schedule_speculative(turn: Turn) -> None:
    """Offer a task that only brings updates, unless a task is pending already: they go with that one.

    This does not wait for a start delay to pass.
    """
    state, now = turn.state, turn.ctx.now
    if state.task is not None or not state.running:
        return
    wait = state.sticky_timeout if state.sticky_queue else turn.ctx.limits.speculative_schedule_to_start
    task = state.task = WorkflowTask(
        scheduled_event_id=state.next_event_id,
        attempt=1,
        scheduled_at=now,
        original_scheduled_at=now,
        timeout=state.task_timeout,
        queue=state.sticky_queue or state.task_queue,
        sticky=bool(state.sticky_queue),
        schedule_deadline=now + wait if wait else 0,
        speculative=True,
    )
    turn.dispatch(TaskDispatch(False, task.queue, task.sticky, task.scheduled_event_id, task.attempt))


def write_speculative(turn: Turn, identity: str = "") -> None:
    """Something else happens to the run: a speculative task becomes a normal one, its events come first.

    ``identity``: of the worker, for the started event. Like the server, nobody is named if that worker is not asking.
    """
    task = turn.state.task
    if task is None or not task.speculative:
        return
    turn.state.task = None
    scheduled, started = transient_events(turn.state, task, identity=identity)
    _record_at(turn, scheduled.workflow_task_scheduled_event_attributes, task.scheduled_at)
    made = turn.state.task
    assert made is not None
    made.original_scheduled_at = task.original_scheduled_at
    if task.started_at:
        _record_at(turn, started.workflow_task_started_event_attributes, task.started_at)


def drop_untaken_speculative(turn: Turn) -> None:
    """The run closes before a worker took the speculative task: it leaves no trace."""
    task = turn.state.task
    if task is not None and task.speculative and not task.started_at:
        turn.state.task = None


def _record_at(turn: Turn, attributes: Message, at: int) -> int:
    return turn.record(attributes, adjust=lambda new: new.event_time.CopyFrom(timestamp(at))).event_id


def _schedule_transient(turn: Turn) -> None:
    state, now = turn.state, turn.ctx.now
    state.task = WorkflowTask(
        scheduled_event_id=state.next_event_id,
        attempt=state.task_attempt,
        scheduled_at=now,
        original_scheduled_at=now,
        timeout=_timeout_of_attempt(turn.ctx.limits, state.task_timeout, state.task_attempt, now),
        queue=state.task_queue,
    )


def _timeout_of_attempt(limits: Limits, timeout: int, attempt: int, now: int) -> int:
    """Tasks that fail again and again get ever more time, which slows the retries of a worker that does not answer."""
    extra = attempt - limits.task_retry_minimum_attempts
    if extra <= 0:
        return timeout
    backoff = min(limits.task_retry_initial * 2 ** min(extra - 1, 30), limits.task_retry_maximum)
    return timeout + backoff - int(backoff * _JITTER * (now % SECOND) / SECOND)


def _scheduled_attributes(
    state: ExecutionState, sticky_queue: str, timeout: int, attempt: int
) -> WorkflowTaskScheduledEventAttributes:
    normal, sticky = TaskQueueKind.TASK_QUEUE_KIND_NORMAL, TaskQueueKind.TASK_QUEUE_KIND_STICKY
    queue = (
        TaskQueue(name=sticky_queue, kind=sticky, normal_name=state.task_queue)
        if sticky_queue
        else TaskQueue(name=state.task_queue, kind=normal)
    )
    return WorkflowTaskScheduledEventAttributes(
        task_queue=queue, start_to_close_timeout=duration(timeout), attempt=attempt
    )


def start(
    turn: Turn, request_id: str, identity: str, worker_version: WorkerVersionStamp, *, from_sticky: bool = True
) -> WorkflowTask:
    """A worker takes the pending task. ``from_sticky`` False: from the normal queue, whichever it was meant for."""
    state, now = turn.state, turn.ctx.now
    task = state.task
    assert task is not None
    assert task.started_at == 0
    if task.attempt > 1 and task.scheduled_event_id != state.next_event_id:
        task = _make_normal(turn, task)
    if task.speculative and not from_sticky:
        task.queue, task.sticky = state.task_queue, False
    size, reasons = turn.size_before, _reasons(turn)
    if not task.unwritten:
        turn.record(
            WorkflowTaskStartedEventAttributes(
                scheduled_event_id=task.scheduled_event_id,
                identity=identity,
                request_id=request_id,
                history_size_bytes=size,
                suggest_continue_as_new=bool(reasons),
                suggest_continue_as_new_reasons=reasons,  # type: ignore[arg-type]  # enum values are ints
                worker_version=worker_version if worker_version.ByteSize() else None,
            )
        )
    else:
        task.started_event_id = task.scheduled_event_id + 1
        task.started_at = now
    task.request_id, task.identity = request_id, identity
    task.worker_version = worker_version.SerializeToString()
    task.history_size, task.suggest_continue_as_new, task.suggest_reasons = size, bool(reasons), reasons
    turn.keeps_speculative = True
    return task


def _reasons(turn: Turn) -> list[int]:
    """Why the worker should continue as new, if it should."""
    state, limits, reasons = turn.state, turn.ctx.limits, list[int]()
    if turn.size_before >= limits.history_suggest_size:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE)
    if state.next_event_id > limits.history_suggest_count:
        reasons.append(SuggestContinueAsNewReason.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS)
    return reasons


def _make_normal(turn: Turn, task: WorkflowTask) -> WorkflowTask:
    """Events came in after a transient task was offered: from here on it is a first attempt with events of its own."""
    state = turn.state
    state.task_attempt = 1
    turn.record(_scheduled_attributes(state, state.sticky_queue, task.timeout, 1))
    made = state.task
    assert made is not None
    made.original_scheduled_at = task.original_scheduled_at
    return made


def complete(turn: Turn, request: RespondWorkflowTaskCompletedRequest) -> int:
    """The worker has answered; returns the id of the WorkflowTaskCompleted event."""
    task = turn.state.task
    assert task is not None
    scheduled_id, started_id = _write_transient(turn, task)
    attributes = WorkflowTaskCompletedEventAttributes(
        scheduled_event_id=scheduled_id,
        started_event_id=started_id,
        identity=request.identity,
        binary_checksum=request.binary_checksum,
        sdk_metadata=request.sdk_metadata if request.HasField("sdk_metadata") else None,
        metering_metadata=request.metering_metadata if request.HasField("metering_metadata") else None,
        worker_deployment_name=request.deployment_options.deployment_name or request.deployment.series_name,
    )
    if request.HasField("worker_version_stamp"):
        attributes.worker_version.CopyFrom(request.worker_version_stamp)
        turn.state.worker_version = request.worker_version_stamp.SerializeToString()
    return turn.record(attributes).event_id


def _write_transient(turn: Turn, task: WorkflowTask) -> tuple[int, int]:
    """A transient task that completes gets its events after all."""
    if task.speculative:
        write_speculative(turn, task.identity)
    if task.attempt == 1:
        return task.scheduled_event_id, task.started_event_id
    scheduled, started = transient_events(turn.state, task)
    for event, at in ((scheduled, task.scheduled_at), (started, task.started_at)):
        attributes = (
            event.workflow_task_scheduled_event_attributes
            if event is scheduled
            else event.workflow_task_started_event_attributes
        )
        written = turn.record(attributes, adjust=lambda new, at=at: new.event_time.CopyFrom(timestamp(at)))
        if event is scheduled:
            started.workflow_task_started_event_attributes.scheduled_event_id = written.event_id
    after = turn.state.task
    assert after is not None
    return after.scheduled_event_id, after.started_event_id


def transient_events(
    state: ExecutionState, task: WorkflowTask, *, identity: str | None = None
) -> tuple[HistoryEvent, HistoryEvent]:
    """The two events of a transient task: what a reader is shown, and what is written if it completes.

    ``identity``: of the worker, if another one is to be shown than the one that has the task.
    """
    version = WorkerVersionStamp.FromString(task.worker_version)
    scheduled = HistoryEvent(
        event_id=task.scheduled_event_id,
        event_time=timestamp(task.scheduled_at),
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        workflow_task_scheduled_event_attributes=_scheduled_attributes(
            state, task.queue if task.sticky else "", task.timeout, task.attempt
        ),
    )
    started = HistoryEvent(
        event_id=task.scheduled_event_id + 1,
        event_time=timestamp(task.started_at),
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        workflow_task_started_event_attributes=WorkflowTaskStartedEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            identity=task.identity if identity is None else identity,
            request_id=task.request_id,
            history_size_bytes=task.history_size,
            suggest_continue_as_new=task.suggest_continue_as_new,
            suggest_continue_as_new_reasons=task.suggest_reasons,  # type: ignore[arg-type]  # enum values are ints
            worker_version=version if version.ByteSize() else None,
        ),
    )
    return scheduled, started


def fail(turn: Turn, cause: int, failure: Failure | None, identity: str, binary_checksum: str = "") -> None:
    """The task failed: at the worker, or because its commands are invalid."""
    task = turn.state.task
    assert task is not None
    if task.attempt > 1:
        _next_attempt(turn.state)
        return
    write_speculative(turn, identity)
    turn.record(
        WorkflowTaskFailedEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            cause=cause,  # type: ignore[arg-type]  # enum values are ints
            failure=failure,
            identity=identity,
            binary_checksum=binary_checksum,
        )
    )


def time_out(turn: Turn, kind: int) -> None:
    """The worker did not answer (start-to-close), or the sticky worker did not take it (schedule-to-start)."""
    task = turn.state.task
    assert task is not None
    if task.attempt > 1 and kind == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE:
        _next_attempt(turn.state)
        return
    if task.sticky and not task.started_at:
        turn.withdraw(Withdrawal(task.queue, task.schedule_deadline - task.scheduled_at))
    turn.record(
        WorkflowTaskTimedOutEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            timeout_type=kind,  # type: ignore[arg-type]  # enum values are ints
        )
    )


def shed_buffer(turn: Turn) -> None:
    """More events wait for the task in flight than may: it fails, they take their place, and it is tried again."""
    state, limits = turn.state, turn.ctx.limits
    if not state.task_in_flight:
        return
    if len(state.buffered) > limits.buffered_events or sum(map(len, state.buffered)) > limits.buffered_size:
        fail(turn, FORCE_CLOSE, None, _SERVER)
        turn.flush()
        schedule(turn)


def has_or_repeats(state: ExecutionState) -> bool:
    """A task is pending, or was failed and would be repeated without leaving events."""
    return state.task is not None or state.task_attempt > 1


def fail_by_reset(turn: Turn, base_run_id: str, reason: str) -> None:
    """The task that is pending at the point of a reset fails: the first thing that is new in the run.

    One that no worker has taken there is started for it, one that would be repeated gets its events first.
    """
    state = turn.state
    if state.task is None:
        turn.record(_scheduled_attributes(state, "", state.task_timeout, 1))
    task = state.task
    assert task is not None
    if not task.started_at:
        turn.record(
            WorkflowTaskStartedEventAttributes(
                scheduled_event_id=task.scheduled_event_id,
                identity=_SERVER,
                request_id=_NO_REQUEST,
                history_size_bytes=turn.size_before,
                suggest_continue_as_new=bool(_reasons(turn)),
            )
        )
    turn.record(
        WorkflowTaskFailedEventAttributes(
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            cause=_RESET,
            failure=Failure(message=reason, reset_workflow_failure_info=ResetWorkflowFailureInfo()),
            identity=_SERVER,
            base_run_id=base_run_id,
            new_run_id=state.run_id,
        )
    )


def deadline(task: WorkflowTask) -> int:
    """When the pending task times out (0: never)."""
    if task.started_at:
        return task.started_at + task.timeout
    return task.schedule_deadline


def _next_attempt(state: ExecutionState) -> None:
    """Like the server: a task that fails while there is a sticky worker is first tried anew by any worker."""
    state.task = None
    if not state.sticky_queue:
        state.task_attempt += 1
    state.sticky_queue, state.sticky_timeout = "", 0


def _scheduled(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.workflow_task_scheduled_event_attributes
    at, sticky = moment(event.event_time), attributes.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    state.task = WorkflowTask(
        scheduled_event_id=event.event_id,
        attempt=1,
        scheduled_at=at,
        original_scheduled_at=at,
        timeout=nanos(attributes.start_to_close_timeout),
        queue=attributes.task_queue.name,
        sticky=sticky,
        schedule_deadline=at + state.sticky_timeout if sticky and state.sticky_timeout else 0,
    )
    state.had_task = True


def _started(state: ExecutionState, event: HistoryEvent) -> None:
    task = state.task
    assert task is not None
    attributes = event.workflow_task_started_event_attributes
    task.started_event_id, task.started_at = event.event_id, moment(event.event_time)
    task.request_id, task.identity = attributes.request_id, attributes.identity
    task.worker_version = attributes.worker_version.SerializeToString()
    task.history_size = attributes.history_size_bytes
    task.suggest_continue_as_new = attributes.suggest_continue_as_new
    task.suggest_reasons = [int(each) for each in attributes.suggest_continue_as_new_reasons]


def _completed(state: ExecutionState, event: HistoryEvent) -> None:
    state.task, state.task_attempt, state.close_attempted = None, 1, False
    state.last_task_started_id = event.workflow_task_completed_event_attributes.started_event_id
    state.last_task_completed_id = event.event_id


def _failed(state: ExecutionState, event: HistoryEvent) -> None:
    _next_attempt(state)
    attributes = event.workflow_task_failed_event_attributes
    if attributes.cause == _RESET:
        state.task_attempt = 1
        if attributes.new_run_id == state.run_id:
            _begin_anew(state, moment(event.event_time))


def _begin_anew(state: ExecutionState, now: int) -> None:
    """The run was made by a reset: its own times, and those of its pending activities, count from there."""
    wait = state.execution_at - state.started_at
    state.reset_at, state.started_at, state.execution_at = now, now, now + wait
    state.run_expires_at = now + state.run_timeout if state.run_timeout else 0
    state.execution_expires_at = now + state.execution_timeout if state.execution_timeout else 0
    for each in state.activities.values():
        each.first_scheduled_at = each.scheduled_at = now


def _timed_out(state: ExecutionState, event: HistoryEvent) -> None:
    if event.workflow_task_timed_out_event_attributes.timeout_type == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE:
        _next_attempt(state)
        return
    state.task = None
    state.sticky_queue, state.sticky_timeout = "", 0


FOLDS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: _started,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: _completed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _failed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: _timed_out,
}
