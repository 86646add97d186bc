"""What a batch operation does to one execution: the same as the RPC for one execution, asked for by the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from temporalio.api.common.v1 import ResetOptions, WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetType
from temporalio.api.workflow.v1 import ResetPoints
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartBatchOperationRequest,
    TerminateWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
    UpdateWorkflowExecutionOptionsRequest,
)

from ..contracts.search import All, Compare, Condition, Operator
from ..errors import Code, RpcError, failed_precondition, invalid_argument
from ..runtime.batch_record import Item
from ..runtime.loaded import Loaded
from ..runtime.service import Runtime
from ..runtime.visibility import RUNNING
from .rpc import activity_operations, cancel, execution_options, reset, signal
from .rpc.lookup import find
from .rpc.visibility import parse_query

_ON_CLOSED_TOO = frozenset({"deletion_operation", "reset_operation"})
"""What makes sense for executions that are over; a query for anything else means the open ones of its matches."""

_REVERSE_BATCHES = 50


class BatchOperations:
    """See `runtime.batch_work.Operations`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def condition(self, request: StartBatchOperationRequest) -> Condition:
        """Which executions the query of a batch means."""
        query = await parse_query(self._runtime, request.visibility_query, request.namespace)
        if query.group_by:
            raise invalid_argument("invalid query: operation is not supported: 'GROUP BY' clause")
        if request.WhichOneof("operation") in _ON_CLOSED_TOO:
            return query.condition
        paused = request.unpause_activities_operation.type
        return All((query.condition, RUNNING, *([_has_paused(paused)] if paused else [])))

    async def apply(self, request: StartBatchOperationRequest, item: Item, request_id: str) -> None:
        """Do it to one execution."""
        execution = WorkflowExecution(workflow_id=item.workflow_id, run_id=item.run_id)
        await _APPLY[request.WhichOneof("operation") or ""](_One(self._runtime, request, execution, request_id))


def _has_paused(activity_type: str) -> Condition:
    return Compare("TemporalPauseInfo", Operator.EQ, f"property:activityType={activity_type}")


@dataclass(frozen=True, slots=True)
class _One:
    """The operation on one execution."""

    runtime: Runtime
    batch: StartBatchOperationRequest
    execution: WorkflowExecution
    request_id: str


# -- executions --------------------------------------------------------------------------------------------------------


async def _terminate(one: _One) -> None:
    request = TerminateWorkflowExecutionRequest(
        namespace=one.batch.namespace, workflow_execution=one.execution, reason=one.batch.reason
    )
    _copy(one.batch.termination_operation, request, ("identity", "details"))
    await _call(cancel.terminate_workflow_execution, one, request)


async def _cancel(one: _One) -> None:
    request = RequestCancelWorkflowExecutionRequest(
        namespace=one.batch.namespace, workflow_execution=one.execution, request_id=one.request_id
    )
    _copy(one.batch.cancellation_operation, request, ("identity",))
    await _call(cancel.request_cancel_workflow_execution, one, request)


async def _signal(one: _One) -> None:
    request = SignalWorkflowExecutionRequest(
        namespace=one.batch.namespace,
        workflow_execution=one.execution,
        signal_name=one.batch.signal_operation.signal,
        request_id=one.request_id,
    )
    _copy(one.batch.signal_operation, request, ("input", "header", "identity"))
    await _call(signal.signal_workflow_execution, one, request)


async def _delete(one: _One) -> None:
    request = DeleteWorkflowExecutionRequest(namespace=one.batch.namespace, workflow_execution=one.execution)
    await _call(cancel.delete_workflow_execution, one, request)


async def _update_options(one: _One) -> None:
    request = UpdateWorkflowExecutionOptionsRequest(namespace=one.batch.namespace, workflow_execution=one.execution)
    given = one.batch.update_workflow_options_operation
    _copy(given, request, ("workflow_execution_options", "update_mask", "identity"))
    await _call(execution_options.update_workflow_execution_options, one, request)


# -- activities --------------------------------------------------------------------------------------------------------


async def _unpause_activities(one: _One) -> None:
    request = UnpauseActivityRequest(namespace=one.batch.namespace, execution=one.execution)
    given = one.batch.unpause_activities_operation
    _copy(given, request, ("type", "identity", "reset_attempts", "reset_heartbeat", "jitter"))
    if given.match_all:
        request.unpause_all = True
    await _call(activity_operations.unpause_activity, one, request)


async def _reset_activities(one: _One) -> None:
    request = ResetActivityRequest(namespace=one.batch.namespace, execution=one.execution)
    given = one.batch.reset_activities_operation
    names = ("type", "match_all", "identity", "reset_heartbeat", "keep_paused", "jitter", "restore_original_options")
    _copy(given, request, names)
    await _call(activity_operations.reset_activity, one, request)


