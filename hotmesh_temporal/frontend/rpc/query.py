"""QueryWorkflow and RespondQueryTaskCompleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import QueryRejectCondition, QueryResultType, WorkflowExecutionStatus
from temporalio.api.query.v1 import QueryRejected
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse,
)

from ...engine import model
from ...errors import RpcError, invalid_argument, not_found, query_failed, workflow_not_ready
from ...runtime.draining import Patience
from ...runtime.keys import QueueKey
from ...runtime.loaded import Loaded
from ...runtime.queries import Attached
from ...runtime.service import Runtime
from .. import tokens, validate
from ..errors import Code
from ..tokens import QueryTaskToken
from .lookup import find, key_of

if TYPE_CHECKING:
    from ..server import Call

_LONGEST = 60.0
_STICKY_SECONDS = 5.0
_FAILING_ATTEMPTS = 3
_AFTER_DEADLINE = -1.0
"""A query that is not answered in time ends by the caller's deadline, not by an answer of ours."""
_Reject = QueryRejectCondition
_ANSWERS = (QueryResultType.QUERY_RESULT_TYPE_ANSWERED, QueryResultType.QUERY_RESULT_TYPE_FAILED)


async def query_workflow(runtime: Runtime, request: QueryWorkflowRequest, call: Call) -> QueryWorkflowResponse:
    """Ask a workflow, after it has processed everything that came before the question."""
    validate.execution(request.execution, present=request.HasField("execution"))
    if not request.HasField("query"):
        raise invalid_argument("WorkflowQuery is not set on request.")
    if not request.query.query_type:
        raise invalid_argument("QueryType is not set on request.")
    validate.blob(request.query.query_args, runtime.limits.blob_size)
    loaded = await find(runtime, request.namespace, request.execution)
    rejected = _rejection(request.query_reject_condition, loaded.state)
    if rejected is not None:
        return QueryWorkflowResponse(query_rejected=rejected)
    until = time.monotonic() + call.wait(_LONGEST, margin=_AFTER_DEADLINE)
    with runtime.queries.attach(loaded.job_id, request.query) as attached:
        loaded = await _when_idle(runtime, loaded, attached, until)
    if attached.answer.done():
        answer = attached.answer.result()
        validate.blob(answer.query_result, runtime.limits.blob_size)
        return _answer(answer)
    answer = await _ask(runtime, loaded, request, until)
    if answer.query_result.ByteSize() > runtime.limits.blob_size:
        raise query_failed("Blob data size exceeds limit.")  # the worker is not told, only the asker
    return _answer(answer)


def _rejection(condition: int, state: model.ExecutionState) -> QueryRejected | None:
    not_open = condition == _Reject.QUERY_REJECT_CONDITION_NOT_OPEN and not state.running
    not_clean = condition == _Reject.QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY and state.status not in (
        model.RUNNING,
        model.COMPLETED,
    )
    if not (not_open or not_clean):
        return None
    return QueryRejected(status=WorkflowExecutionStatus.ValueType(state.status))


async def _when_idle(runtime: Runtime, loaded: Loaded, attached: Attached, until: float) -> Loaded:
    """Wait until no workflow task is pending (so that the answer reflects all events so far), or one has answered."""
    while not attached.answer.done():
        state = loaded.state
        if not state.running and not state.last_task_started_id and not _was_started(state):
            raise workflow_not_ready("Workflow execution closed before WorkflowTaskStarted event")
        if state.running and state.task is None and state.waits_for_first_task:
            raise workflow_not_ready("Workflow task is not scheduled yet.")  # it may well be hours until it is
        if state.running and state.task_attempt >= _FAILING_ATTEMPTS:
            raise workflow_not_ready("Unable to query workflow due to Workflow Task in failed state.")
        if not state.running or state.task is None:
            return loaded
        remaining = until - time.monotonic()
        if remaining <= 0:
            raise _too_late()
        loaded = await runtime.histories.wait_for_change(key_of(loaded), loaded, Patience(remaining))
    return loaded


def _was_started(state: model.ExecutionState) -> bool:
    """Some workflow task was at least taken by a worker."""
    return state.last_task_completed_id > 0


async def _ask(
    runtime: Runtime, loaded: Loaded, request: QueryWorkflowRequest, until: float
) -> RespondQueryTaskCompletedRequest:
    """The worker that has the workflow in its cache first, any worker of the queue after that."""
    state = loaded.state
    sticky = QueueKey(state.namespace, False, state.sticky_queue)
    if state.sticky_queue and not runtime.matching.is_gone(sticky):
        patience = min(_STICKY_SECONDS, until - time.monotonic())
        answer = await runtime.queries.ask(sticky, loaded.job_id, request.query, patience)
        if answer is not None:
            return answer
    normal = QueueKey(state.namespace, False, state.task_queue)
    answer = await runtime.queries.ask(normal, loaded.job_id, request.query, max(until - time.monotonic(), 0))
    if answer is None:
        raise _too_late()
    return answer


def _too_late() -> RpcError:
    return RpcError(Code.DEADLINE_EXCEEDED, "context deadline exceeded")


def _answer(answer: RespondQueryTaskCompletedRequest) -> QueryWorkflowResponse:
    if answer.completed_type == QueryResultType.QUERY_RESULT_TYPE_ANSWERED:
        return QueryWorkflowResponse(query_result=answer.query_result if answer.HasField("query_result") else None)
    raise query_failed(answer.error_message, answer.failure if answer.HasField("failure") else None)


async def respond_query_task_completed(
    runtime: Runtime, request: RespondQueryTaskCompletedRequest, call: Call
) -> RespondQueryTaskCompletedResponse:
    """A worker answers a query, with a result or a failure."""
    del call
    token = tokens.decode_task(QueryTaskToken, request.task_token, request.namespace)
    if request.completed_type not in _ANSWERS:
        return RespondQueryTaskCompletedResponse()  # like the server, which leaves its asker to the deadline
    if not await runtime.queries.answer(token.namespace, token.asker, token.query_id, request):
        raise not_found("query task not found, or already expired")
    return RespondQueryTaskCompletedResponse()
