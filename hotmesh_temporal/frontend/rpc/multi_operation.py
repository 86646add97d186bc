"""ExecuteMultiOperation: an update that starts the workflow if it does not run."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, NoReturn

from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)

from ...engine.machines import update as updates
from ...engine.protos import nanos
from ...engine.turn import Turn
from ...errors import RpcError, WorkflowCompleted, invalid_argument, multi_operation_failed, namespace_not_found
from ...runtime.execution import Loaded
from ...runtime.service import Runtime
from .. import validate
from ..links import check_links
from . import start, update
from .lookup import key_of

if TYPE_CHECKING:
    from ..server import Call

_COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
_Response = ExecuteMultiOperationResponse.Response


async def execute_multi_operation(
    runtime: Runtime, request: ExecuteMultiOperationRequest, call: Call
) -> ExecuteMultiOperationResponse:
    """Start the workflow together with its first update, or send the update to the run that is there."""
    kinds = [each.WhichOneof("operation") for each in request.operations]
    if kinds != ["start_workflow", "update_workflow"]:
        raise invalid_argument("Operations have to be exactly [Start, Update].")
    first, second = request.operations[0].start_workflow, request.operations[1].update_workflow
    await _check(runtime, request.namespace, first, second)
    current = await runtime.executions.load_current(first.namespace, first.workflow_id)
    if current is not None:
        known = current.state.updates.get(second.request.meta.update_id)
        if known is not None and known.completed_event_id:
            return await _finished(runtime, current, second, call)
        if known is not None or second.request.meta.update_id in current.state.asked_updates:
            # It is under way already, which no policy is asked about.
            joined = await _join(runtime, current, second, call)
            if joined is not None:
                return joined
    return await _start_or_join(runtime, first, second, call)


async def _check(
    runtime: Runtime,
    namespace: str,
    first: StartWorkflowExecutionRequest,
    second: UpdateWorkflowExecutionRequest,
) -> None:
    """Both are checked, and the caller is told of both."""
    wrong = [
        await _problem(_check_first(runtime, namespace, first)),
        await _problem(_check_second(namespace, second, first.workflow_id)),
    ]
    if any(wrong):
        _fail(start=wrong[0], update=wrong[1])
    if not second.request.meta.update_id:
        second.request.meta.update_id = runtime.clock.new_id()


async def _problem(check: Awaitable[None]) -> RpcError | None:
    try:
        await check
    except RpcError as error:
        return error
    return None


def _check_namespace(given: str, namespace: str) -> None:
    if given and given != namespace:
        raise invalid_argument("Operation namespace did not match request's namespace.")


async def _check_first(runtime: Runtime, namespace: str, first: StartWorkflowExecutionRequest) -> None:
    _check_namespace(first.namespace, namespace)
    if not first.namespace:
        raise namespace_not_found("")  # an update may leave it out, a start may not
    start.check(first)
    await start.check_attributes(runtime, first)
    validate.blob(first.input, runtime.limits.blob_size)
    validate.memo(first.memo, runtime.limits.memo_size)
    check_links(first.links, runtime.limits)
    start.check_policies(first)
    _check_start(first)


async def _check_second(namespace: str, second: UpdateWorkflowExecutionRequest, workflow_id: str) -> None:
    _check_namespace(second.namespace, namespace)
    second.namespace = namespace
    update.check(second)
    _check_update(second, workflow_id)


def _check_start(request: StartWorkflowExecutionRequest) -> None:
    if request.cron_schedule:
        raise invalid_argument("CronSchedule is not allowed.")
    if request.request_eager_execution:
        raise invalid_argument("RequestEagerExecution is not supported.")
    if nanos(request.workflow_start_delay):
        raise invalid_argument("WorkflowStartDelay is not supported.")


def _check_update(request: UpdateWorkflowExecutionRequest, workflow_id: str) -> None:
    if request.workflow_execution.workflow_id != workflow_id:
        raise invalid_argument("WorkflowId is not consistent with previous operation(s).")
    if request.workflow_execution.run_id:
        raise invalid_argument("RunId is not allowed.")
    if request.first_execution_run_id:
        raise invalid_argument("FirstExecutionRunId is not allowed.")


def _fail(*, start: RpcError | None = None, update: RpcError | None = None) -> NoReturn:
    """One of the two is wrong, so that the other one is not carried out either."""
    cause = start or update
    assert cause is not None
    raise multi_operation_failed("Update-with-Start could not be executed.", [start, update]) from cause


async def _start_or_join(
    runtime: Runtime, first: StartWorkflowExecutionRequest, second: UpdateWorkflowExecutionRequest, call: Call
) -> ExecuteMultiOperationResponse:
    made: set[str] = set()

    def make() -> Turn:
        turn = start.opening_turn(runtime, first)
        updates.ask(turn, second.request)
        made.add(turn.state.run_id)
        return turn

    while True:
        try:
            outcome = await start.open_or_join(runtime, first, make)
        except RpcError as error:
            _fail(start=error)
        run = outcome.run
        if run.state.run_id in made:
            response = start.response_of(run.state, started=True)
            return await _answer(runtime, run, response, second, _number(run, second), call)
        joined = await _join(runtime, run, second, call)
        if joined is not None:
            return joined
        if outcome.started:  # by an earlier try of this very request
            _fail(update=WorkflowCompleted())


def _number(run: Loaded, second: UpdateWorkflowExecutionRequest) -> int:
    return run.state.asked_updates[second.request.meta.update_id].number


async def _join(
    runtime: Runtime, run: Loaded, second: UpdateWorkflowExecutionRequest, call: Call
) -> ExecuteMultiOperationResponse | None:
    """Send the update to a run that is there; None if it has closed meanwhile."""
    try:
        number, run = await runtime.executions.update(key_of(run), lambda turn: update.ask(turn, second))
    except WorkflowCompleted:
        return None
    except RpcError as error:
        _fail(update=error)
    response = start.response_of(run.state, started=False)
    response.ClearField("first_execution_run_id")
    return await _answer(runtime, run, response, second, number, call)


async def _answer(
    runtime: Runtime,
    run: Loaded,
    response: StartWorkflowExecutionResponse,
    second: UpdateWorkflowExecutionRequest,
    number: int,
    call: Call,
) -> ExecuteMultiOperationResponse:
    try:
        updated = await update.answer(runtime, key_of(run), second, number, call)
    except RpcError as error:
        _fail(update=error)
    return ExecuteMultiOperationResponse(
        responses=[_Response(start_workflow=response), _Response(update_workflow=updated)]
    )


async def _finished(
    runtime: Runtime, run: Loaded, second: UpdateWorkflowExecutionRequest, call: Call
) -> ExecuteMultiOperationResponse:
    """The update was completed before, maybe by a run that is closed."""
    response = StartWorkflowExecutionResponse(run_id=run.state.run_id, status=start.status_of(run.state))
    updated = await update.answer(runtime, key_of(run), second, 0, call)
    short = UpdateWorkflowExecutionResponse(update_ref=updated.update_ref, outcome=updated.outcome, stage=_COMPLETED)
    return ExecuteMultiOperationResponse(
        responses=[_Response(start_workflow=response), _Response(update_workflow=short)]
    )
