"""Requests to cancel other workflows, as their sender sees them.

(none) --RequestCancelExternalWorkflowExecutionInitiated--> on its way
on its way --ExternalWorkflowExecutionCancelRequested, ...Failed--> (none)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ExternalWorkflowExecutionCancelRequestedEventAttributes,
    HistoryEvent,
    RequestCancelExternalWorkflowExecutionFailedEventAttributes,
)

from ..model import ExecutionState, External
from . import workflow_task

if TYPE_CHECKING:
    from ..turn import Turn


def arrive(turn: Turn, sent: External) -> None:
    """The other workflow was asked, or is over anyway."""
    turn.record(
        ExternalWorkflowExecutionCancelRequestedEventAttributes(
            initiated_event_id=sent.initiated_event_id,
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=WorkflowExecution(workflow_id=sent.workflow_id, run_id=sent.run_id),
        )
    )
    workflow_task.schedule(turn)


def fail(turn: Turn, sent: External, cause: int) -> None:
    """There is nobody to ask."""
    turn.record(
        RequestCancelExternalWorkflowExecutionFailedEventAttributes(
            cause=cause,  # type: ignore[arg-type]  # enum values are ints
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=WorkflowExecution(workflow_id=sent.workflow_id, run_id=sent.run_id),
            initiated_event_id=sent.initiated_event_id,
        )
    )
    workflow_task.schedule(turn)


def _initiate(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.request_cancel_external_workflow_execution_initiated_event_attributes
    target = attributes.workflow_execution
    state.cancels[event.event_id] = External(
        event.event_id, target.workflow_id, target.run_id, child_only=attributes.child_workflow_only
    )


def _arrived(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.external_workflow_execution_cancel_requested_event_attributes
    state.cancels.pop(attributes.initiated_event_id, None)


def _failed(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.request_cancel_external_workflow_execution_failed_event_attributes
    state.cancels.pop(attributes.initiated_event_id, None)


FOLDS = {
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _initiate,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _arrived,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _failed,
}
