"""The messages that bring a workflow task or a query to a worker."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import History
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse

from ...engine.machines import update, workflow_task
from ...engine.model import WorkflowTask
from ...engine.protos import timestamp
from ...runtime.keys import TaskMessage
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import tokens
from ..tokens import HistoryPageToken, QueryTaskToken, WorkflowTaskToken


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
        workflow_execution_task_queue=_normal_queue(state.task_queue),
        messages=update.messages(state, task),
        queries=runtime.queries.attached(loaded.job_id),
        scheduled_time=timestamp(task.scheduled_at),
        started_time=timestamp(task.started_at),
    )


async def query_response(
    runtime: Runtime, loaded: Loaded, message: TaskMessage, *, with_history: bool
) -> PollWorkflowTaskQueueResponse:
    """A query alone, not as part of a task; with the whole history for a worker that does not know the run."""
    state, next_event = loaded.state, loaded.state.next_event_id
    history, next_page = History(), b""
    if with_history:
        history, reached = await runtime.histories.read(loaded, 1, next_event)
        if reached < next_event:
            page = HistoryPageToken(
                state.namespace, state.workflow_id, state.run_id, reached, next_event, True, for_worker=True
            )
            next_page = tokens.encode(page)
    return PollWorkflowTaskQueueResponse(
        task_token=tokens.encode(QueryTaskToken(state.namespace, message.query, message.asker)),
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        workflow_type=WorkflowType(name=state.workflow_type),
        previous_started_event_id=state.last_task_started_id,
        history=history,
        next_page_token=next_page,
        attempt=1,
        query=WorkflowQuery.FromString(message.request),
        workflow_execution_task_queue=_normal_queue(state.task_queue),
    )


def _normal_queue(name: str) -> TaskQueue:
    return TaskQueue(name=name, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL)
