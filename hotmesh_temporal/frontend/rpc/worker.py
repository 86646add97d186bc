"""What workers tell beside their tasks: shutdown, heartbeats, sticky queues; and DescribeTaskQueue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueueStats
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    RecordWorkerHeartbeatRequest,
    RecordWorkerHeartbeatResponse,
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
from .lookup import find, key_of, missing

if TYPE_CHECKING:
    from ..server import Call


async def shutdown_worker(runtime: Runtime, request: ShutdownWorkerRequest, call: Call) -> ShutdownWorkerResponse:
    """The worker will not poll its sticky queue any more: tasks for it go to the normal queue at once."""
    del call
    if request.sticky_task_queue:
        runtime.matching.forget(QueueKey(request.namespace, False, request.sticky_task_queue))
    return ShutdownWorkerResponse()


async def record_worker_heartbeat(
    runtime: Runtime, request: RecordWorkerHeartbeatRequest, call: Call
) -> RecordWorkerHeartbeatResponse:
    """A worker's report about itself. Nothing reads it yet."""
    del runtime, call
    return RecordWorkerHeartbeatResponse()


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


async def describe_task_queue(
    runtime: Runtime, request: DescribeTaskQueueRequest, call: Call
) -> DescribeTaskQueueResponse:
    """Who polls the queue (as far as this process knows), and how much waits in it."""
    del call
    activity = request.task_queue_type == TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    validate.partition(request.task_queue, present=request.HasField("task_queue"), activities=activity)
    queue = QueueKey(request.namespace, activity, request.task_queue.name)
    response = DescribeTaskQueueResponse()
    for poller in runtime.matching.pollers(queue):
        info = PollerInfo(identity=poller.identity)
        info.last_access_time.FromNanoseconds(poller.seen_at)
        response.pollers.append(info)
    if request.report_stats:
        depth = await runtime.stream.get_stream_depth(runtime.matching.stream_of(queue))
        response.stats.CopyFrom(TaskQueueStats(approximate_backlog_count=depth))
    return response
