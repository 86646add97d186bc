"""A poller without the SDK's worker, for exact control of workflow and activity tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, Payload, Payloads
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
)

from compat_tests.env import Env, seconds
from compat_tests.targets import IDENTITY

POLL_TIMEOUT = seconds(30)


class RawWorker:
    """Polls and answers by hand on the scenario's queue (or on another)."""

    def __init__(self, env: Env, queue: str | None = None) -> None:
        self._rpc, self._namespace = env.rpc, env.namespace
        self._queue = queue or env.queue

    @property
    def task_queue(self) -> TaskQueue:
        """The queue that it polls."""
        return TaskQueue(name=self._queue)

    async def poll(self, *, queue: TaskQueue | None = None, timeout: float = 30) -> PollWorkflowTaskQueueResponse:
        """The next workflow task; an empty response if none came before the server gives up."""
        request = PollWorkflowTaskQueueRequest(
            namespace=self._namespace, task_queue=queue or TaskQueue(name=self._queue), identity=IDENTITY
        )
        return await self._rpc.poll_workflow_task_queue(request, timeout=seconds(timeout))

    async def complete(
        self, task: PollWorkflowTaskQueueResponse, *commands: Command, **fields: Any
    ) -> RespondWorkflowTaskCompletedResponse:
        """Answer a workflow task with commands."""
        request = RespondWorkflowTaskCompletedRequest(
            namespace=self._namespace, task_token=task.task_token, commands=commands, identity=IDENTITY, **fields
        )
        return await self._rpc.respond_workflow_task_completed(request)

    async def fail(
        self,
        task: PollWorkflowTaskQueueResponse,
        message: str = "task failed",
        cause: str = "WORKFLOW_WORKER_UNHANDLED_FAILURE",
    ) -> None:
        """Report that a workflow task failed."""
        value = WorkflowTaskFailedCause.Value(f"WORKFLOW_TASK_FAILED_CAUSE_{cause}")
        request = RespondWorkflowTaskFailedRequest(
            namespace=self._namespace,
            task_token=task.task_token,
            cause=value,
            failure=Failure(message=message),
            identity=IDENTITY,
        )
        await self._rpc.respond_workflow_task_failed(request)

    async def run_task(self, *commands: Command, **fields: Any) -> PollWorkflowTaskQueueResponse:
        """Poll the next workflow task and answer it."""
        task = await self.poll()
        await self.complete(task, *commands, **fields)
        return task

    async def poll_activity(self, timeout: float = 30) -> PollActivityTaskQueueResponse:
        """The next activity task."""
        request = PollActivityTaskQueueRequest(
            namespace=self._namespace, task_queue=TaskQueue(name=self._queue), identity=IDENTITY
        )
        return await self._rpc.poll_activity_task_queue(request, timeout=seconds(timeout))

    async def complete_activity(self, task: PollActivityTaskQueueResponse, result: str = '"done"') -> None:
        """Complete an activity task with a JSON text."""
        request = RespondActivityTaskCompletedRequest(
            namespace=self._namespace, task_token=task.task_token, result=payloads(result), identity=IDENTITY
        )
        await self._rpc.respond_activity_task_completed(request)

    async def fail_activity(self, task: PollActivityTaskQueueResponse, failure: Failure) -> None:
        """Fail an activity task."""
        request = RespondActivityTaskFailedRequest(
            namespace=self._namespace, task_token=task.task_token, failure=failure, identity=IDENTITY
        )
        await self._rpc.respond_activity_task_failed(request)


def payloads(*texts: str) -> Payloads:
    """Payloads of JSON texts."""
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=text.encode()) for text in texts])


def command(kind: str, **attributes: Message) -> Command:
    """A command; `kind` as in ``START_TIMER``, the attributes under their field name of `Command`."""
    return Command(command_type=CommandType.Value(f"COMMAND_TYPE_{kind}"), **attributes)  # pyright: ignore[reportArgumentType]  (field by name)


def complete_workflow(result: str = '"ok"') -> Command:
    """Complete the workflow with a JSON text."""
    attributes = CompleteWorkflowExecutionCommandAttributes(result=payloads(result))
    return command("COMPLETE_WORKFLOW_EXECUTION", complete_workflow_execution_command_attributes=attributes)


def fail_workflow(failure: Failure) -> Command:
    """Fail the workflow."""
    attributes = FailWorkflowExecutionCommandAttributes(failure=failure)
    return command("FAIL_WORKFLOW_EXECUTION", fail_workflow_execution_command_attributes=attributes)


def start_timer(timer_id: str, delay: float) -> Command:
    """Start a timer."""
    attributes = StartTimerCommandAttributes(timer_id=timer_id)
    attributes.start_to_fire_timeout.FromTimedelta(seconds(delay))
    return command("START_TIMER", start_timer_command_attributes=attributes)


def schedule_activity(env: Env, activity_id: str = "1", **fields: Any) -> Command:
    """Schedule an activity of type ``act`` on the scenario's queue, start-to-close 30 s."""
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id=activity_id, activity_type=ActivityType(name="act"), task_queue=TaskQueue(name=env.queue)
    )
    attributes.start_to_close_timeout.FromTimedelta(seconds(30))
    attributes.MergeFrom(ScheduleActivityTaskCommandAttributes(**fields))
    return command("SCHEDULE_ACTIVITY_TASK", schedule_activity_task_command_attributes=attributes)


def sticky(queue: str, timeout: float = 10) -> StickyExecutionAttributes:
    """Sticky attributes of a completion; `timeout` is schedule-to-start in seconds."""
    attributes = StickyExecutionAttributes(worker_task_queue=TaskQueue(name=queue))
    attributes.schedule_to_start_timeout.FromTimedelta(seconds(timeout))
    return attributes


def event_types(task: PollWorkflowTaskQueueResponse) -> Sequence[int]:
    """The event types that a poll delivered."""
    return [event.event_type for event in task.history.events]
