"""ResetWorkflowExecution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest, ResetWorkflowExecutionResponse

from ...engine.reset import excluded_kinds
from ...errors import invalid_argument
from ...runtime.resets import ResetOrder
from ...runtime.service import Runtime
from .. import validate

if TYPE_CHECKING:
    from ..server import Call


async def reset_workflow_execution(
    runtime: Runtime, request: ResetWorkflowExecutionRequest, call: Call
) -> ResetWorkflowExecutionResponse:
    """Begin a new run with the history of another one up to a workflow task; the current run gives way to it."""
    del call
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    if not request.request_id:
        raise invalid_argument("RequestId is not set on request.")
    validate.length("RequestId", request.request_id)
    if request.reset_reapply_type not in ResetReapplyType.values():
        raise invalid_argument(f"Unknown ResetReapplyType: {request.reset_reapply_type}.")
    _check_operations(request.post_reset_operations)
    order = ResetOrder(
        request.namespace,
        request.workflow_execution.workflow_id,
        request.workflow_execution.run_id,
        request.workflow_task_finish_event_id,
        request.request_id,
        request.reason,
        excluded_kinds(request.reset_reapply_exclude_types, request.reset_reapply_type),
    )
    return ResetWorkflowExecutionResponse(run_id=await runtime.resets.reset(order))


def _check_operations(operations: Iterable[PostResetOperation]) -> None:
    """The server knows but one of them, and that one is refused before (see `fields`)."""
    for each in operations:
        kind = "*workflow.PostResetOperation_SignalWorkflow_" if each.HasField("signal_workflow") else "<nil>"
        raise invalid_argument(f"unsupported post reset operation: {kind}")
