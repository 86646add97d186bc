"""The search document of a run: what list and count see."""

from __future__ import annotations

from temporalio.api.common.v1 import Memo, WorkflowExecution, WorkflowType
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from ..contracts.search import Compare, Operator, SearchDocument, SearchValue
from ..engine.context import Namespace
from ..engine.model import ExecutionState
from ..engine.protos import duration, timestamp
from .search_values import indexed_attributes, listed_attributes

STATUS_NAMES = ("Unspecified", "Running", "Completed", "Failed", "Canceled", "Terminated", "ContinuedAsNew", "TimedOut")

RUNNING = Compare("ExecutionStatus", Operator.EQ, STATUS_NAMES[1])
"""Of the documents of open runs."""


def document(job_id: str, state: ExecutionState, namespace: Namespace) -> SearchDocument:
    """Fields under Temporal's names (times in microseconds), and the entry that list answers with."""
    fields: dict[str, SearchValue] = {
        "WorkflowId": state.workflow_id,
        "RunId": state.run_id,
        "WorkflowType": state.workflow_type,
        "TaskQueue": state.task_queue,
        "ExecutionStatus": STATUS_NAMES[state.status],
        "StartTime": state.started_at // 1000,
        "ExecutionTime": state.execution_at // 1000,
    }
    root = root_of(state)
    fields["RootWorkflowId"], fields["RootRunId"] = root.workflow_id, root.run_id
    if state.parent_run_id:
        fields["ParentWorkflowId"], fields["ParentRunId"] = state.parent_workflow_id, state.parent_run_id
    if not state.running:
        fields["CloseTime"] = state.closed_at // 1000
        fields["ExecutionDuration"] = state.closed_at - state.execution_at
        fields["HistoryLength"] = state.next_event_id - 1
        fields["HistorySizeBytes"] = state.history_size
        fields["StateTransitionCount"] = state.transitions
    fields |= indexed_attributes(state, namespace)
    return SearchDocument(job_id, state.namespace, fields, _entry(state, namespace).SerializeToString())


def root_of(state: ExecutionState) -> WorkflowExecution:
    """The run at the top of the family; of one without a parent the first of its chain."""
    if state.root_run_id:
        return WorkflowExecution(workflow_id=state.root_workflow_id, run_id=state.root_run_id)
    return WorkflowExecution(workflow_id=state.workflow_id, run_id=state.first_run_id)


def parent_of(state: ExecutionState) -> WorkflowExecution | None:
    """The run that started this one as its child."""
    if not state.parent_run_id:
        return None
    return WorkflowExecution(workflow_id=state.parent_workflow_id, run_id=state.parent_run_id)


def _entry(state: ExecutionState, namespace: Namespace) -> WorkflowExecutionInfo:
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        type=WorkflowType(name=state.workflow_type),
        start_time=timestamp(state.started_at),
        execution_time=timestamp(state.execution_at),
        status=state.status,  # type: ignore[arg-type]  # enum values are ints
        task_queue=state.task_queue,
        memo=Memo.FromString(state.memo),
        search_attributes=listed_attributes(state, namespace),
        root_execution=root_of(state),
        parent_execution=parent_of(state),
    )
    if not state.running:
        info.close_time.CopyFrom(timestamp(state.closed_at))
        info.execution_duration.CopyFrom(duration(state.closed_at - state.execution_at))
        info.history_length = state.next_event_id - 1
        info.history_size_bytes = state.history_size
        info.state_transition_count = state.transitions
    return info
