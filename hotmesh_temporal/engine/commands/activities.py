"""Schedule an activity, and request its cancellation."""

from __future__ import annotations

from typing import Literal, get_args

from temporalio.api.command.v1 import Command, ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import CommandType, EventType, TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    ActivityTaskCancelRequestedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
)
from temporalio.api.taskqueue.v1 import TaskQueue

from ..durations import cut_down
from ..events import CLOSES_PENDING, FIELD_OF
from ..machines import activity
from ..priorities import problem as problem_of_priority
from ..protos import duration, nanos
from ..retry import problem, with_defaults
from ..turn import Turn
from .scope import CommandScope, require, require_size

_BAD = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
_BAD_CANCEL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES
_DUPLICATE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID
_TOO_MANY = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED


_Timeout = Literal[
    "schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout", "heartbeat_timeout"
]
_TIMEOUTS: tuple[_Timeout, ...] = get_args(_Timeout)


def schedule(scope: CommandScope, command: Command) -> None:
    """ScheduleActivityTask."""
    given, turn = command.schedule_activity_task_command_attributes, scope.turn
    check(given, turn.ctx.limits.id_length)
    require_size(scope, given.input.ByteSize(), _BAD, "ScheduleActivityTaskCommandAttributes.Input")
    limit = turn.ctx.limits.pending_activities
    require(
        len(turn.state.activities) < limit,
        _TOO_MANY,
        f"the number of pending activities, {len(turn.state.activities)}, has reached the per-workflow limit of "
        f"{limit}",
    )
    require(
        all(each.activity_id != given.activity_id for each in turn.state.activities.values()),
        _DUPLICATE,
        f"invalid history builder state for action: add-activitytask-scheduled-event, ActivityID: {given.activity_id}",
    )
    event = turn.record(_attributes(scope, given))
    pending = turn.state.activities[event.event_id]
    if given.request_eager_execution and turn.ctx.limits.eager_activities:
        scope.eager.append(event.event_id)
    else:
        activity.dispatch(turn, pending)


def check(given: ScheduleActivityTaskCommandAttributes, id_limit: int) -> None:
    """Raises `TaskFailed` if an activity cannot be scheduled so. `timeouts` finds the rest."""
    queue, kind = given.task_queue.name, given.activity_type.name
    require(given.HasField("task_queue"), _BAD, "taskQueue is not set")
    require(queue, _BAD, "missing task queue name")
    require(given.activity_id, _BAD, "activityId is not set")
    require(kind, _BAD, "activityType is not set")
    wrong = problem(given.retry_policy)
    require(
        wrong is None,
        _BAD,
        wrong or "",
    )
    for name, text in (("activityId", given.activity_id), ("activityType", kind), ("taskQueue", queue)):
        size = len(text.encode())
        more = "" if name == "taskQueue" else f". Length={size} Limit={id_limit}"
        require(
            size <= id_limit, _BAD, f"{name} length exceeds limit" if not more else f"{name} exceeds length limit{more}"
        )
    for field in _TIMEOUTS:
        title = "".join(part.capitalize() for part in field.split("_"))
        wrong = cut_down(getattr(given, field)) if given.HasField(field) else None
        require(wrong is None, _BAD, f"invalid {title}: {wrong}")
    wrong = problem_of_priority(given.priority)
    require(wrong is None, _BAD, f"invalid priorities: {wrong}")


def _attributes(
    scope: CommandScope, given: ScheduleActivityTaskCommandAttributes
) -> ActivityTaskScheduledEventAttributes:
    whole, waiting, running, heartbeat = timeouts(given, scope.turn.state.run_timeout)
    return ActivityTaskScheduledEventAttributes(
        activity_id=given.activity_id,
        activity_type=given.activity_type,
        task_queue=TaskQueue(
            name=given.task_queue.name,
            kind=given.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
            normal_name=given.task_queue.normal_name,
        ),
        header=given.header if given.HasField("header") else None,
        input=given.input if given.HasField("input") else None,
        schedule_to_close_timeout=duration(whole),
        schedule_to_start_timeout=duration(waiting),
        start_to_close_timeout=duration(running),
        heartbeat_timeout=duration(heartbeat),
        workflow_task_completed_event_id=scope.completed_id,
        retry_policy=with_defaults(given.retry_policy if given.HasField("retry_policy") else RetryPolicy()),
        use_workflow_build_id=given.use_workflow_build_id,
        priority=given.priority if given.HasField("priority") else None,
    )


def timeouts(given: ScheduleActivityTaskCommandAttributes, run_timeout: int) -> tuple[int, int, int, int]:
    """The four timeouts, each filled from the others and none longer than the run (0: none)."""
    whole, running = nanos(given.schedule_to_close_timeout), nanos(given.start_to_close_timeout)
    waiting, heartbeat = nanos(given.schedule_to_start_timeout), nanos(given.heartbeat_timeout)
    require(
        whole or running,
        _BAD,
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the activity. "
        f"ActivityId={given.activity_id} ActivityType={given.activity_type.name}",
    )
    if whole:
        waiting, running = min(waiting or whole, whole), min(running or whole, whole)
    else:
        whole, waiting = run_timeout, waiting or run_timeout
    if run_timeout:
        whole, waiting, running = min(whole, run_timeout), min(waiting, run_timeout), min(running, run_timeout)
    return whole, waiting, running, min(heartbeat, running)


def request_cancel(scope: CommandScope, command: Command) -> None:
    """RequestCancelActivityTask. An activity that nobody works on is canceled at once."""
    scheduled_id = command.request_cancel_activity_task_command_attributes.scheduled_event_id
    require(scheduled_id > 0, _BAD_CANCEL, "ScheduledEventId is not set on RequestCancelActivityTaskCommand.")
    turn = scope.turn
    pending = turn.state.activities.get(scheduled_id)
    require(
        (pending is not None and not pending.cancel_requested) or _closed_unseen(turn, scheduled_id),
        _BAD_CANCEL,
        "invalid history builder state for action: add-activitytask-cancel-requested-event, "
        f"ScheduledEventID: {scheduled_id}",
    )
    turn.record(
        ActivityTaskCancelRequestedEventAttributes(
            scheduled_event_id=scheduled_id, workflow_task_completed_event_id=scope.completed_id
        )
    )
    if pending is not None and not pending.started:
        scope.eager = [each for each in scope.eager if each != scheduled_id]
        scope.wake = True
        activity.cancel_unstarted(turn, pending, scope.identity)


def _closed_unseen(turn: Turn, scheduled_id: int) -> bool:
    """The activity is over, but its outcome is still buffered."""
    for data in turn.state.buffered:
        event = HistoryEvent.FromString(data)
        if event.event_type not in CLOSES_PENDING or event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
            continue
        if getattr(getattr(event, FIELD_OF[event.event_type]), "scheduled_event_id", 0) == scheduled_id:
            return True
    return False


HANDLERS = {
    CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK: schedule,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK: request_cancel,
}
