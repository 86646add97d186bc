"""PauseActivityExecution and its like: newer requests for what `activity_operations` does, of one activity by its id.

The ``temporal`` CLI sends them. Without a workflow id they mean activities that no workflow has started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityExecutionRequest,
    PauseActivityExecutionResponse,
    PauseActivityRequest,
    ResetActivityExecutionRequest,
    ResetActivityExecutionResponse,
    ResetActivityRequest,
    UnpauseActivityExecutionRequest,
    UnpauseActivityExecutionResponse,
    UnpauseActivityRequest,
    UpdateActivityExecutionOptionsRequest,
    UpdateActivityExecutionOptionsResponse,
    UpdateActivityOptionsRequest,
)

from ...errors import invalid_argument, unimplemented
from ...runtime.service import Runtime
from .. import validate
from . import activity_operations as operations

if TYPE_CHECKING:
    from ..server import Call

_Request = (
    PauseActivityExecutionRequest
    | UnpauseActivityExecutionRequest
    | ResetActivityExecutionRequest
    | UpdateActivityExecutionOptionsRequest
)


async def pause_activity_execution(
    runtime: Runtime, request: PauseActivityExecutionRequest, call: Call
) -> PauseActivityExecutionResponse:
    """No further attempts until it is unpaused."""
    older = PauseActivityRequest(
        namespace=request.namespace,
        execution=_execution(request),
        id=request.activity_id,
        identity=request.identity,
        reason=request.reason,
        request_id=request.request_id,
    )
    await operations.pause_activity(runtime, older, call)
    return PauseActivityExecutionResponse()


async def unpause_activity_execution(
    runtime: Runtime, request: UnpauseActivityExecutionRequest, call: Call
) -> UnpauseActivityExecutionResponse:
    """Go on with a paused activity. One that is not paused stays as it is."""
    older = UnpauseActivityRequest(
        namespace=request.namespace,
        execution=_execution(request),
        id=request.activity_id,
        identity=request.identity,
        jitter=request.jitter,
    )
    await operations.unpause_activity(runtime, older, call)
    return UnpauseActivityExecutionResponse()


async def reset_activity_execution(
    runtime: Runtime, request: ResetActivityExecutionRequest, call: Call
) -> ResetActivityExecutionResponse:
    """Begin again with the first attempt."""
    older = ResetActivityRequest(
        namespace=request.namespace,
        execution=_execution(request),
        id=request.activity_id,
        identity=request.identity,
        reset_heartbeat=request.reset_heartbeat,
        keep_paused=request.keep_paused,
        jitter=request.jitter,
        restore_original_options=request.restore_original_options,
    )
    await operations.reset_activity(runtime, older, call)
    return ResetActivityExecutionResponse()


async def update_activity_execution_options(
    runtime: Runtime, request: UpdateActivityExecutionOptionsRequest, call: Call
) -> UpdateActivityExecutionOptionsResponse:
    """Change the options that the mask names, or restore those from the beginning. Counts from the next attempt on."""
    older = UpdateActivityOptionsRequest(
        namespace=request.namespace,
        execution=_execution(request),
        id=request.activity_id,
        identity=request.identity,
        activity_options=request.activity_options if request.HasField("activity_options") else None,
        update_mask=request.update_mask if request.HasField("update_mask") else None,
        restore_original=request.restore_original,
    )
    response = await operations.update_activity_options(runtime, older, call)
    return UpdateActivityExecutionOptionsResponse(activity_options=response.activity_options)


def _execution(request: _Request) -> WorkflowExecution:
    """The workflow that has the activity; checks what all four requests have in common."""
    if not request.activity_id:
        raise invalid_argument("activity ID is required")
    if request.run_id:
        validate.run_id(request.run_id, "invalid run id: must be a valid UUID")
    if not request.workflow_id:
        raise unimplemented("standalone activities are not there yet: name the workflow of the activity (workflow_id)")
    return WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id)
