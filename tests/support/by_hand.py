"""A client and a worker played by hand on an engine of this process: requests in, replies out, no SDK."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from hotmesh_temporal.frontend.server import Frontend

_Reply = TypeVar("_Reply", bound=Message)


async def call(frontend: Frontend, request: Message, reply: type[_Reply]) -> _Reply:
    """The reply to a request of the workflow service."""
    method = type(request).__name__.removesuffix("Request")
    answer = await frontend.call("workflow", method, request, metadata={}, deadline=60.0)
    assert isinstance(answer, reply)
    return answer


async def start(frontend: Frontend, workflow_id: str, queue: str = "q") -> str:
    """Start a workflow; its run id."""
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name=queue),
        request_id=f"start-{workflow_id}",
    )
    return (await call(frontend, request, StartWorkflowExecutionResponse)).run_id


async def signal(frontend: Frontend, workflow_id: str) -> None:
    """Signal the current run."""
    request = SignalWorkflowExecutionRequest(
        namespace="default", workflow_execution=WorkflowExecution(workflow_id=workflow_id), signal_name="go"
    )
    await call(frontend, request, SignalWorkflowExecutionResponse)


async def poll(frontend: Frontend, queue: str = "q") -> PollWorkflowTaskQueueResponse:
    """The next workflow task."""
    request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=queue), identity="worker")
    return await call(frontend, request, PollWorkflowTaskQueueResponse)


async def answer(
    frontend: Frontend, task: PollWorkflowTaskQueueResponse, *commands: Command, sticky: str = "", patience: int = 0
) -> None:
    """Complete a workflow task. ``sticky``: the queue for the next one, for as many seconds as ``patience`` says."""
    request = RespondWorkflowTaskCompletedRequest(task_token=task.task_token, commands=commands)
    if sticky:
        request.sticky_attributes.worker_task_queue.name = sticky
        request.sticky_attributes.worker_task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_STICKY
        request.sticky_attributes.schedule_to_start_timeout.FromSeconds(patience)
    await call(frontend, request, RespondWorkflowTaskCompletedResponse)
