"""Tasks that requests ask for beforehand: a throttled or paused queue gives none but to its polls."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.command.v1 import Command
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest, StartWorkflowExecutionRequest

from ...runtime.keys import QueueKey
from ...runtime.service import Runtime


def hold_back_start(runtime: Runtime, request: StartWorkflowExecutionRequest) -> None:
    """Let an eager start be a plain one."""
    queue = QueueKey(request.namespace, False, request.task_queue.name)
    if request.request_eager_execution and runtime.throttle.restrains(queue):
        request.request_eager_execution = False


def hold_back_activities(runtime: Runtime, namespace: str, commands: Iterable[Command]) -> None:
    """Let eager activities wait for a poll."""
    for command in commands:
        if command.HasField("schedule_activity_task_command_attributes"):
            given = command.schedule_activity_task_command_attributes
            queue = QueueKey(namespace, True, given.task_queue.name)
            if given.request_eager_execution and runtime.throttle.restrains(queue):
                given.request_eager_execution = False


def hold_back_next_task(runtime: Runtime, request: RespondWorkflowTaskCompletedRequest, queue: QueueKey) -> None:
    """Let the next workflow task wait for a poll, unless this one goes on (local activities are running in it)."""
    if request.force_create_new_workflow_task or not request.return_new_workflow_task:
        return
    if runtime.throttle.restrains(queue):
        request.return_new_workflow_task = False
