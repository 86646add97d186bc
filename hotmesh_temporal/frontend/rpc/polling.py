"""What polls of workflow and activity tasks share: wait for a message, take what it stands for, dispose of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
from temporalio.api.common.v1 import WorkerVersionStamp
from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest, PollWorkflowTaskQueueRequest

from ...contracts.commit import Ack
from ...contracts.types import STREAM_GROUP_WORKER
from ...engine.turn import Turn
from ...errors import RpcError
from ...runtime.keys import QueueKey, TaskMessage, decode_task, run_key
from ...runtime.loaded import Loaded
from ...runtime.matching import Delivery
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


async def next_task(
    runtime: Runtime,
    request: PollRequest,
    call: Call,
    take: Callable[[Delivery, TaskMessage], Awaitable[_T | None]],
) -> _T | None:
    """What ``take`` makes of the next message of the queue that is not stale; None if none came in time."""
    validate.namespace(request.namespace)
    validate.polled_queue(request.task_queue, present=request.HasField("task_queue"))
    if call.deadline is not None and call.deadline < _SHORTEST_DEADLINE:
        raise RpcError(Code.FAILED_PRECONDITION, "Context timeout is too short.")
    _check_version(request)
    queue = QueueKey(request.namespace, isinstance(request, PollActivityTaskQueueRequest), request.task_queue.name)
    until = time.monotonic() + call.wait(_LONG_POLL_SECONDS)
    while (remaining := until - time.monotonic()) > 0:
        delivery = await runtime.matching.poll(queue, remaining, request.identity)
        if delivery is None:
            return None
        message = await _read(runtime, delivery)
        task = await take(delivery, message) if message is not None else None
        if task is not None:
            return task
    return None


def _check_version(request: PollRequest) -> None:
    """Versioned deployments are refused."""
    mode = request.deployment_options.worker_versioning_mode
    versioned = mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    validate.refuse(versioned, "a worker deployment with versioning (deployment_options)")
    validate.refuse(request.worker_version_capabilities.use_versioning, "build-id based worker versioning")


def version_of(request: PollRequest) -> WorkerVersionStamp:
    """The build of the worker that polls."""
    return WorkerVersionStamp(build_id=request.worker_version_capabilities.build_id)


async def _read(runtime: Runtime, delivery: Delivery) -> TaskMessage | None:
    """The message; one that is none of ours is thrown away, so that it does not come again and again."""
    try:
        return decode_task(delivery.message.data)
    except msgspec.DecodeError:
        _LOG.exception("a message of the stream %s cannot be read and is dropped", delivery.stream)
        await drop(runtime, delivery)
        return None


async def take_from_run(
    runtime: Runtime, delivery: Delivery, message: TaskMessage, decide: Callable[[Turn], _T | None]
) -> tuple[_T, Loaded] | None:
    """Hand over the task that a message stands for, and dispose of the message, in one commit. None if it is stale."""
    key = run_key(message.job)
    try:
        task, loaded = await runtime.executions.update(
            key, decide, acks=[_ack(runtime, delivery)], missing=partial(missing, key)
        )
    except RpcError as error:
        if error.code != Code.NOT_FOUND:
            raise
        task, loaded = None, None
    if task is None or loaded is None:
        await drop(runtime, delivery)
        return None
    return task, loaded


async def drop(runtime: Runtime, delivery: Delivery) -> None:
    """Throw a message away. One that was handed over in memory only has no id."""
    ack = _ack(runtime, delivery)
    if ack.message_id:
        await runtime.stream.ack_and_delete(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
        )


def _ack(runtime: Runtime, delivery: Delivery) -> Ack:
    message = delivery.message
    return Ack(delivery.stream, STREAM_GROUP_WORKER, message.message_id, runtime.engine_id, message.attempt)
