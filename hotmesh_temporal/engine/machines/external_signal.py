"""Signals to other workflows, as their sender sees them.

(none) --SignalExternalWorkflowExecutionInitiated--> on its way
on its way --ExternalWorkflowExecutionSignaled, SignalExternalWorkflowExecutionFailed--> (none)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ExternalWorkflowExecutionSignaledEventAttributes,
    HistoryEvent,
    SignalExternalWorkflowExecutionFailedEventAttributes,
)

from ..model import ExecutionState, External
from . import workflow_task

if TYPE_CHECKING:
    from ..turn import Turn


def arrive(turn: Turn, sent: External) -> None:
    """The other workflow has the signal."""
    turn.record(
        ExternalWorkflowExecutionSignaledEventAttributes(
            initiated_event_id=sent.initiated_event_id,
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=WorkflowExecution(workflow_id=sent.workflow_id, run_id=sent.run_id),
            control=sent.control,
        )
    )
    workflow_task.schedule(turn)


def fail(turn: Turn, sent: External, cause: int) -> None:
    """The signal cannot be delivered."""
    turn.record(
        SignalExternalWorkflowExecutionFailedEventAttributes(
            cause=cause,  # type: ignore[arg-type]  # enum values are ints
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=WorkflowExecution(workflow_id=sent.workflow_id, run_id=sent.run_id),
            initiated_event_id=sent.initiated_event_id,
            control=sent.control,
        )
    )
    workflow_task.schedule(turn)


def _initiate(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.signal_external_workflow_execution_initiated_event_attributes
    target = attributes.workflow_execution
    state.signals[event.event_id] = External(
        event.event_id, target.workflow_id, target.run_id, attributes.control, attributes.child_workflow_only
    )


def _arrived(state: ExecutionState, event: HistoryEvent) -> None:
    state.signals.pop(event.external_workflow_execution_signaled_event_attributes.initiated_event_id, None)


def _failed(state: ExecutionState, event: HistoryEvent) -> None:
    state.signals.pop(event.signal_external_workflow_execution_failed_event_attributes.initiated_event_id, None)


FOLDS = {
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED: _initiate,
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED: _arrived,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: _failed,
}
