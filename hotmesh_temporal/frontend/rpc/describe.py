"""DescribeWorkflowExecution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import (
    ActivityType,
    Memo,
    WorkerVersionStamp,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.enums.v1 import EventType, PendingActivityState, PendingWorkflowTaskState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import (
    PendingActivityInfo,
    PendingChildExecutionInfo,
    PendingWorkflowTaskInfo,
    RequestIdInfo,
    ResetPoints,
    WorkflowExecutionConfig,
    WorkflowExecutionExtendedInfo,
    WorkflowExecutionInfo,
)
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)

from ...engine.activity_options import options_of
from ...engine.context import Namespace
from ...engine.model import Activity, Child, ExecutionState, WorkflowTask
from ...engine.priority import unpacked
from ...engine.protos import duration, timestamp
from ...runtime.search_values import shown_attributes
from ...runtime.service import Runtime
from ...runtime.visibility import parent_of, root_of
from .. import validate
from .lookup import find

if TYPE_CHECKING:
    from ..server import Call

_ZERO_TIME = Timestamp(seconds=-62135596800)
"""What the server sends for a time that is not set (Go's zero time)."""


async def describe_workflow_execution(
    runtime: Runtime, request: DescribeWorkflowExecutionRequest, call: Call
) -> DescribeWorkflowExecutionResponse:
    """A run as it is now, with what it waits for."""
    del call
    validate.execution(request.execution, present=request.HasField("execution"))
    loaded = await find(runtime, request.namespace, request.execution)
    state, namespace = loaded.state, await runtime.namespaces.view(request.namespace)
    response = DescribeWorkflowExecutionResponse(
        execution_config=_config(state, loaded.origin),
        workflow_execution_info=_info(state, loaded.origin, namespace),
        workflow_extended_info=_extended(state, loaded.origin),
        pending_activities=[_activity(each) for each in state.activities.values()],
        pending_children=[_child(each) for each in state.children.values()],
    )
    if state.task is not None:
        response.pending_workflow_task.CopyFrom(_task(state.task))
    return response


def _config(state: ExecutionState, origin: HistoryEvent) -> WorkflowExecutionConfig:
    attributes = origin.workflow_execution_started_event_attributes
    config = WorkflowExecutionConfig(
        task_queue=attributes.task_queue, default_workflow_task_timeout=duration(state.task_timeout)
    )
    if attributes.HasField("workflow_execution_timeout"):
        config.workflow_execution_timeout.CopyFrom(duration(state.execution_timeout))
    if attributes.HasField("workflow_run_timeout"):
        config.workflow_run_timeout.CopyFrom(duration(state.run_timeout))
    if origin.HasField("user_metadata"):
        config.user_metadata.CopyFrom(origin.user_metadata)
    return config


def _info(state: ExecutionState, origin: HistoryEvent, namespace: Namespace) -> WorkflowExecutionInfo:
    attributes = origin.workflow_execution_started_event_attributes
    info = WorkflowExecutionInfo(
        execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        type=WorkflowType(name=state.workflow_type),
        start_time=timestamp(state.started_at),
        status=state.status,  # type: ignore[arg-type]  # enum values are ints
        history_length=state.next_event_id - 1,
        execution_time=timestamp(state.execution_at),
        memo=Memo.FromString(state.memo),
        search_attributes=shown_attributes(state, namespace),
        auto_reset_points=ResetPoints.FromString(state.reset_points),
        task_queue=state.task_queue,
        state_transition_count=state.transitions,
        history_size_bytes=state.history_size,
        root_execution=root_of(state)
        if state.root_run_id
        else WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        first_run_id=state.first_run_id,
        parent_execution=parent_of(state),
        parent_namespace_id=attributes.parent_workflow_namespace_id,
        priority=unpacked(state.priority),
    )
    if state.worker_version:
        info.most_recent_worker_version_stamp.CopyFrom(WorkerVersionStamp.FromString(state.worker_version))
    if not state.running:
        info.close_time.CopyFrom(timestamp(state.closed_at))
        info.execution_duration.CopyFrom(duration(state.closed_at - state.execution_at))
    return info


def _extended(state: ExecutionState, origin: HistoryEvent) -> WorkflowExecutionExtendedInfo:
    started = RequestIdInfo(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, event_id=1)
    info = WorkflowExecutionExtendedInfo(
        cancel_requested=state.cancel_requested,
        original_start_time=origin.event_time,
        reset_run_id=state.reset_run_id,
        request_id_infos={state.start_request_id: started},
        run_expiration_time=timestamp(state.run_expires_at) if state.run_expires_at else _ZERO_TIME,
    )
    if state.reset_at:
        info.last_reset_time.CopyFrom(timestamp(state.reset_at))
    if state.execution_expires_at:
        info.execution_expiration_time.CopyFrom(timestamp(state.execution_expires_at))
    return info


def _task(task: WorkflowTask) -> PendingWorkflowTaskInfo:
    started = bool(task.started_at)
    info = PendingWorkflowTaskInfo(
        state=PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
        if started
        else PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED,
        scheduled_time=timestamp(task.scheduled_at),
        original_scheduled_time=timestamp(task.original_scheduled_at),
        attempt=task.attempt,
    )
    if started:
        info.started_time.CopyFrom(timestamp(task.started_at))
    return info


def _activity_state(activity: Activity) -> PendingActivityState.ValueType:
    if not activity.started and activity.paused:
        return PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED
    if activity.cancel_requested:
        return PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
    if not activity.started:
        return PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    if activity.paused:
        return PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
    return PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


def _activity(activity: Activity) -> PendingActivityInfo:
    info = PendingActivityInfo(
        activity_id=activity.activity_id,
        activity_type=ActivityType(name=activity.activity_type),
        state=_activity_state(activity),
        attempt=activity.attempt,
        maximum_attempts=activity.retry_attempts,
        last_worker_identity=activity.last_worker_identity,
        priority=unpacked(activity.priority),
        activity_options=options_of(activity),
    )
    info.activity_options.task_queue.normal_name = activity.queue
    if activity.paused:
        _set_pause(info, activity)
    _set_times(info, activity)
    if activity.retry_expires_at:
        info.expiration_time.CopyFrom(timestamp(activity.retry_expires_at))
    if activity.heartbeat_details:
        info.heartbeat_details.ParseFromString(activity.heartbeat_details)
    if activity.last_failure:
        info.last_failure.CopyFrom(Failure.FromString(activity.last_failure))
    return info


def _set_pause(info: PendingActivityInfo, activity: Activity) -> None:
    info.paused = True
    info.pause_info.pause_time.CopyFrom(timestamp(activity.paused_at))
    info.pause_info.manual.identity = activity.pause_identity
    info.pause_info.manual.reason = activity.pause_reason


def _child(child: Child) -> PendingChildExecutionInfo:
    return PendingChildExecutionInfo(
        workflow_id=child.workflow_id,
        run_id=child.run_id,
        workflow_type_name=child.workflow_type,
        initiated_id=child.initiated_event_id,
        parent_close_policy=child.policy,  # type: ignore[arg-type]  # enum values are ints
    )


def _set_times(info: PendingActivityInfo, activity: Activity) -> None:
    info.scheduled_time.CopyFrom(timestamp(activity.scheduled_at))
    if activity.started:
        info.last_started_time.CopyFrom(timestamp(activity.started_at))
    if activity.heartbeat_at:
        info.last_heartbeat_time.CopyFrom(timestamp(activity.heartbeat_at))
    if activity.last_attempt_completed_at:
        info.last_attempt_complete_time.CopyFrom(timestamp(activity.last_attempt_completed_at))
    if activity.retry_at:
        info.current_retry_interval.CopyFrom(duration(activity.retry_interval))
    if activity.retry_at:
        info.next_attempt_schedule_time.CopyFrom(timestamp(activity.retry_at))
