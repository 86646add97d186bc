"""RequestCancelWorkflowExecution, TerminateWorkflowExecution and DeleteWorkflowExecution."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DeleteWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from ...engine.machines import workflow
from ...engine.turn import Turn
from ...errors import WorkflowCompleted, not_found
from ...runtime.service import Runtime
from .. import validate
from ..links import check_links
from .lookup import change

if TYPE_CHECKING:
    from ..server import Call

_DEFAULT_REASON = "terminated by user via frontend"
_DEFAULT_IDENTITY = "frontend-service"


async def request_cancel_workflow_execution(
    runtime: Runtime, request: RequestCancelWorkflowExecutionRequest, call: Call
) -> RequestCancelWorkflowExecutionResponse:
    """Ask a run to cancel itself. A second request, and one to a closed run, change nothing and are no error."""
    del call
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    check_links(request.links, runtime.limits)

    def decide(turn: Turn) -> None:
        if not turn.state.running:
            raise WorkflowCompleted()
        _check_first_run(turn, request.first_execution_run_id)
        if not turn.state.cancel_requested:
            workflow.request_cancel(turn, request.reason, request.identity, list(request.links))

    with contextlib.suppress(WorkflowCompleted):
        await change(runtime, request.namespace, _meant(request), decide)
    return RequestCancelWorkflowExecutionResponse()


async def terminate_workflow_execution(
    runtime: Runtime, request: TerminateWorkflowExecutionRequest, call: Call
) -> TerminateWorkflowExecutionResponse:
    """End a run at once."""
    del call
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    check_links(request.links, runtime.limits)

    def decide(turn: Turn) -> None:
        if not turn.state.running:
            raise WorkflowCompleted()
        _check_first_run(turn, request.first_execution_run_id)
        details = request.details if request.HasField("details") else None
        reason, identity = request.reason or _DEFAULT_REASON, request.identity or _DEFAULT_IDENTITY
        workflow.terminate(turn, reason, details, identity, list(request.links))

    await change(runtime, request.namespace, _meant(request), decide)
    return TerminateWorkflowExecutionResponse()


async def delete_workflow_execution(
    runtime: Runtime, request: DeleteWorkflowExecutionRequest, call: Call
) -> DeleteWorkflowExecutionResponse:
    """Remove a run, soon; an open one is terminated first. Other runs of its chain and its id stay as they are."""
    del call
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    await change(runtime, request.namespace, request.workflow_execution, workflow.delete)
    return DeleteWorkflowExecutionResponse()


def _meant(
    request: RequestCancelWorkflowExecutionRequest | TerminateWorkflowExecutionRequest,
) -> WorkflowExecution:
    """A request that names the first run of a chain means the current one, whichever run it names beside that."""
    if request.first_execution_run_id:
        return WorkflowExecution(workflow_id=request.workflow_execution.workflow_id)
    return request.workflow_execution


def _check_first_run(turn: Turn, first_run_id: str) -> None:
    """The request may insist on the chain that it means."""
    if first_run_id and turn.state.first_run_id != first_run_id:
        raise not_found("workflow execution not found")
