"""How a child workflow begins: its first event from the parent's, and what may stand in its way."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator, WorkflowIdReusePolicy
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes

from ..errors import workflow_closing
from . import cron, model
from .context import Context
from .model import ExecutionState
from .opening import Opening, begin, expiration, open_run
from .priority import inherited, unpacked
from .protos import nanos
from .turn import Turn

_COPIED = (
    "workflow_type",
    "task_queue",
    "input",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
    "retry_policy",
    "header",
    "memo",
    "search_attributes",
)


def start_request_id(parent_origin: HistoryEvent, initiated_event_id: int) -> str:
    """Under which request a child is started: also after a reset of its parent, so that it is not started twice."""
    original = parent_origin.workflow_execution_started_event_attributes.original_execution_run_id
    return f"{original}:{initiated_event_id}:0"


def open_child(ctx: Context, parent: ExecutionState, parent_origin: HistoryEvent, initiated: HistoryEvent) -> Turn:
    """The first run of the child that the event of its parent asks for."""
    given = initiated.start_child_workflow_execution_initiated_event_attributes
    wait = cron.backoff(given.cron_schedule, ctx.now, ctx.now) if given.cron_schedule else 0
    own = (parent.workflow_id, parent.run_id)
    root_id, root_run_id = (parent.root_workflow_id, parent.root_run_id) if parent.root_run_id else own
    attributes = WorkflowExecutionStartedEventAttributes(
        parent_workflow_namespace=parent.namespace,
        parent_workflow_namespace_id=given.namespace_id,
        parent_workflow_execution=WorkflowExecution(workflow_id=own[0], run_id=own[1]),
        parent_initiated_event_id=initiated.event_id,
        root_workflow_execution=WorkflowExecution(workflow_id=root_id, run_id=root_run_id),
        cron_schedule=given.cron_schedule,
        priority=inherited(given.priority if given.HasField("priority") else None, unpacked(parent.priority)),
        workflow_execution_expiration_time=expiration(ctx.now, nanos(given.workflow_execution_timeout)),
    )
    for name in _COPIED:
        if given.HasField(name):  # type: ignore[arg-type]  # the names are fields of both
            getattr(attributes, name).CopyFrom(getattr(given, name))
    if given.cron_schedule:
        attributes.initiator = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    opening = Opening(
        parent.namespace,
        given.workflow_id,
        ctx.new_id(),
        attributes,
        request_id=start_request_id(parent_origin, initiated.event_id),
        wait=wait,
        user_metadata=initiated.user_metadata if initiated.HasField("user_metadata") else None,
    )
    turn = open_run(ctx, opening)
    begin(turn)
    return turn


def may_replace(current: ExecutionState, policy: int, parent: ExecutionState) -> bool:
    """May a child take over the workflow id from this run? A running one is ended then, but never the parent."""
    reuse = WorkflowIdReusePolicy
    if current.running:
        ends = policy == reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
        return ends and current.run_id != parent.run_id
    if policy == reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY:
        return current.status != model.COMPLETED
    return policy != reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE


def check_not_closing(turn: Turn) -> None:
    """The worker is about to close the run: RESOURCE_EXHAUSTED, try again."""
    if turn.state.close_attempted and turn.state.task_in_flight:
        raise workflow_closing()
