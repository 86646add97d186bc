"""Workflow and activity tasks: a worker takes one, answers it, or reports its failure."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure, ServerFailureInfo
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from ..errors import TaskFailed, WorkflowCompleted, activity_not_found, not_found, task_not_found
from . import commands, reset_points
from .commands import messages
from .commands.scope import CommandScope
from .durations import cut_down
from .machines import activity, update, workflow, workflow_task
from .model import Activity, ExecutionState, WorkflowTask
from .protos import nanos
from .turn import Turn

INLINE_REQUEST_ID = "request-from-RespondWorkflowTaskCompleted"
"""What the server writes for a task that a worker gets as the answer to its answer."""


@dataclass(slots=True)
class Answered:
    """What the answer of a worker leads to for that same worker: its next task, activities to run at once.

    ``reset_event_id``: the task was dropped, the worker has to forget everything after this event.
    """

    next_task: WorkflowTask | None = None
    reset_event_id: int = 0
    eager: list[Activity] = field(default_factory=list[Activity])


def take_workflow_task(
    turn: Turn,
    event_id: int,
    attempt: int,
    request_id: str,
    identity: str,
    version: WorkerVersionStamp,
    *,
    from_sticky: bool = True,
) -> WorkflowTask | None:
    """Hand the offered task to a worker; None if the offer is stale. It may be part of the decision that offers it.

    ``from_sticky``: the worker asked its sticky queue.
    """
    turn.size_before = turn.state.history_size
    task = turn.state.task
    if (
        task is None
        or not turn.state.running
        or task.started_at
        or (task.scheduled_event_id, task.attempt) != (event_id, attempt)
    ):
        return None
    return _hand_over(turn, request_id, identity, version, from_sticky=from_sticky)


def _hand_over(
    turn: Turn, request_id: str, identity: str, version: WorkerVersionStamp, *, from_sticky: bool = True
) -> WorkflowTask:
    task = workflow_task.start(turn, request_id, identity, version, from_sticky=from_sticky)
    update.send(turn, task)
    return task


def check_workflow_task(
    state: ExecutionState, event_id: int, started_id: int, attempt: int, started_at: int = 0
) -> WorkflowTask:
    """The task in flight that a token stands for. Raises NOT_FOUND if it is over.

    ``started_at`` tells apart speculative tasks that were dropped: they leave their event ids to the next one.
    """
    task = state.task
    if (
        not state.running
        or task is None
        or not task.started_at
        or (task.scheduled_event_id, task.attempt) != (event_id, attempt)
    ):
        raise task_not_found()
    if started_id and task.started_event_id != started_id:
        raise task_not_found()
    if started_at and task.started_at != started_at:
        raise task_not_found()
    return task


def answer_workflow_task(turn: Turn, request: RespondWorkflowTaskCompletedRequest) -> Answered:
    """Carry out the commands of a worker. Raises `TaskFailed` if one is invalid; the turn is then of no use."""
    state, task = turn.state, turn.state.task
    assert task is not None
    _check_heartbeat(turn, task)
    _set_sticky(state, request)
    if _may_drop(state, task, request):
        return _drop(turn, task, request)
    original, version = task.original_scheduled_at, task.worker_version
    completed_id = workflow_task.complete(turn, request)
    _note_reset_point(turn, request, completed_id, version)
    scope = CommandScope(turn, completed_id, request.identity, messages={each.id: each for each in request.messages})
    messages.deliver_rejections(scope, request.commands)
    for command in request.commands:
        commands.apply(scope, command)
    messages.deliver_rest(scope)
    if turn.state.running and not request.force_create_new_workflow_task:
        update.reject_unprocessed(turn, task)
    return _what_next(turn, scope, request, version, original)


def _may_drop(state: ExecutionState, task: WorkflowTask, request: RespondWorkflowTaskCompletedRequest) -> bool:
    """Nothing came of a speculative task: it need not be in the history."""
    if not task.speculative or request.commands or request.force_create_new_workflow_task:
        return False
    has_new_events = state.next_event_id != state.last_task_completed_id + 1
    if has_new_events and not request.capabilities.discard_speculative_workflow_task_with_events:
        return False
    return messages.only_rejections(request.messages)


def _drop(turn: Turn, task: WorkflowTask, request: RespondWorkflowTaskCompletedRequest) -> Answered:
    for message in request.messages:
        messages.deliver(turn, message)
    update.reject_unprocessed(turn, task)
    turn.state.task = None
    scope = CommandScope(turn, turn.state.last_task_completed_id, request.identity)
    answered = _what_next(turn, scope, request, task.worker_version, 0)
    answered.reset_event_id = turn.state.last_task_started_id
    return answered


def _what_next(
    turn: Turn, scope: CommandScope, request: RespondWorkflowTaskCompletedRequest, version: bytes, original: int
) -> Answered:
    answered = Answered()
    stamp = WorkerVersionStamp.FromString(version)
    if not turn.state.running:
        return answered
    if turn.state.buffered or scope.wake or request.force_create_new_workflow_task:
        heartbeat = request.force_create_new_workflow_task and not turn.state.buffered
        workflow_task.schedule(turn, original if heartbeat else 0)
    elif turn.state.asked_updates and request.return_new_workflow_task:
        workflow_task.schedule_speculative(turn)
    elif turn.state.asked_updates:
        workflow_task.schedule(turn)
    if turn.state.task is not None and request.return_new_workflow_task:
        turn.withdraw_workflow_task()
        answered.next_task = _hand_over(turn, INLINE_REQUEST_ID, request.identity, stamp)
    for scheduled_id in scope.eager:
        pending = turn.state.activities[scheduled_id]
        activity.start(turn, pending, turn.ctx.new_id(), request.identity)
        answered.eager.append(pending)
    return answered


def _check_heartbeat(turn: Turn, task: WorkflowTask) -> None:
    """Local activities may keep a task alive for long, but not for ever."""
    if turn.ctx.now - task.original_scheduled_at > turn.ctx.limits.task_heartbeat:
        raise not_found("workflow task heartbeat timeout")


def _set_sticky(state: ExecutionState, request: RespondWorkflowTaskCompletedRequest) -> None:
    sticky = request.sticky_attributes
    state.sticky_queue = sticky.worker_task_queue.name
    cut_down(sticky.schedule_to_start_timeout)
    state.sticky_timeout = nanos(sticky.schedule_to_start_timeout) if state.sticky_queue else 0


def _note_reset_point(
    turn: Turn, request: RespondWorkflowTaskCompletedRequest, completed_id: int, version: bytes
) -> None:
    build_id = WorkerVersionStamp.FromString(version).build_id or request.worker_version_stamp.build_id
    build = reset_points.Build(build_id, request.binary_checksum)
    if reset_points.note(turn.state, build, completed_id, turn.ctx.now, turn.ctx.limits.reset_points):
        turn.visibility_changed = True


def reject_answer(turn: Turn, error: TaskFailed, identity: str) -> None:
    """Fail the task in flight because its commands are invalid, and offer the next one.

    A repeated task that is invalid again is left to its timeout, which holds back a worker that will not do better.
    """
    unhandled = error.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    task = turn.state.task
    if task is not None and task.attempt > 1 and not unhandled:
        return
    failure = Failure(message=error.message, server_failure_info=ServerFailureInfo())
    workflow_task.fail(turn, error.cause, failure, identity)
    turn.state.close_attempted = unhandled
    update.abort(turn)
    if error.terminates:
        workflow.terminate(turn, error.message, None, workflow.SERVER)
    workflow_task.schedule(turn)


def take_activity_task(turn: Turn, event_id: int, stamp: int, request_id: str, identity: str) -> Activity | None:
    """Hand the offered attempt to a worker; None if the offer is stale."""
    pending = turn.state.activities.get(event_id)
    if not turn.state.running or pending is None or pending.started or pending.stamp != stamp:
        return None
    if pending.retry_at or pending.paused:
        return None
    activity.start(turn, pending, request_id, identity)
    return pending


def check_activity(state: ExecutionState, event_id: int, attempt: int) -> Activity:
    """The attempt that a token stands for (``attempt`` 0: whichever is started). Raises NOT_FOUND if it is over."""
    if not state.running:
        raise WorkflowCompleted()
    pending = state.activities.get(event_id)
    if pending is None or not pending.started or (attempt and pending.attempt != attempt):
        raise activity_not_found()
    return pending


def find_activity(state: ExecutionState, activity_id: str) -> Activity:
    """The pending activity with this id. Raises NOT_FOUND if there is none."""
    if not state.running:
        raise WorkflowCompleted()
    for pending in state.activities.values():
        if pending.activity_id == activity_id:
            return pending
    raise not_found(
        f"cannot find pending activity with ActivityID {activity_id}, check workflow execution history for more details"
    )
