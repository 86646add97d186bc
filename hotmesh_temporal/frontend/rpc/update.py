"""UpdateWorkflowExecution and PollWorkflowExecutionUpdate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Link, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.update.v1 import Outcome, UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from ...engine.machines import update
from ...engine.model import ExecutionState, RejectedUpdate
from ...engine.turn import Turn
from ...errors import (
    RpcError,
    WorkflowCompleted,
    invalid_argument,
    not_found,
    unavailable,
    workflow_closing,
    workflow_not_ready,
)
from ...runtime.execution import Loaded
from ...runtime.keys import RunKey
from ...runtime.service import Runtime
from .. import validate
from ..errors import Code
from .lookup import change, find, key_of

if TYPE_CHECKING:
    from ..server import Call

_LONGEST = 20.0
_AFTER_DEADLINE = -1.0
"""A caller that gives up earlier is told so by its own deadline, not by an answer of ours."""
_ADMITTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
_ACCEPTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
_COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
_UNSPECIFIED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far an update is."""

    stage: Stage.ValueType
    outcome: Outcome | None = None


async def update_workflow_execution(
    runtime: Runtime, request: UpdateWorkflowExecutionRequest, call: Call
) -> UpdateWorkflowExecutionResponse:
    """Ask the workflow, and wait until it has accepted or completed (or rejected) the update."""
    check(request)
    number, key = await change(runtime, request.namespace, request.workflow_execution, lambda turn: ask(turn, request))
    return await answer(runtime, key, request, number or 0, call)


async def answer(
    runtime: Runtime, key: RunKey, request: UpdateWorkflowExecutionRequest, number: int, call: Call
) -> UpdateWorkflowExecutionResponse:
    """Wait as the request wants it for what was asked with this ``number`` (see `engine.machines.update.ask`)."""
    update_id = request.request.meta.update_id
    stage = request.wait_policy.lifecycle_stage or _COMPLETED
    progress = await _wait(runtime, key, update_id, number, stage, call)
    return UpdateWorkflowExecutionResponse(
        update_ref=_ref(key, update_id),
        outcome=progress.outcome,
        stage=progress.stage,
        link=_link(key, request.request.request_id, progress),
    )


def check(request: UpdateWorkflowExecutionRequest) -> None:
    """The request is well formed."""
    validate.execution(request.workflow_execution, present=request.HasField("workflow_execution"))
    asked = request.request
    if not asked.HasField("meta"):
        raise invalid_argument("Update meta is not set on request.")
    if len(asked.meta.update_id.encode()) > validate.ID_LENGTH:
        raise invalid_argument("UpdateId length exceeds limit.")
    if not asked.HasField("input"):
        raise invalid_argument("Update input is not set on request.")
    if not asked.input.name:
        raise invalid_argument("Update name is not set on request.")
    if request.wait_policy.lifecycle_stage == _ADMITTED:
        raise RpcError(
            Code.PERMISSION_DENIED,
            "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
            [PermissionDeniedFailure()],
        )


def ask(turn: Turn, request: UpdateWorkflowExecutionRequest) -> int:
    """Leave the update for a worker, if the run is one that can take it; see `engine.machines.update.ask`."""
    state = turn.state
    if not request.request.meta.update_id:
        request.request.meta.update_id = turn.ctx.new_id()
    if request.first_execution_run_id and request.first_execution_run_id != state.first_run_id:
        raise not_found("workflow execution not found")
    if not state.running and request.request.meta.update_id not in state.updates:
        raise WorkflowCompleted()
    if state.close_attempted and state.task_in_flight:
        raise workflow_closing()
    return update.ask(turn, request.request)


async def _wait(
    runtime: Runtime, key: RunKey, update_id: str, number: int, stage: Stage.ValueType, call: Call
) -> _Progress:
    """Until the update is as far as ``stage``; as far as it is when the time is over."""
    patience = runtime.draining.patience(min(_LONGEST, call.wait(_LONGEST, margin=_AFTER_DEADLINE)))
    loaded = await find(runtime, key.namespace, WorkflowExecution(workflow_id=key.workflow_id, run_id=key.run_id))
    while True:
        progress = await _progress(runtime, loaded, update_id, number)
        if progress.stage >= stage or patience.remaining() <= 0:
            return progress
        loaded = await runtime.histories.wait_for_change(key, loaded, patience)


