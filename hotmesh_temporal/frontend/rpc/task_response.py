"""The message that hands a workflow task to a worker."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from ...engine.machines import update, workflow_task
from ...engine.model import WorkflowTask
from ...engine.protos import timestamp
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import tokens
from ..tokens import HistoryPageToken, WorkflowTaskToken


async def task_response(
    runtime: Runtime, loaded: Loaded, task: WorkflowTask, *, only_new: bool
) -> PollWorkflowTaskQueueResponse:
    """A started task with the history that the worker lacks: all of it, or what came after its last task."""
    state = loaded.state
    first = state.last_task_started_id + 1 if only_new else 1
    # What others did to the run within the same commit comes after the task: it is not part of it.
    end = task.scheduled_event_id if task.unwritten else task.started_event_id + 1
    history, reached = await runtime.histories.read(loaded, first, end)
    next_page = b""
    if reached < end:
        page = HistoryPageToken(state.namespace, state.workflow_id, state.run_id, reached, end, True, for_worker=True)
        next_page = tokens.encode(page)
    elif task.unwritten:
        history.events.extend(workflow_task.transient_events(state, task))
    token = WorkflowTaskToken(
        state.namespace,
        state.workflow_id,
        state.run_id,
        task.scheduled_event_id,
        task.started_event_id,
        task.attempt,
        task.started_at,
    )
    return PollWorkflowTaskQueueResponse(
        task_token=tokens.encode(token),
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        workflow_type=WorkflowType(name=state.workflow_type),
        previous_started_event_id=state.last_task_started_id,
        started_event_id=task.started_event_id,
        attempt=task.attempt,
        history=history,
        next_page_token=next_page,
        workflow_execution_task_queue=normal_queue(state.task_queue),
        messages=update.messages(state, task),
        queries=runtime.queries.attached(loaded.job_id),
        scheduled_time=timestamp(task.scheduled_at),
        started_time=timestamp(task.started_at),
    )


def normal_queue(name: str) -> TaskQueue:
    return TaskQueue(name=name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
