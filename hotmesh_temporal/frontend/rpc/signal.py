"""SignalWorkflowExecution and SignalWithStartWorkflowExecution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Link, WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowIdConflictPolicy
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    SignalWorkflowExecutionRequest,
    SignalWorkflowExecutionResponse,
)

from ...engine.machines import workflow
from ...engine.opening import begin
from ...engine.turn import Turn
from ...errors import RpcError, WorkflowCompleted, invalid_argument, workflow_closing
from ...runtime.keys import RunKey
from ...runtime.service import Runtime
from .. import validate
from ..errors import Code
from ..links import check_links
from . import start
from .lookup import change, key_of

if TYPE_CHECKING:
    from ..server import Call

_SignalRequest = SignalWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest


async def signal_workflow_execution(
    runtime: Runtime, request: SignalWorkflowExecutionRequest, call: Call
) -> SignalWorkflowExecutionResponse:
    """Add a signal to an open run."""
    del call
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    if not request.signal_name:
        raise invalid_argument("SignalName is not set on request.")
    validate.length("SignalName", request.signal_name)
    validate.length("RequestId", request.request_id)
    validate.blob(request.input, runtime.limits.blob_size)
    check_links(request.links, runtime.limits)
    _, key = await _deliver(runtime, request, request.workflow_execution)
    return SignalWorkflowExecutionResponse(link=_link(key, request.request_id))


async def _deliver(runtime: Runtime, request: _SignalRequest, execution: WorkflowExecution) -> tuple[None, RunKey]:
    return await change(
        runtime,
        request.namespace,
        execution,
        lambda turn: _signal(turn, request),
        request_id=request.request_id,
    )


def _signal(turn: Turn, request: _SignalRequest, *, schedule_task: bool = True) -> None:
    if not turn.state.running:
        raise WorkflowCompleted()
    if turn.state.close_attempted and turn.state.task_in_flight:
        raise workflow_closing()
    limit = turn.ctx.limits.signals
    if turn.state.signal_count >= limit:
        raise RpcError(Code.INVALID_ARGUMENT, "exceeded workflow execution limit for signal events")
    given = request.input if isinstance(request, SignalWorkflowExecutionRequest) else request.signal_input
    name = "input" if isinstance(request, SignalWorkflowExecutionRequest) else "signal_input"
    workflow.signal(
        turn,
        request.signal_name,
        given if request.HasField(name) else None,  # type: ignore[arg-type]  # each name belongs to its request
        request.identity,
        request.header if request.HasField("header") else None,
        request_id=request.request_id,
        links=list(request.links),
        schedule_task=schedule_task,
    )


async def signal_with_start_workflow_execution(
    runtime: Runtime, request: SignalWithStartWorkflowExecutionRequest, call: Call
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the open run, or start one that has the signal from its beginning."""
    del call
    start.check(request)
    await start.check_attributes(runtime, request)
    policy = request.workflow_id_conflict_policy
    if policy == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL:
        raise invalid_argument(
            "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this operation."
        )
    if policy == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED:
        joined = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
        request.workflow_id_conflict_policy = joined
    validate.blob(request.input, runtime.limits.blob_size)
    validate.blob(request.signal_input, runtime.limits.blob_size)
    check_links(request.links, runtime.limits)
    request.request_id = request.request_id or runtime.clock.new_id()
    execution = WorkflowExecution(workflow_id=request.workflow_id)
    while True:
        outcome = await start.open_or_join(runtime, request, lambda: _opening(runtime, request))
        key = key_of(outcome.run)
        if not outcome.started:
            try:
                _, key = await _deliver(runtime, request, execution)
            except WorkflowCompleted:
                continue  # it closed in between: start anew
        return SignalWithStartWorkflowExecutionResponse(
            run_id=key.run_id,
            first_execution_run_id=outcome.run.state.first_run_id,
            started=outcome.started,
            signal_link=_link(key, request.request_id),
        )


def _opening(runtime: Runtime, request: SignalWithStartWorkflowExecutionRequest) -> Turn:
    turn = start.opening_turn(runtime, request, offer_task=False)
    _signal(turn, request, schedule_task=False)
    begin(turn)
    return turn


def _link(key: RunKey, request_id: str) -> Link:
    reference = Link.WorkflowEvent.RequestIdReference(
        request_id=request_id, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    )
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=key.namespace, workflow_id=key.workflow_id, run_id=key.run_id, request_id_ref=reference
        )
    )
