"""StartBatchOperation, StopBatchOperation, DescribeBatchOperation, ListBatchOperations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.batch.v1 import BatchOperationInfo
from temporalio.api.enums.v1 import ResetType
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    ListBatchOperationsRequest,
    ListBatchOperationsResponse,
    StartBatchOperationRequest,
    StartBatchOperationResponse,
    StopBatchOperationRequest,
    StopBatchOperationResponse,
)

from ...engine.protos import timestamp
from ...errors import RpcError, invalid_argument
from ...runtime.batch_record import OPERATION_TYPES, Batch
from ...runtime.service import Runtime
from .. import validate
from ..list_filter.parser import parse_query

if TYPE_CHECKING:
    from ..server import Call

_LARGEST_PAGE = 1000
_WORKFLOW = 1
"""EXECUTION_TYPE_WORKFLOW, which older SDKs do not know."""

_BEFORE_QUERY = "select * from dummy where "
_CLAUSE = re.compile(r"\s*(?:(ORDER|GROUP)(?=\s+BY\b)|$)", re.IGNORECASE)
_POSITION = re.compile(r"position (\d+)")

_EXECUTION_TYPES = {0: "Unspecified", 1: "Workflow", 2: "Activity"}
_NO_FILTER = "Either activity type must be set, or match all should be set to true"


async def start_batch_operation(
    runtime: Runtime, request: StartBatchOperationRequest, call: Call
) -> StartBatchOperationResponse:
    """Begin an operation on many executions; it goes on after the answer."""
    del call
    _check(request)
    if request.visibility_query:
        _check_query(request.visibility_query)
    await runtime.batches.start(request)
    return StartBatchOperationResponse()


def _check(request: StartBatchOperationRequest) -> None:
    operation = request.WhichOneof("operation")
    chosen = (bool(request.visibility_query), bool(request.executions), bool(request.target_executions))
    if operation is None or not request.reason or not any(chosen):
        raise invalid_argument(
            "must provide required parameters: BatchType,Reason,Namespace, AND one of (Query OR Executions OR "
            "TargetExecutions)"
        )
    if not request.job_id:
        raise invalid_argument("JobId is not set on request.")
    if sum(chosen) > 1:
        raise invalid_argument("visibility query, executions, and target executions are mutually exclusive")
    _check_targets(request, operation)
    check = _CHECKS.get(operation)
    if check is not None:
        check(request)
    if len(request.job_id.encode()) > validate.ID_LENGTH:
        raise invalid_argument("WorkflowId exceeds length limit.")


def _check_query(text: str) -> None:
    """It can be read. What else is wrong with it is found when it is carried out, and then the batch fails."""
    clause = _CLAUSE.match(text)
    if clause is not None:
        # Behind a WHERE, where the server puts it, there is no condition.
        place = len(_BEFORE_QUERY) + clause.end() + 1
        near = f" near '{clause[1].lower()}'" if clause[1] else ""
        raise invalid_argument(f"invalid visibility query: syntax error at position {place}{near}")
    try:
        parse_query(text)
    except RpcError as error:
        what = _POSITION.sub(lambda found: f"position {int(found[1]) - 1}", error.message.rpartition(": ")[2])
        raise invalid_argument(f"invalid visibility query: {what}") from error


def _check_targets(request: StartBatchOperationRequest, operation: str) -> None:
    for index, each in enumerate(request.target_executions):
        if each.type != _WORKFLOW:
            name = "".join(part.title() for part in operation.split("_"))
            raise invalid_argument(
                f"target_executions[{index}] has type {_EXECUTION_TYPES.get(each.type, each.type)}, but operation "
                f"*workflowservice.StartBatchOperationRequest_{name} requires Workflow"
            )


def _check_signal(request: StartBatchOperationRequest) -> None:
    if not request.signal_operation.signal:
        raise invalid_argument("must provide signal name")


def _check_options(request: StartBatchOperationRequest) -> None:
    given = request.update_workflow_options_operation
    if not given.HasField("workflow_execution_options"):
        raise invalid_argument("must provide UpdateOptions")
    if not given.HasField("update_mask"):
        raise invalid_argument("must provide UpdateMask")


def _check_reset(request: StartBatchOperationRequest) -> None:
    given = request.reset_operation
    if given.HasField("options"):
        if given.options.WhichOneof("target") is None:
            raise invalid_argument("batch reset missing target")
    elif given.reset_type not in ResetType.values() or not given.reset_type:
        raise invalid_argument(f"unknown batch reset type {given.reset_type or 'Unspecified'}")


def _check_unpause(request: StartBatchOperationRequest) -> None:
    given = request.unpause_activities_operation
    if given.WhichOneof("activity") is None:
        raise invalid_argument("activity filter must be set")
    _check_filter(given)


def _check_activity_reset(request: StartBatchOperationRequest) -> None:
    given = request.reset_activities_operation
    if given.WhichOneof("activity") is None:
        raise invalid_argument("must provide ActivityType or MatchAll")
    _check_filter(given)


def _check_activity_options(request: StartBatchOperationRequest) -> None:
    given = request.update_activity_options_operation
    if given.HasField("activity_options") and given.restore_original:
        raise invalid_argument("cannot set both activity options and restore original")
    if not given.HasField("activity_options") and not given.restore_original:
        raise invalid_argument("Either activity type must be set, or restore original should be set to true")
    _check_filter(given)


def _check_filter(given: Message) -> None:
    """Which activities are meant, if it says so at all."""
    kind = given.WhichOneof("activity")
    if kind is not None and not getattr(given, kind):
        raise invalid_argument(_NO_FILTER)


_CHECKS = {
    "signal_operation": _check_signal,
    "update_workflow_options_operation": _check_options,
    "reset_operation": _check_reset,
    "unpause_activities_operation": _check_unpause,
    "reset_activities_operation": _check_activity_reset,
    "update_activity_options_operation": _check_activity_options,
}


async def stop_batch_operation(
    runtime: Runtime, request: StopBatchOperationRequest, call: Call
) -> StopBatchOperationResponse:
    """End one. What it has done is not undone."""
    del call
    if not request.job_id:
        raise invalid_argument("JobId is not set on request.")
    if not request.reason:
        raise invalid_argument("Reason is not set on request.")
    await runtime.batches.stop(request.namespace, request.job_id, request.reason)
    return StopBatchOperationResponse()


async def describe_batch_operation(
    runtime: Runtime, request: DescribeBatchOperationRequest, call: Call
) -> DescribeBatchOperationResponse:
    """What one does, and how far it is."""
    del call
    if not request.job_id:
        raise invalid_argument("JobId is not set on request.")
    return _description(await runtime.batches.find(request.namespace, request.job_id))


def _description(batch: Batch) -> DescribeBatchOperationResponse:
    given = batch.request
    response = DescribeBatchOperationResponse(
        operation_type=OPERATION_TYPES[batch.operation],
        job_id=batch.batch_id,
        state=batch.state,
        start_time=timestamp(batch.started),
        total_operation_count=batch.total,
        complete_operation_count=batch.complete,
        failure_operation_count=batch.failed,
        identity=getattr(given, batch.operation).identity,
        reason=given.reason,
        query=given.visibility_query,
    )
    if batch.closed:
        response.close_time.CopyFrom(timestamp(batch.closed))
    response.executions.extend(given.target_executions)
    for each in given.executions:
        response.executions.add(type=_WORKFLOW, business_id=each.workflow_id, run_id=each.run_id)
    return response


async def list_batch_operations(
    runtime: Runtime, request: ListBatchOperationsRequest, call: Call
) -> ListBatchOperationsResponse:
    """One page of all that are running, and of those that have ended not longer ago than the namespace's retention."""
    del call
    size = request.page_size if 0 < request.page_size <= _LARGEST_PAGE else _LARGEST_PAGE
    page = await runtime.batches.page(request.namespace, size, request.next_page_token)
    return ListBatchOperationsResponse(
        operation_info=[BatchOperationInfo.FromString(each.data) for each in page.documents],
        next_page_token=page.next_page_token,
    )
