"""What polls of workflow and activity tasks share: wait for a message, take what it stands for, dispose of it."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest

from ...contracts.commit import Ack
from ...contracts.types import STREAM_GROUP_WORKER
from ...engine.effects import TaskDispatch
from ...engine.turn import Turn
from ...errors import LimitExceeded, RpcError, invalid_argument
from ...runtime.keys import QueueKey, TaskMessage, decode_task, run_key
from ...runtime.loaded import Loaded
from ...runtime.matching import Delivery, Found, Started
from ...runtime.service import Runtime
from .. import validate
from ..errors import Code
from .lookup import missing

if TYPE_CHECKING:
    from ..server import Call

_LOG = logging.getLogger(__name__)

_LONG_POLL_SECONDS = 60.0
_SHORTEST_DEADLINE = 2.0

PollRequest = PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest
_T = TypeVar("_T")
_R = TypeVar("_R", covariant=True)


class Poll(Protocol[_T, _R]):
    """What polls of workflow and of activity tasks do differently."""

    def take(self, turn: Turn, event_id: int, stamp: int) -> _T | None:
        """Start the task for this worker; None if it is stale."""
        ...

    async def answer(self, loaded: Loaded, task: _T) -> _R:
        """The message that brings the started task to the worker."""
        ...

    async def query(self, message: TaskMessage) -> _R | None:
        """The message that brings a query to the worker; None if nobody waits for the answer any more."""
        ...


async def next_task(runtime: Runtime, request: PollRequest, call: Call, poll: Poll[_T, _R]) -> _R | None:
    """The next task of the queue that is not stale, as the worker gets it; None if none came in time."""
    validate.identity(request.identity)
    activities = isinstance(request, PollActivityTaskQueueRequest)
    validate.partition(request.task_queue, present=request.HasField("task_queue"), activities=activities)
    if call.deadline is not None and call.deadline < _SHORTEST_DEADLINE:
        raise RpcError(Code.FAILED_PRECONDITION, "Context timeout is too short.")
    _check_version(request)
    queue = QueueKey(request.namespace, activities, request.task_queue.name)

    def take(turn: Turn, dispatch: TaskDispatch) -> _T | None:
        return poll.take(turn, dispatch.event_id, dispatch.stamp)

    normal = request.task_queue.normal_name
    serves = QueueKey(request.namespace, activities, normal) if normal else None
    build_id = request.worker_version_capabilities.build_id
    await runtime.queue_configs.joined(serves or queue, _asked_rate(request))
    until = time.monotonic() + runtime.draining.longest(call.wait(_LONG_POLL_SECONDS))
    while (remaining := until - time.monotonic()) > 0:
        found = await runtime.matching.poll(queue, remaining, request.identity, take, serves, build_id)
        if found is None:
            return None
        task = await _task(runtime, found, poll)
        if task is not None:
            return task
    return None


def _asked_rate(request: PollRequest) -> float | None:
    """How many tasks a second the worker wants the whole queue to give away; workflow tasks have no such rate."""
    if isinstance(request, PollWorkflowTaskQueueRequest) or not request.task_queue_metadata.HasField(
        "max_tasks_per_second"
    ):
        return None
    return request.task_queue_metadata.max_tasks_per_second.value


async def _task(runtime: Runtime, found: Found, poll: Poll[_T, _R]) -> _R | None:
    """What was found, as the worker gets it; None if it is stale."""
    if isinstance(found, Started):
        return await poll.answer(found.loaded, found.task)
    message = await _read(runtime, found)
    if message is None:
        return None
    if message.query:
        await _drop(runtime, found)
        return await poll.query(message)
    taken = await _take_from_run(runtime, found, message, poll)
    return await poll.answer(*taken) if taken is not None else None


def _check_version(request: PollRequest) -> None:
    """Versioned deployments are refused."""
    validate.deployment(request.deployment_options)
    capabilities = request.worker_version_capabilities
    validate.build_id(capabilities.build_id)
    if capabilities.use_versioning and not capabilities.build_id:
        raise invalid_argument("WorkerVersionStamp must be present if UseVersioning is true.")
    mode = request.deployment_options.worker_versioning_mode
    versioned = mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    validate.refuse(versioned, "a worker deployment with versioning (deployment_options)")
    validate.refuse(capabilities.use_versioning, "build-id based worker versioning")


def version_of(request: PollRequest) -> WorkerVersionStamp:
    """The build of the worker that polls."""
    return WorkerVersionStamp(build_id=request.worker_version_capabilities.build_id)


async def _read(runtime: Runtime, delivery: Delivery) -> TaskMessage | None:
    """The message; one that is none of ours is thrown away, so that it does not come again and again."""
    try:
        return decode_task(delivery.message.data)
    except msgspec.DecodeError:
        _LOG.exception("a message of the stream %s cannot be read and is dropped", delivery.stream)
        await _drop(runtime, delivery)
        return None


async def _take_from_run(
    runtime: Runtime, delivery: Delivery, message: TaskMessage, poll: Poll[_T, _R]
) -> tuple[Loaded, _T] | None:
    """Start the task that a message stands for, and dispose of the message, in one commit. None if it is stale."""
    key = run_key(message.job)
    try:
        task, loaded = await runtime.executions.update(
            key,
            lambda turn: poll.take(turn, message.event, message.stamp),
            acks=[_ack(runtime, delivery)],
            missing=partial(missing, key),
        )
    except RpcError as error:
        if error.code != Code.NOT_FOUND and not isinstance(error, LimitExceeded):
            raise
        task, loaded = None, None
    if task is None or loaded is None:
        await _drop(runtime, delivery)
        return None
    return loaded, task


async def _drop(runtime: Runtime, delivery: Delivery) -> None:
    """Throw a message away. One that was handed over in memory only has no id."""
    ack = _ack(runtime, delivery)
    if ack.message_id:
        await runtime.stream.ack_and_delete(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
        )


def _ack(runtime: Runtime, delivery: Delivery) -> Ack:
    message = delivery.message
    return Ack(delivery.stream, STREAM_GROUP_WORKER, message.message_id, runtime.engine_id, message.attempt)
