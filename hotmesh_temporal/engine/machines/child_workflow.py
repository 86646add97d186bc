"""Child workflows, as their parent sees them.

    (none) --StartChildWorkflowExecutionInitiated--> initiated
    initiated --ChildWorkflowExecutionStarted--> started
    initiated --StartChildWorkflowExecutionFailed--> (none)
    started --completed, failed, canceled, timed out, terminated--> (none)

A child is a chain of runs of its own: the parent knows the first run, and hears of the end of the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Header, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ChildWorkflowExecutionCanceledEventAttributes,
    ChildWorkflowExecutionCompletedEventAttributes,
    ChildWorkflowExecutionFailedEventAttributes,
    ChildWorkflowExecutionStartedEventAttributes,
    ChildWorkflowExecutionTerminatedEventAttributes,
    ChildWorkflowExecutionTimedOutEventAttributes,
    HistoryEvent,
    StartChildWorkflowExecutionFailedEventAttributes,
)

from ..model import Child, ExecutionState
from . import workflow_task

if TYPE_CHECKING:
    from ..turn import Turn


def start(turn: Turn, child: Child, run_id: str) -> None:
    """The child's first run is there."""
    header = Header.FromString(child.header) if child.header is not None else None
    turn.record(
        ChildWorkflowExecutionStartedEventAttributes(
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            initiated_event_id=child.initiated_event_id,
            workflow_execution=WorkflowExecution(workflow_id=child.workflow_id, run_id=run_id),
            workflow_type=WorkflowType(name=child.workflow_type),
            header=header,
        )
    )
    workflow_task.schedule(turn)


def fail_to_start(turn: Turn, child: Child, cause: int) -> None:
    """There will be no child."""
    turn.record(
        StartChildWorkflowExecutionFailedEventAttributes(
            namespace=turn.state.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_id=child.workflow_id,
            workflow_type=WorkflowType(name=child.workflow_type),
            cause=cause,  # type: ignore[arg-type]  # enum values are ints
            control=child.control,
            initiated_event_id=child.initiated_event_id,
        )
    )
    workflow_task.schedule(turn)


def end(turn: Turn, child: Child, run_id: str, closing: HistoryEvent) -> None:
    """The last run of the child, ``run_id``, has ended with the event ``closing``."""
    what: dict[str, Any] = {
        "namespace": turn.state.namespace,
        "namespace_id": turn.ctx.namespace_id(turn.state.namespace),
        "workflow_execution": WorkflowExecution(workflow_id=child.workflow_id, run_id=run_id),
        "workflow_type": WorkflowType(name=child.workflow_type),
        "initiated_event_id": child.initiated_event_id,
        "started_event_id": child.started_event_id,
    }
    turn.record(_ENDS[closing.event_type](closing, what))
    workflow_task.schedule(turn)


def _completed(closing: HistoryEvent, what: dict[str, Any]) -> ChildWorkflowExecutionCompletedEventAttributes:
    given = closing.workflow_execution_completed_event_attributes
    result = given.result if given.HasField("result") else None
    return ChildWorkflowExecutionCompletedEventAttributes(result=result, **what)


def _failed(closing: HistoryEvent, what: dict[str, Any]) -> ChildWorkflowExecutionFailedEventAttributes:
    given = closing.workflow_execution_failed_event_attributes
    return ChildWorkflowExecutionFailedEventAttributes(failure=given.failure, retry_state=given.retry_state, **what)


def _canceled(closing: HistoryEvent, what: dict[str, Any]) -> ChildWorkflowExecutionCanceledEventAttributes:
    given = closing.workflow_execution_canceled_event_attributes
    details = given.details if given.HasField("details") else None
    return ChildWorkflowExecutionCanceledEventAttributes(details=details, **what)


def _timed_out(closing: HistoryEvent, what: dict[str, Any]) -> ChildWorkflowExecutionTimedOutEventAttributes:
    given = closing.workflow_execution_timed_out_event_attributes
    return ChildWorkflowExecutionTimedOutEventAttributes(retry_state=given.retry_state, **what)


def _terminated(closing: HistoryEvent, what: dict[str, Any]) -> ChildWorkflowExecutionTerminatedEventAttributes:
    del closing
    return ChildWorkflowExecutionTerminatedEventAttributes(**what)


_ENDS: dict[int, Callable[[HistoryEvent, dict[str, Any]], Any]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _completed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _failed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _canceled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _timed_out,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _terminated,
}


def _initiate(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.start_child_workflow_execution_initiated_event_attributes
    state.children[event.event_id] = Child(
        initiated_event_id=event.event_id,
        workflow_id=attributes.workflow_id,
        workflow_type=attributes.workflow_type.name,
        policy=attributes.parent_close_policy,
        header=attributes.header.SerializeToString(deterministic=True) if attributes.HasField("header") else None,
        control=attributes.control,
    )


def _start(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.child_workflow_execution_started_event_attributes
    child = state.children[attributes.initiated_event_id]
    child.run_id, child.started_event_id = attributes.workflow_execution.run_id, event.event_id
    child.header, child.control = None, ""


def _over(field: str) -> Callable[[ExecutionState, HistoryEvent], None]:
    return lambda state, event: _forget(state, getattr(event, field).initiated_event_id)


def _forget(state: ExecutionState, initiated_event_id: int) -> None:
    state.children.pop(initiated_event_id, None)


FOLDS: dict[int, Callable[[ExecutionState, HistoryEvent], None]] = {
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: _initiate,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: _start,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: _over(
        "start_child_workflow_execution_failed_event_attributes"
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: _over(
        "child_workflow_execution_completed_event_attributes"
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: _over("child_workflow_execution_failed_event_attributes"),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: _over("child_workflow_execution_canceled_event_attributes"),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: _over(
        "child_workflow_execution_timed_out_event_attributes"
    ),
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: _over(
        "child_workflow_execution_terminated_event_attributes"
    ),
}
