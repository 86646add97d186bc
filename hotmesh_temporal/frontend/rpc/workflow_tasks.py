"""PollWorkflowTaskQueue, RespondWorkflowTaskCompleted and RespondWorkflowTaskFailed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.history.v1 import History
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
    RespondWorkflowTaskFailedResponse,
)

from ...engine import commands, tasks
from ...engine.commands import messages
from ...engine.machines import workflow_task
from ...engine.model import WorkflowTask
from ...engine.tasks import Answered
from ...engine.turn import Turn
from ...errors import TaskFailed, WorkflowCompleted, invalid_argument, task_not_found
from ...runtime.keys import TaskMessage, run_key
from ...runtime.matching import Delivery
from ...runtime.service import Runtime
from .. import fields, tokens
from ..tokens import HistoryPageToken, QueryTaskToken, WorkflowTaskToken
from .activity_tasks import activity_response
from .polling import drop, next_task, take_from_run, version_of
from .task_response import normal_queue, task_response

if TYPE_CHECKING:
    from ..server import Call


async def poll_workflow_task_queue(
    runtime: Runtime, request: PollWorkflowTaskQueueRequest, call: Call
) -> PollWorkflowTaskQueueResponse:
    """The next workflow task or query of the queue; empty if none came in time."""
    task = await next_task(runtime, request, call, partial(_take, runtime, request))
    return task or PollWorkflowTaskQueueResponse()


async def _take(
    runtime: Runtime, request: PollWorkflowTaskQueueRequest, delivery: Delivery, message: TaskMessage
) -> PollWorkflowTaskQueueResponse | None:
    """What the message stands for; None if it is stale."""
    if message.query:
        return await _take_query(runtime, request, delivery, message)
    identity, version = request.identity, version_of(request)

    def decide(turn: Turn) -> WorkflowTask | None:
        return tasks.take_workflow_task(turn, message.event, message.stamp, runtime.clock.new_id(), identity, version)

    taken = await take_from_run(runtime, delivery, message, decide)
    if taken is None:
        return None
    task, loaded = taken
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    return await task_response(runtime, loaded, task, only_new=sticky)


async def _take_query(
    runtime: Runtime, request: PollWorkflowTaskQueueRequest, delivery: Delivery, message: TaskMessage
) -> PollWorkflowTaskQueueResponse | None:
    await drop(runtime, delivery)
    if message.expires_at_ms < runtime.clock.now_ms():
        return None
    loaded = await runtime.executions.load(run_key(message.job))
    if loaded is None:
        return None
    state = loaded.state
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    history, next_page = History(), b""
    if not sticky:
        history, reached = await runtime.histories.read(loaded, 1, state.next_event_id)
        if reached < state.next_event_id:
            next_page = tokens.encode(
                HistoryPageToken(
                    state.namespace, state.workflow_id, state.run_id, reached, state.next_event_id, True, True
                )
            )
    return PollWorkflowTaskQueueResponse(
        task_token=tokens.encode(QueryTaskToken(state.namespace, message.query, message.asker)),
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        workflow_type=WorkflowType(name=state.workflow_type),
        previous_started_event_id=state.last_task_started_id,
        history=history,
        next_page_token=next_page,
        attempt=1,
        query=WorkflowQuery.FromString(message.request),
        workflow_execution_task_queue=normal_queue(state.task_queue),
    )


async def respond_workflow_task_completed(
    runtime: Runtime, request: RespondWorkflowTaskCompletedRequest, call: Call
) -> RespondWorkflowTaskCompletedResponse:
    """Carry out a worker's commands; invalid ones fail the task and are answered with INVALID_ARGUMENT."""
    del call
    token = tokens.decode_task(WorkflowTaskToken, request.task_token, request.namespace)
    commands.check_sequence(request.commands)
    messages.check(request.messages)

    def decide(turn: Turn) -> Answered:
        _check(turn, token)
        _refuse_commands(request.commands)
        return tasks.answer_workflow_task(turn, request)

    try:
        answered, loaded = await runtime.executions.update(token.run, decide, missing=task_not_found)
    except TaskFailed as error:
        await _reject(runtime, token, error, request.identity)
        raise invalid_argument(error.message) from error
    runtime.queries.answer_attached(loaded.job_id, request.query_results)
    response = RespondWorkflowTaskCompletedResponse(reset_history_event_id=answered.reset_event_id)
    if answered.next_task is not None:
        inline = await task_response(runtime, loaded, answered.next_task, only_new=True)
        response.workflow_task.CopyFrom(inline)
    for pending in answered.eager:
        response.activity_tasks.append(await activity_response(runtime, loaded, pending))
    return response


def _check(turn: Turn, token: WorkflowTaskToken) -> None:
    """The task is the one in flight."""
    tasks.check_workflow_task(
        turn.state, token.scheduled_event_id, token.started_event_id, token.attempt, token.started_at
    )


def _refuse_commands(given: Sequence[Command]) -> None:
    """A command that asks for something that is not built fails its task, so that it is seen where it was asked."""
    for command in given:
        wrong = fields.refusal(command)
        if wrong is not None:
            raise TaskFailed(WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED, wrong)


async def _reject(runtime: Runtime, token: WorkflowTaskToken, error: TaskFailed, identity: str) -> None:
    def decide(turn: Turn) -> None:
        _check(turn, token)
        tasks.reject_answer(turn, error, identity)

    await runtime.executions.update(token.run, decide, missing=task_not_found)


async def respond_workflow_task_failed(
    runtime: Runtime, request: RespondWorkflowTaskFailedRequest, call: Call
) -> RespondWorkflowTaskFailedResponse:
    """The worker could not process the task: it is offered again."""
    del call
    token = tokens.decode_task(WorkflowTaskToken, request.task_token, request.namespace)

    def decide(turn: Turn) -> None:
        if not turn.state.running:
            raise WorkflowCompleted()
        _check(turn, token)
        workflow_task.fail(
            turn,
            request.cause,
            request.failure if request.HasField("failure") else None,
            request.identity,
            request.binary_checksum,
        )
        workflow_task.schedule(turn)

    await runtime.executions.update(token.run, decide, missing=task_not_found)
    return RespondWorkflowTaskFailedResponse()
