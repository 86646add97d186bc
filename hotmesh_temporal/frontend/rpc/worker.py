"""What workers tell beside their tasks: shutdown, sticky queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import (
    ResetStickyTaskQueueRequest,
    ResetStickyTaskQueueResponse,
    ShutdownWorkerRequest,
    ShutdownWorkerResponse,
)

from ...engine.turn import Turn
from ...errors import WorkflowCompleted
from ...runtime.keys import QueueKey
from ...runtime.service import Runtime
from .. import validate
from . import workers
from .lookup import find, key_of, missing

if TYPE_CHECKING:
    from ..server import Call


async def shutdown_worker(runtime: Runtime, request: ShutdownWorkerRequest, call: Call) -> ShutdownWorkerResponse:
    """The worker will not poll its sticky queue any more: tasks for it go to the normal queue at once."""
    del call
    if request.HasField("worker_heartbeat"):
        workers.note(runtime, request.namespace, request.worker_heartbeat)
    if request.sticky_task_queue:
        runtime.matching.forget(QueueKey(request.namespace, False, request.sticky_task_queue))
    return ShutdownWorkerResponse()


async def reset_sticky_task_queue(
    runtime: Runtime, request: ResetStickyTaskQueueRequest, call: Call
) -> ResetStickyTaskQueueResponse:
    """The worker dropped the run from its cache: its next task goes to the normal queue."""
    del call
    validate.execution(request.execution, present=request.HasField("execution"))

    def decide(turn: Turn) -> None:
        if not turn.state.running:
            raise WorkflowCompleted()
        turn.state.sticky_queue, turn.state.sticky_timeout = "", 0

    key = key_of(await find(runtime, request.namespace, request.execution))
    await runtime.executions.update(key, decide, missing=lambda: missing(key))
    return ResetStickyTaskQueueResponse()