async def _update_activity_options(one: _One) -> None:
    request = UpdateActivityOptionsRequest(namespace=one.batch.namespace, execution=one.execution)
    given = one.batch.update_activity_options_operation
    names = ("type", "match_all", "identity", "activity_options", "update_mask", "restore_original")
    _copy(given, request, names)
    await _call(activity_operations.update_activity_options, one, request)


# -- reset -------------------------------------------------------------------------------------------------------------


async def _reset(one: _One) -> None:
    given = one.batch.reset_operation
    request = ResetWorkflowExecutionRequest(
        namespace=one.batch.namespace,
        workflow_execution=one.execution,
        reason=one.batch.reason,
        request_id=one.request_id,
        reset_reapply_type=given.reset_reapply_type,
        identity=given.identity,
        post_reset_operations=given.post_reset_operations,
    )
    if given.HasField("options"):
        request.reset_reapply_type = given.options.reset_reapply_type
        request.reset_reapply_exclude_types.extend(given.options.reset_reapply_exclude_types)
    await _aim(one, request, _target(one.batch))
    await _call(reset.reset_workflow_execution, one, request)


def _target(batch: StartBatchOperationRequest) -> ResetOptions:
    """Where to reset to; the older form of the request as the newer one."""
    given = batch.reset_operation
    if given.HasField("options"):
        return given.options
    if given.reset_type == ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK:
        return ResetOptions(first_workflow_task=Empty())
    return ResetOptions(last_workflow_task=Empty())


async def _aim(one: _One, request: ResetWorkflowExecutionRequest, target: ResetOptions) -> None:
    """Find the event to reset to, which may be one of an earlier run."""
    kind = target.WhichOneof("target")
    if kind == "workflow_task_id":
        request.workflow_task_finish_event_id = target.workflow_task_id
        return
    if kind == "build_id":
        _aim_at_build(await find(one.runtime, request.namespace, request.workflow_execution), request, target)
        return
    try:
        loaded = await find(one.runtime, request.namespace, request.workflow_execution)
    except RpcError as error:
        if error.code != Code.NOT_FOUND:
            raise
        # On a Temporal server, too, this counts as a failure and what else is not found does not.
        raise failed_precondition("failed to get workflow execution history") from error
    find_task = _first_task if kind == "first_workflow_task" else _last_task
    request.workflow_task_finish_event_id = await find_task(one.runtime, loaded)


async def _first_task(runtime: Runtime, loaded: Loaded) -> int:
    """The first completed workflow task; if there is none, what would follow the first scheduled one."""
    scheduled, first, end = 0, 1, loaded.state.next_event_id
    while first < end:
        history, first = await runtime.histories.read(loaded, first, end)
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                scheduled = scheduled or event.event_id
    return _after(scheduled)


async def _last_task(runtime: Runtime, loaded: Loaded) -> int:
    """The last completed workflow task; if there is none, what would follow the first scheduled one."""
    scheduled, before = 0, loaded.state.next_event_id
    while before > 1:
        events = await runtime.histories.read_reverse(loaded, before, _REVERSE_BATCHES)
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return event.event_id
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                scheduled = event.event_id
        before = events[-1].event_id if events else 0
    return _after(scheduled)


def _after(scheduled: int) -> int:
    if not scheduled:
        raise failed_precondition("unable to find any scheduled or completed task")
    return scheduled + 1


def _aim_at_build(loaded: Loaded, request: ResetWorkflowExecutionRequest, target: ResetOptions) -> None:
    points = ResetPoints.FromString(loaded.state.reset_points).points
    point = next((each for each in points if each.build_id == target.build_id), None)
    if point is None:
        raise failed_precondition(f"Can't find reset point for {target.build_id}")
    if point.run_id != request.workflow_execution.run_id and target.current_run_only:
        raise failed_precondition(f"Reset point for {target.build_id} points to previous run and CurrentRunOnly is set")
    request.workflow_execution.run_id = point.run_id
    request.workflow_task_finish_event_id = point.first_workflow_task_completed_id


# -- shared ------------------------------------------------------------------------------------------------------------

_APPLY: dict[str, Callable[[_One], Awaitable[None]]] = {
    "termination_operation": _terminate,
    "cancellation_operation": _cancel,
    "signal_operation": _signal,
    "reset_operation": _reset,
    "deletion_operation": _delete,
    "update_workflow_options_operation": _update_options,
    "unpause_activities_operation": _unpause_activities,
    "reset_activities_operation": _reset_activities,
    "update_activity_options_operation": _update_activity_options,
}


def _copy(given: Message, request: Message, names: Iterable[str]) -> None:
    """Copy the fields that are set; they have the same names and types in both messages."""
    for field, value in given.ListFields():
        if field.name in names:
            if isinstance(value, Message):
                getattr(request, field.name).CopyFrom(value)
            else:
                setattr(request, field.name, value)


async def _call(rpc: Callable[[Runtime, Any, Any], Awaitable[Message]], one: _One, request: Message) -> None:
    """As if a client had asked; there is nothing to be told of the call itself."""
    await rpc(one.runtime, request, None)
