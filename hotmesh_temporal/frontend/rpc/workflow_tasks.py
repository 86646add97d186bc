"""PollWorkflowTaskQueue, RespondWorkflowTaskCompleted and RespondWorkflowTaskFailed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import TaskQueueKind, WorkerVersioningMode, WorkflowTaskFailedCause
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
from ...engine.failures import too_large
from ...engine.machines import workflow, workflow_task
from ...engine.model import WorkflowTask
from ...engine.tasks import Answered
from ...engine.turn import Turn
from ...errors import TaskFailed, WorkflowCompleted, invalid_argument
from ...runtime.keys import QueueKey, TaskMessage, run_key
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import fields, tokens, validate
from ..tokens import WorkflowTaskToken
from .activity_tasks import activity_response
from .lookup import missing
from .polling import next_task, version_of
from .task_response import query_response, task_response
from .throttled import hold_back_activities, hold_back_next_task

if TYPE_CHECKING:
    from ..server import Call


_TOO_LARGE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE


async def poll_workflow_task_queue(
    runtime: Runtime, request: PollWorkflowTaskQueueRequest, call: Call
) -> PollWorkflowTaskQueueResponse:
    """The next workflow task or query of the queue; empty if none came in time."""
    task = await next_task(runtime, request, call, _Poll(runtime, request))
    return task or PollWorkflowTaskQueueResponse()


@dataclass(frozen=True, slots=True)
class _Poll:
    """A worker's wish for a workflow task or a query."""

    runtime: Runtime
    request: PollWorkflowTaskQueueRequest

    def take(self, turn: Turn, event_id: int, stamp: int) -> WorkflowTask | None:
        request_id, version = self.runtime.clock.new_id(), version_of(self.request)
        return tasks.take_workflow_task(
            turn, event_id, stamp, request_id, self.request.identity, version, from_sticky=self._is_sticky
        )

    async def answer(self, loaded: Loaded, task: WorkflowTask) -> PollWorkflowTaskQueueResponse:
        return await task_response(self.runtime, loaded, task, only_new=self._is_sticky)

    async def query(self, message: TaskMessage) -> PollWorkflowTaskQueueResponse | None:
        if message.expires_at_ms < self.runtime.clock.now_ms():
            return None
        loaded = await self.runtime.executions.load(run_key(message.job))
        if loaded is None:
            return None
        return await query_response(self.runtime, loaded, message, with_history=not self._is_sticky)

    @property
    def _is_sticky(self) -> bool:
        return self.request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY


async def respond_workflow_task_completed(
    runtime: Runtime, request: RespondWorkflowTaskCompletedRequest, call: Call
) -> RespondWorkflowTaskCompletedResponse:
    """Carry out a worker's commands; invalid ones fail the task and are answered with INVALID_ARGUMENT."""
    del call
    token = tokens.decode_task(WorkflowTaskToken, request.task_token, request.namespace)
    _check_worker(request)
    commands.check_sequence(request.commands)
    messages.check(request.messages)
    await _know_namespaces(runtime, request.commands)
    hold_back_activities(runtime, token.run.namespace, request.commands)

    def decide(turn: Turn) -> Answered:
        _check(turn, token)
        _refuse_commands(request.commands)
        hold_back_next_task(runtime, request, QueueKey(turn.state.namespace, False, turn.state.task_queue))
        return tasks.answer_workflow_task(turn, request)

    try:
        answered, loaded = await runtime.executions.update(token.run, decide, missing=partial(missing, token.run))
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


def _check_worker(request: RespondWorkflowTaskCompletedRequest) -> None:
    """What the answer says of its worker makes sense."""
    validate.identity(request.identity)
    stamp, options = request.worker_version_stamp, request.deployment_options
    validate.build_id(stamp.build_id)
    validate.deployment(options)
    versioned = options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if request.versioning_behavior and not versioned:
        raise invalid_argument(
            "versioning behavior cannot be specified without deployment options being set with versioned mode"
        )


async def _know_namespaces(runtime: Runtime, given: Sequence[Command]) -> None:
    """Look up the namespaces that commands name, because a decision cannot wait."""
    for command in given:
        attributes = command.WhichOneof("attributes")
        name = getattr(getattr(command, attributes), "namespace", "") if attributes else ""
        if name:
            await runtime.namespaces.find(name)


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

    await runtime.executions.update(token.run, decide, missing=partial(missing, token.run))


async def respond_workflow_task_failed(
    runtime: Runtime, request: RespondWorkflowTaskFailedRequest, call: Call
) -> RespondWorkflowTaskFailedResponse:
    """The worker could not process the task: it is offered again."""
    del call
    token = tokens.decode_task(WorkflowTaskToken, request.task_token, request.namespace)
    validate.identity(request.identity)

    def decide(turn: Turn) -> None:
        if not turn.state.running:
            raise WorkflowCompleted()
        _check(turn, token)
        if request.cause == _TOO_LARGE:
            workflow.terminate(turn, "GrpcMessageTooLarge", None, workflow.SERVER)  # it would be so again
            return
        failure = request.failure if request.HasField("failure") else None
        if failure is not None and failure.ByteSize() > turn.ctx.limits.blob_size:
            failure = too_large(failure, turn.ctx.limits.blob_kept, non_retryable=True)
        workflow_task.fail(
            turn,
            request.cause,
            failure,
            request.identity,
            request.binary_checksum,
        )
        workflow_task.schedule(turn)

    await runtime.executions.update(token.run, decide, missing=partial(missing, token.run))
    return RespondWorkflowTaskFailedResponse()
