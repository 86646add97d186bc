"""Checks of requests, in the server's words. Every function raises INVALID_ARGUMENT (or NOT_FOUND for a namespace)."""

from __future__ import annotations

import uuid

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Priority, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue

from ..engine import retry
from ..engine.protos import nanos
from ..errors import invalid_argument, namespace_not_found, unimplemented

DEFAULT_NAMESPACE = "default"
ID_LENGTH = 1000
_FAIRNESS_KEY_LENGTH = 64
_RESERVED_QUEUE_PREFIX = "/_sys/"


def namespace(name: str) -> None:
    """The namespace exists."""
    if not name:
        raise invalid_argument("Namespace is empty.")
    if name != DEFAULT_NAMESPACE:
        raise namespace_not_found(name)


def execution(given: WorkflowExecution, *, present: bool = True) -> None:
    """Workflow id and run id are well formed."""
    if not present:
        raise invalid_argument("Execution is not set on request.")
    if not given.workflow_id:
        raise invalid_argument("WorkflowId is not set on request.")
    if given.run_id:
        run_id(given.run_id)


def run_id(given: str, problem: str = "Invalid RunId.") -> None:
    """It is a UUID."""
    try:
        uuid.UUID(given)
    except ValueError as error:
        raise invalid_argument(problem) from error


def workflow_id(given: str) -> None:
    """A workflow id is there and not too long."""
    if not given:
        raise invalid_argument("WorkflowId is not set on request.")
    length_at_most("WorkflowId", given)


def length(name: str, text: str) -> None:
    """An identifier is not too long."""
    if len(text.encode()) > ID_LENGTH:
        raise invalid_argument(f"{name} length exceeds limit.")


def length_at_most(title: str, text: str) -> None:
    """As `length`, in the words of the requests that tell both numbers."""
    size = len(text.encode())
    if size > ID_LENGTH:
        raise invalid_argument(f"{title} exceeds maximum allowed length ({size}/{ID_LENGTH})")


def blob(given: Message, limit: int) -> None:
    """A payload is not too large."""
    if given.ByteSize() > limit:
        raise invalid_argument("Blob data size exceeds limit.")


def workflow_type(given: WorkflowType, missing: str = "WorkflowType is not set on request.") -> None:
    """A workflow type is there and not too long."""
    if not given.name:
        raise invalid_argument(missing)
    length("WorkflowType", given.name)


def task_queue(given: TaskQueue, *, present: bool, empty: str = "missing task queue name") -> None:
    """A task queue is there, not too long and not one of the service's own."""
    if not present:
        raise invalid_argument("taskQueue is not set")
    if not given.name:
        raise invalid_argument(empty)
    if len(given.name.encode()) > ID_LENGTH:
        raise invalid_argument("taskQueue length exceeds limit")
    if given.name.startswith(_RESERVED_QUEUE_PREFIX):
        raise invalid_argument(f"task queue name cannot start with reserved prefix {_RESERVED_QUEUE_PREFIX}")


def polled_queue(given: TaskQueue, *, present: bool) -> None:
    """A poll names a queue; a sticky one also names its normal one."""
    task_queue(given, present=present)
    if given.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY and not given.normal_name:
        raise invalid_argument("normal name is not set on a sticky task queue")


def priority(given: Priority) -> None:
    """A priority is one that task queues could serve by."""
    if given.priority_key < 0:
        raise invalid_argument("priority key can't be negative")
    if len(given.fairness_key.encode()) > _FAIRNESS_KEY_LENGTH:
        raise invalid_argument("fairness key length exceeds limit")
    if given.fairness_weight < 0:
        raise invalid_argument("must be greater than zero")


def not_negative(title: str, given: Duration) -> None:
    """A duration is not negative."""
    if nanos(given) < 0:
        raise invalid_argument(f"An invalid {title} is set on request. cause: negative duration")


def retry_policy(given: RetryPolicy) -> None:
    """A retry policy makes sense."""
    wrong = retry.problem(given)
    if wrong is not None:
        raise invalid_argument(wrong)


def refuse(present: object, field: str) -> None:
    """A field that is not built must not be set: it is never ignored in silence."""
    if present:
        raise unimplemented(f"{field} is not supported by hotmesh-temporal")
