"""Checks of requests, in the server's words. Every function raises INVALID_ARGUMENT."""

from __future__ import annotations

import uuid

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Memo, Priority, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueKind, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import TaskQueue

from ..engine import retry
from ..engine.durations import cut_down
from ..engine.priorities import problem as problem_of_priority
from ..errors import invalid_argument, unimplemented

ID_LENGTH = 1000
_BUILD_ID_LENGTH = 255
RESERVED_QUEUE_PREFIX = "/_sys/"


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


def identity(given: str) -> None:
    """The name of a worker is not too long."""
    length("Identity", given)


def build_id(given: str) -> None:
    """The name of a build is not too long."""
    if len(given) > _BUILD_ID_LENGTH:
        raise invalid_argument("Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.")


def blob(given: Message, limit: int) -> None:
    """A payload is not too large."""
    if given.ByteSize() > limit:
        raise invalid_argument("Blob data size exceeds limit.")


def memo(given: Memo, limit: int) -> None:
    """A memo is not too large."""
    if given.ByteSize() > limit:
        raise invalid_argument("Memo size exceeds limit.")


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
    if given.name.startswith(RESERVED_QUEUE_PREFIX):
        raise invalid_argument(f"task queue name cannot start with reserved prefix {RESERVED_QUEUE_PREFIX}")


def partition(given: TaskQueue, *, present: bool, activities: bool) -> None:
    """A queue of workflow tasks or activities to take tasks from, or to look at."""
    task_queue(given, present=present)
    if given.kind == TaskQueueKind.TASK_QUEUE_KIND_WORKER_COMMANDS:
        kind = "Activity" if activities else "Workflow"
        raise invalid_argument(
            f"worker-commands partitions must have nexus task type, got: {kind}. base name: {given.name}"
        )
    if given.normal_name and given.kind != TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        raise invalid_argument(
            f"only sticky queues can have normal name. tq: {given.name}, normal name: {given.normal_name}"
        )


def deployment(given: WorkerDeploymentOptions) -> None:
    """A versioned deployment has both names."""
    versioned = given.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if versioned and not (given.deployment_name and given.build_id):
        raise invalid_argument("Deployment name and build id must be set together.")


def duration(title: str, given: Duration) -> None:
    """A duration makes sense. One that is too long is cut down."""
    wrong = cut_down(given)
    if wrong is not None:
        raise invalid_argument(f"An invalid {title} is set on request. cause: {wrong}")


def priority(given: Priority) -> None:
    """A priority makes sense."""
    wrong = problem_of_priority(given)
    if wrong is not None:
        raise invalid_argument(wrong)


def retry_policy(given: RetryPolicy) -> None:
    """A retry policy makes sense."""
    wrong = retry.problem(given)
    if wrong is not None:
        raise invalid_argument(wrong)


def refuse(present: object, field: str) -> None:
    """A field that is not built must not be set: it is never ignored in silence."""
    if present:
        raise unimplemented(f"{field} is not supported by hotmesh-temporal")