async def _progress(runtime: Runtime, loaded: Loaded, update_id: str, number: int) -> _Progress:
    """How far it is. ``number``: of the asked update that the caller waits for, 0 if it is not about an asked one."""
    state = loaded.state
    known = state.updates.get(update_id)
    rejected = _rejection(state, number)
    if rejected is not None:
        return _Progress(_COMPLETED, _as_outcome(rejected))
    if known is not None and known.completed_event_id:
        event = await runtime.histories.event(loaded, known.completed_event_id)
        return _Progress(_COMPLETED, event.workflow_execution_update_completed_event_attributes.outcome)
    if known is not None:
        return _Progress(_ACCEPTED) if state.running else _Progress(_COMPLETED, _unfinished())
    asked = state.asked_updates.get(update_id)
    if asked is not None and number in (0, asked.number):
        return _Progress(_ADMITTED)
    raise _gone(state, update_id, number)


def _rejection(state: ExecutionState, number: int) -> RejectedUpdate | None:
    return next((each for each in state.rejected_updates if number and each.number == number), None)


def _as_outcome(rejected: RejectedUpdate) -> Outcome:
    if not rejected.failure:
        raise workflow_not_ready("Unable to perform workflow execution update due to unexpected workflow task failure.")
    return Outcome(failure=Failure.FromString(rejected.failure))


def _unfinished() -> Outcome:
    """The outcome of an update whose run has ended before it."""
    return Outcome(
        failure=Failure(
            message="Workflow Update failed because the Workflow completed before the Update completed.",
            source="Server",
            application_failure_info=ApplicationFailureInfo(type="AcceptedUpdateCompletedWorkflow", non_retryable=True),
        )
    )


def _gone(state: ExecutionState, update_id: str, number: int) -> RpcError:
    """What became of an update that there is no trace of."""
    if not number:
        return not_found(f'update "{update_id}" not found')
    if state.running:
        return unavailable(f'the rejection of update "{update_id}" is not known any more')
    if state.new_run_id:
        return workflow_closing()  # to be sent again, to the next run
    return not_found("workflow update was aborted by closing workflow")


async def poll_workflow_execution_update(
    runtime: Runtime, request: PollWorkflowExecutionUpdateRequest, call: Call
) -> PollWorkflowExecutionUpdateResponse:
    """Wait for an update that was asked before."""
    if not request.HasField("update_ref"):
        raise invalid_argument("UpdateRef is not set on request.")
    ref = request.update_ref
    if not ref.workflow_execution.workflow_id:
        raise invalid_argument("Can't load workflow execution.  WorkflowId not set.")
    if ref.workflow_execution.run_id:
        validate.run_id(ref.workflow_execution.run_id, "RunId is not valid UUID.")
    loaded = await find(runtime, request.namespace, ref.workflow_execution)
    key, asked = key_of(loaded), loaded.state.asked_updates.get(ref.update_id)
    stage = request.wait_policy.lifecycle_stage
    progress = await _wait(runtime, key, ref.update_id, asked.number if asked else 0, stage, call)
    return PollWorkflowExecutionUpdateResponse(
        outcome=progress.outcome, stage=progress.stage, update_ref=_ref(key, ref.update_id)
    )


def _ref(key: RunKey, update_id: str) -> UpdateRef:
    return UpdateRef(
        workflow_execution=WorkflowExecution(workflow_id=key.workflow_id, run_id=key.run_id), update_id=update_id
    )


def _link(key: RunKey, request_id: str, progress: _Progress) -> Link | None:
    """To the event that accepted it; to the workflow if it failed (the server does not tell that from a rejection)."""
    if progress.stage == _ADMITTED:
        return None
    if progress.outcome is not None and progress.outcome.HasField("failure"):
        return Link(
            workflow=Link.Workflow(
                namespace=key.namespace, workflow_id=key.workflow_id, run_id=key.run_id, reason="Update rejected"
            )
        )
    reference = Link.WorkflowEvent.RequestIdReference(
        request_id=request_id, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    )
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=key.namespace, workflow_id=key.workflow_id, run_id=key.run_id, request_id_ref=reference
        )
    )
