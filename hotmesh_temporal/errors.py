"""The errors of the Temporal service: a gRPC status code, the server's text, and its detail messages.

Engine, runtime and frontend raise `RpcError` only through the functions below, so that a status is chosen in one
place. The texts are those of the Temporal server, because applications match on some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import (
    NamespaceState,
    ResourceExhaustedCause,
    ResourceExhaustedScope,
    WorkflowTaskFailedCause,
)
from temporalio.api.errordetails.v1 import (
    MultiOperationExecutionFailure,
    NamespaceAlreadyExistsFailure,
    NamespaceInvalidStateFailure,
    NamespaceNotFoundFailure,
    NotFoundFailure,
    PermissionDeniedFailure,
    QueryFailedFailure,
    ResourceExhaustedFailure,
    WorkflowExecutionAlreadyStartedFailure,
    WorkflowNotReadyFailure,
)
from temporalio.api.failure.v1 import Failure, MultiOperationExecutionAborted

_TYPE_URL = "type.googleapis.com/"


class Code(IntEnum):
    """gRPC status codes (https://grpc.io/docs/guides/status-codes/)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """What a caller of the service sees. ``details`` are packed into the status in order."""

    def __init__(self, code: int, message: str, details: Sequence[Message] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)

    def status_proto(self) -> bytes:
        """The serialized ``google.rpc.Status`` (what gRPC carries as ``grpc-status-details-bin``)."""
        status = GrpcStatus(code=self.code, message=self.message)
        status.details.extend(_packed(each) for each in self.details)
        return status.SerializeToString()


def _packed(detail: Message) -> AnyMessage:
    return AnyMessage(
        type_url=_TYPE_URL + detail.DESCRIPTOR.full_name, value=detail.SerializeToString(deterministic=True)
    )


class TaskFailed(Exception):
    """A command is invalid: the workflow task fails with ``cause`` (a ``WorkflowTaskFailedCause``) and this message.

    ``terminates``: the run is ended with it, because trying again cannot help.
    """

    def __init__(self, cause: int, problem: str, *, terminates: bool = False) -> None:
        title = _cause_title(cause)
        self.cause = cause
        self.problem = problem
        self.terminates = terminates
        self.message = f"{title}: {problem}" if problem else title
        super().__init__(self.message)


def _cause_title(cause: int) -> str:
    """The cause as the server spells it in messages: ``BadStartTimerAttributes``."""
    name = WorkflowTaskFailedCause.Name(WorkflowTaskFailedCause.ValueType(cause))
    return "".join(part.capitalize() for part in name.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_").split("_"))


def invalid_argument(message: str) -> RpcError:
    """The request is malformed; nothing was changed."""
    return RpcError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> RpcError:
    """What the request names does not exist (any more)."""
    return RpcError(Code.NOT_FOUND, message, [NotFoundFailure()])


def failed_precondition(message: str) -> RpcError:
    """The thing is not in a state in which the request makes sense."""
    return RpcError(Code.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> RpcError:
    """The request needs something that is not built."""
    return RpcError(Code.UNIMPLEMENTED, message)


def unavailable(message: str) -> RpcError:
    """The database cannot be reached right now; the caller may try again."""
    return RpcError(Code.UNAVAILABLE, message)


def unauthorized(reason: str = "") -> RpcError:
    """The caller may not do this, or is not who it says. No word of what is wrong, but for an authorizer's reason."""
    return RpcError(Code.PERMISSION_DENIED, "Request unauthorized.", [PermissionDeniedFailure(reason=reason)])


def workflow_not_found(workflow_id: str, run_id: str = "") -> RpcError:
    """No run has these ids."""
    if run_id:
        return not_found(f'workflow execution not found for workflow ID "{workflow_id}" and run ID "{run_id}"')
    return not_found(f"workflow not found for ID: {workflow_id}")


class WorkflowCompleted(RpcError):
    """The run is closed already."""

    def __init__(self) -> None:
        super().__init__(Code.NOT_FOUND, "workflow execution already completed", [NotFoundFailure()])


def task_not_found() -> RpcError:
    """The workflow task was completed, timed out or never existed."""
    return not_found("Workflow task not found.")


def activity_not_found() -> RpcError:
    """The activity (or this attempt of it) is not pending any more."""
    return not_found("invalid activityID or activity already timed out or invoking workflow is completed")


def no_such_activity() -> RpcError:
    """An operation on activities names none that is pending."""
    return not_found("Can't find pending activity with such ID. Invalid activityID or activity already completed")


def namespace_not_found(namespace: str) -> RpcError:
    """No such namespace."""
    message = f"Namespace {namespace} is not found."
    return RpcError(Code.NOT_FOUND, message, [NamespaceNotFoundFailure(namespace=namespace)])


def namespace_exists(namespace: str) -> RpcError:
    """There is a namespace of that name."""
    message = f'Namespace "{namespace}" already exists'
    return RpcError(Code.ALREADY_EXISTS, message, [NamespaceAlreadyExistsFailure()])


def namespace_being_removed(namespace: str) -> RpcError:
    """There was a namespace of that name, and there is still something of it. (A Temporal server does not mind.)"""
    return RpcError(
        Code.FAILED_PRECONDITION,
        f'Namespace "{namespace}" is being deleted: its name is free again when everything in it is removed. '
        "Try again later.",
    )


def namespace_in_wrong_state(
    namespace: str,
    state: NamespaceState.ValueType,
    allowed: Sequence[NamespaceState.ValueType],
    message: str,
) -> RpcError:
    """The namespace is deprecated or deleted, and the request is not for such a one."""
    detail = NamespaceInvalidStateFailure(namespace=namespace, state=state, allowed_states=allowed)
    return RpcError(Code.FAILED_PRECONDITION, message, [detail])


def already_started(message: str, request_id: str, run_id: str, first_run_id: str) -> RpcError:
    """A run with this workflow id exists and the policies of the request do not allow another."""
    detail = WorkflowExecutionAlreadyStartedFailure(
        start_request_id=request_id, run_id=run_id, first_execution_run_id=first_run_id
    )
    return RpcError(Code.ALREADY_EXISTS, message, [detail])


def _exhausted(cause: ResourceExhaustedCause.ValueType, message: str) -> RpcError:
    scope = ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE
    return RpcError(Code.RESOURCE_EXHAUSTED, message, [ResourceExhaustedFailure(cause=cause, scope=scope)])


def too_many_batches() -> RpcError:
    """A batch operation is under way in the namespace."""
    cause = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT
    return _exhausted(cause, "Max concurrent batch operations is reached")


def workflow_closing() -> RpcError:
    """The worker wants to close the run and is about to see what came in meanwhile; nothing more may come in."""
    message = "workflow operation can not be applied because workflow is closing"
    return _exhausted(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW, message)


def too_many_updates(limit: int) -> RpcError:
    """The workflow has not answered as many updates as it may have at a time."""
    message = f"limit on number of concurrent in-flight updates has been reached ({limit})"
    return _exhausted(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT, message)


def update_limit(limit: int) -> RpcError:
    """The run has had as many updates as one run may have."""
    return RpcError(
        Code.FAILED_PRECONDITION,
        f"limit on the total number of distinct updates in this workflow has been reached ({limit}). "
        "Make sure any duplicate updates share an Update ID so the server can deduplicate them, and consider rejecting "
        "updates that you aren't going to process. You can also Continue-as-New to avoid this",
    )


def multi_operation_failed(message: str, errors: Sequence[RpcError | None]) -> RpcError:
    """One operation of several has failed: its status, and for each of the others (None) that it was given up."""
    statuses: list[MultiOperationExecutionFailure.OperationStatus] = []
    for error in errors:
        error = error or RpcError(Code.ABORTED, "Operation was aborted.", [MultiOperationExecutionAborted()])
        status = MultiOperationExecutionFailure.OperationStatus(code=error.code, message=error.message)
        status.details.extend(_packed(each) for each in error.details)
        statuses.append(status)
    code = next(error.code for error in errors if error is not None)
    return RpcError(code, message, [MultiOperationExecutionFailure(statuses=statuses)])


def query_failed(message: str, failure: Failure | None = None) -> RpcError:
    """The worker answered the query with a failure."""
    detail = QueryFailedFailure()
    if failure is not None:
        detail.failure.CopyFrom(failure)
    return RpcError(Code.INVALID_ARGUMENT, message, [detail])


class LimitExceeded(RpcError):
    """The run has grown too large and is terminated, with the message as the reason."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, message)


def update_payloads_limit(limit: int) -> RpcError:
    """The updates that the workflow has not answered are too large together."""
    message = f"limit on total payload size of in-flight updates has been reached ({limit} bytes)"
    return _exhausted(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT, message)


def message_too_large(limit: int) -> RpcError:
    """A request is larger than the service takes at all."""
    return RpcError(Code.RESOURCE_EXHAUSTED, f"grpc: received message after decompression larger than max {limit}")


def workflow_not_ready(message: str) -> RpcError:
    """The run cannot take this request in its present state."""
    return RpcError(Code.FAILED_PRECONDITION, message, [WorkflowNotReadyFailure()])
