"""The search document of a schedule, and what describe and list show of it.

A Temporal server runs a schedule as a workflow of its own, of a division that lists leave out unless it is asked for.
The document is that of such a workflow, so that a query for the division finds here what it finds there.
"""

from __future__ import annotations

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import ScheduleActionResult, ScheduleInfo, ScheduleListInfo, ScheduleSpec
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from ..contracts.search import All, Compare, Operator, SearchDocument, SearchValue
from ..engine.attribute_values import BOOL, KEYWORD, encoded
from ..engine.context import Namespace
from ..engine.protos import timestamp
from ..engine.schedules.draft import Draft
from ..engine.schedules.state import Action, ScheduleRecord
from .keys import schedule_job
from .search_values import indexed_values, listed_values

ID_PREFIX = "temporal-sys-scheduler:"
"""Of the workflow id that a schedule has on a Temporal server."""

DIVISION = "TemporalScheduler"
PAUSED = "TemporalSchedulePaused"
_DIVISION_FIELD = "TemporalNamespaceDivision"
_TYPE, _QUEUE = "temporal-sys-scheduler-workflow", "temporal-sys-per-ns-tq"
_INFO = "ScheduleInfo"
_LISTED = 5
"""How many actions of the past and times of the future lists show."""
_SHOWN = 10
"""The same of a description."""
_SPECS = 10
"""How many parts of each kind of a spec lists show."""

SCHEDULES = All((Compare(_DIVISION_FIELD, Operator.EQ, DIVISION), Compare("ExecutionStatus", Operator.EQ, "Running")))
"""Of the documents of schedules that were not deleted."""


def document(draft: Draft, namespace: Namespace) -> SearchDocument:
    """What lists find, written with each change of the schedule."""
    record = draft.record
    attributes = SearchAttributes.FromString(record.search_attributes)
    fields: dict[str, SearchValue] = {
        "WorkflowId": ID_PREFIX + record.schedule_id,
        "RunId": record.incarnation,
        "WorkflowType": _TYPE,
        "TaskQueue": _QUEUE,
        "ExecutionStatus": "Terminated" if record.closed_at else "Running",
        "StartTime": record.created_at // 1000,
        "ExecutionTime": record.created_at // 1000,
        "RootWorkflowId": ID_PREFIX + record.schedule_id,
        "RootRunId": record.incarnation,
        _DIVISION_FIELD: DIVISION,
        PAUSED: draft.schedule.state.paused,
    }
    if record.closed_at:
        fields["CloseTime"] = record.closed_at // 1000
        fields["ExecutionDuration"] = record.closed_at - record.created_at
    fields |= indexed_values(attributes, namespace)
    data = _entry(draft, attributes, namespace).SerializeToString()
    return SearchDocument(schedule_job(record.namespace, record.schedule_id), record.namespace, fields, data)


def _entry(draft: Draft, attributes: SearchAttributes, namespace: Namespace) -> WorkflowExecutionInfo:
    record = draft.record
    execution = WorkflowExecution(workflow_id=ID_PREFIX + record.schedule_id, run_id=record.incarnation)
    status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
    if record.closed_at:
        status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
    info = WorkflowExecutionInfo(
        execution=execution,
        type=WorkflowType(name=_TYPE),
        start_time=timestamp(record.created_at),
        execution_time=timestamp(record.created_at),
        status=status,
        task_queue=_QUEUE,
        memo=Memo.FromString(record.memo),
        search_attributes=listed_values(attributes, namespace),
        root_execution=execution,
    )
    if record.closed_at:
        info.close_time.CopyFrom(timestamp(record.closed_at))
    listed = info.search_attributes.indexed_fields
    listed[_DIVISION_FIELD].CopyFrom(encoded(DIVISION, KEYWORD))
    listed[PAUSED].CopyFrom(encoded(draft.schedule.state.paused, BOOL))
    data = _list_info(draft).SerializeToString(deterministic=True)
    info.memo.fields[_INFO].CopyFrom(Payload(metadata={"encoding": b"binary/plain"}, data=data))
    return info


def _list_info(draft: Draft) -> ScheduleListInfo:
    schedule, spec = draft.schedule, ScheduleSpec()
    spec.CopyFrom(schedule.spec)
    spec.ClearField("timezone_data")
    for name in ("exclude_structured_calendar", "interval", "structured_calendar"):
        del getattr(spec, name)[_SPECS:]
    info = ScheduleListInfo(
        spec=spec,
        notes=schedule.state.notes,
        paused=schedule.state.paused,
        recent_actions=[_result(each) for each in draft.record.recent[-_LISTED:]],
        future_action_times=[timestamp(each) for each in draft.future(_LISTED)],
    )
    if schedule.action.start_workflow.HasField("workflow_type"):
        info.workflow_type.CopyFrom(schedule.action.start_workflow.workflow_type)
    return info


def list_info_of(memo: Memo) -> ScheduleListInfo:
    """What an entry of the list has for schedules; it is taken out of the memo."""
    payload = memo.fields.pop(_INFO) if _INFO in memo.fields else Payload()
    return ScheduleListInfo.FromString(payload.data)


def info_of(draft: Draft) -> ScheduleInfo:
    """What a description tells of the life of the schedule."""
    record: ScheduleRecord = draft.record
    info = ScheduleInfo(
        action_count=record.action_count,
        missed_catchup_window=record.missed_catchup_window,
        overlap_skipped=record.overlap_skipped,
        buffer_dropped=record.buffer_dropped,
        buffer_size=len(record.buffer),
        running_workflows=[
            WorkflowExecution(workflow_id=each.workflow_id, run_id=each.run_id) for each in record.running
        ],
        recent_actions=[_result(each) for each in record.recent],
        future_action_times=[timestamp(each) for each in draft.future(_SHOWN)],
        create_time=timestamp(record.created_at),
        invalid_schedule_error=record.invalid,
    )
    if record.updated_at:
        info.update_time.CopyFrom(timestamp(record.updated_at))
    return info


def _result(action: Action) -> ScheduleActionResult:
    return ScheduleActionResult(
        schedule_time=timestamp(action.due),
        actual_time=timestamp(action.started_at),
        start_workflow_result=WorkflowExecution(workflow_id=action.workflow_id, run_id=action.run_id),
        start_workflow_status=WorkflowExecutionStatus.ValueType(action.status),
    )
