"""UpdateWorkflowExecutionOptions; and PauseWorkflowExecution and UnpauseWorkflowExecution, which are switched off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.protobuf.descriptor import Descriptor
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    PauseWorkflowExecutionResponse,
    UnpauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionResponse,
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)

from ...engine.machines import workflow
from ...engine.priority import unpacked
from ...engine.turn import Turn
from ...errors import WorkflowCompleted, failed_precondition, invalid_argument, unimplemented
from ...runtime.service import Runtime
from .. import validate
from .lookup import change, find

if TYPE_CHECKING:
    from ..server import Call

_PRIORITY_PARTS = ("priority_key", "fairness_key", "fairness_weight")


async def update_workflow_execution_options(
    runtime: Runtime, request: UpdateWorkflowExecutionOptionsRequest, call: Call
) -> UpdateWorkflowExecutionOptionsResponse:
    """Change the options that the mask names. What changes nothing leaves no event."""
    del call
    execution, options = request.workflow_execution, request.workflow_execution_options
    if not execution.workflow_id:
        raise invalid_argument("WorkflowId is not set on request.")
    if execution.run_id:
        validate.run_id(execution.run_id, "RunId is not valid UUID.")
    if not request.HasField("update_mask"):
        raise invalid_argument("UpdateMask is required")
    if not request.HasField("workflow_execution_options"):
        raise invalid_argument("WorkflowExecutionOptions is required")
    _check_paths(request.update_mask.paths)
    validate.priority(options.priority)

    def decide(turn: Turn) -> WorkflowExecutionOptions:
        if not turn.state.running:
            raise WorkflowCompleted()
        before = WorkflowExecutionOptions(priority=unpacked(turn.state.priority))
        after = _merged(before, options, request.update_mask.paths)
        if after != before:
            workflow.update_options(turn, after, request.identity)
        return after

    updated, _ = await change(runtime, request.namespace, execution, decide)
    return UpdateWorkflowExecutionOptionsResponse(workflow_execution_options=updated)


def _check_paths(paths: Iterable[str]) -> None:
    for path in paths:
        if not _is_path(WorkflowExecutionOptions.DESCRIPTOR, path):
            name = WorkflowExecutionOptions.DESCRIPTOR.full_name
            # The blank after the colon is the one of the server's protobuf library.
            raise invalid_argument(f'error parsing UpdateMask: proto:\u00a0invalid path "{path}" for message "{name}"')


def _is_path(descriptor: Descriptor | None, path: str) -> bool:
    """Every part of the path names a field of the message before."""
    for name in path.split("."):
        if descriptor is None or name not in descriptor.fields_by_name:
            return False
        descriptor = descriptor.fields_by_name[name].message_type
    return True


def _merged(
    before: WorkflowExecutionOptions, changes: WorkflowExecutionOptions, paths: Iterable[str]
) -> WorkflowExecutionOptions:
    """Only the priority can be set here: versioning and time skipping are refused with the request."""
    after, wanted = WorkflowExecutionOptions(), set(paths)
    if any(each.startswith("versioning_override.") for each in wanted):
        raise invalid_argument("error applying update_options: versioning_override doesn't support partial updates")
    after.CopyFrom(before)
    if "priority" in wanted:
        after.ClearField("priority")
        if changes.HasField("priority"):
            after.priority.CopyFrom(changes.priority)
    parts = [part for part in _PRIORITY_PARTS if f"priority.{part}" in wanted]
    if parts:
        after.priority.SetInParent()
    for part in parts:
        setattr(after.priority, part, getattr(changes.priority, part))
    return after


async def pause_workflow_execution(
    runtime: Runtime, request: PauseWorkflowExecutionRequest, call: Call
) -> PauseWorkflowExecutionResponse:
    """Switched off, as it is on a Temporal server unless its configuration says otherwise."""
    del runtime, call
    raise unimplemented(f"workflow pause is not enabled for namespace: {request.namespace}")


async def unpause_workflow_execution(
    runtime: Runtime, request: UnpauseWorkflowExecutionRequest, call: Call
) -> UnpauseWorkflowExecutionResponse:
    """No run is ever paused here: says so, or what else is wrong with the request."""
    del call
    for title, text in (("reason", request.reason), ("request id", request.request_id), ("identity", request.identity)):
        if len(text.encode()) > validate.ID_LENGTH:
            raise invalid_argument(f"{title} is too long.")
    if request.run_id:
        validate.run_id(request.run_id, "RunId is not valid UUID.")
    if not request.workflow_id:
        raise invalid_argument("Can't load workflow execution.  WorkflowId not set.")
    execution = WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id)
    loaded = await find(runtime, request.namespace, execution)
    if not loaded.state.running:
        raise WorkflowCompleted()
    raise failed_precondition("workflow is not paused.")
