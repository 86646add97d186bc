"""PauseActivity, UnpauseActivity, ResetActivity, UpdateActivityOptions: of activities by id, by type, or of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseActivityResponse,
    ResetActivityRequest,
    ResetActivityResponse,
    UnpauseActivityRequest,
    UnpauseActivityResponse,
    UpdateActivityOptionsRequest,
    UpdateActivityOptionsResponse,
)

from ...engine import activity_operations as operations
from ...engine.activity_operations import Selection
from ...engine.protos import nanos
from ...engine.turn import Turn
from ...errors import WorkflowCompleted, invalid_argument
from ...runtime.service import Runtime
from .. import validate
from .lookup import change

if TYPE_CHECKING:
    from ..server import Call

_Request = PauseActivityRequest | UnpauseActivityRequest | ResetActivityRequest | UpdateActivityOptionsRequest
_T = TypeVar("_T")


async def pause_activity(runtime: Runtime, request: PauseActivityRequest, call: Call) -> PauseActivityResponse:
    """No further attempts until it is unpaused."""
    del call
    which = _selection(request)
    await _change(
        runtime,
        request,
        lambda turn: operations.pause(turn, which, request.identity, request.reason, request.request_id),
    )
    return PauseActivityResponse()


async def unpause_activity(runtime: Runtime, request: UnpauseActivityRequest, call: Call) -> UnpauseActivityResponse:
    """Go on with a paused activity. One that is not paused stays as it is."""
    del call
    which, jitter = _selection(request), _jitter(request.jitter)
    await _change(
        runtime,
        request,
        lambda turn: operations.unpause(
            turn,
            which,
            reset_attempts=request.reset_attempts,
            reset_heartbeat=request.reset_heartbeat,
            jitter=jitter,
        ),
    )
    return UnpauseActivityResponse()


async def reset_activity(runtime: Runtime, request: ResetActivityRequest, call: Call) -> ResetActivityResponse:
    """Begin again with the first attempt."""
    del call
    which, jitter = _selection(request), _jitter(request.jitter)
    await _change(
        runtime,
        request,
        lambda turn: operations.reset(
            turn,
            which,
            reset_heartbeat=request.reset_heartbeat,
            keep_paused=request.keep_paused,
            restore_options=request.restore_original_options,
            jitter=jitter,
        ),
    )
    return ResetActivityResponse()


async def update_activity_options(
    runtime: Runtime, request: UpdateActivityOptionsRequest, call: Call
) -> UpdateActivityOptionsResponse:
    """Change the options that the mask names, or restore those from the beginning. Counts from the next attempt on."""
    del call
    which = _selection(request)
    validate.priority(request.activity_options.priority)
    if request.restore_original and request.update_mask.paths:
        raise invalid_argument("Both UpdateMask and RestoreOriginal are provided")
    if request.restore_original:
        return UpdateActivityOptionsResponse(
            activity_options=await _change(runtime, request, lambda turn: operations.restore_options(turn, which))
        )
    options = await _change(runtime, request, lambda turn: _change_options(turn, request, which))
    options.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    return UpdateActivityOptionsResponse(activity_options=options)


def _change_options(turn: Turn, request: UpdateActivityOptionsRequest, which: Selection) -> ActivityOptions:
    if not turn.state.running:
        raise WorkflowCompleted()
    if not request.HasField("activity_options"):
        raise invalid_argument("ActivityOptions are not provided")
    operations.find(turn.state, which)
    if not request.HasField("update_mask"):
        raise invalid_argument("UpdateMask is not provided")
    return operations.change_options(turn, which, request.activity_options, request.update_mask.paths)


def _selection(request: _Request) -> Selection:
    """Which activities are meant; checks the request as far as all four have it in common."""
    if not request.execution.workflow_id:
        raise invalid_argument("WorkflowId is not set on request.")
    kind = request.WhichOneof("activity")
    if kind is None:
        raise invalid_argument("Either Activity.Id or Activity.Type should be set on request.")
    if request.execution.run_id:
        validate.run_id(request.execution.run_id, "RunId is not valid UUID.")
    if kind == "id":
        return Selection(activity_id=request.id)
    return Selection(activity_type=request.type) if kind == "type" else Selection()


def _jitter(given: Duration) -> int:
    """Nanoseconds. The server has no check of its own for negative ones, it breaks off."""
    jitter = nanos(given)
    if jitter < 0:
        raise invalid_argument("Jitter cannot be negative.")
    return jitter


async def _change(runtime: Runtime, request: _Request, decide: Callable[[Turn], _T]) -> _T:
    result, _ = await change(runtime, request.namespace, request.execution, decide)
    return result  # type: ignore[return-value]  # None only for requests with an id for dedup
