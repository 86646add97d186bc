"""DescribeTaskQueue and ListTaskQueuePartitions."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import WorkerVersionCapabilities
from temporalio.api.enums.v1 import BuildIdTaskReachability, DescribeTaskQueueMode, TaskQueueKind, TaskQueueType
from temporalio.api.taskqueue.v1 import (
    PollerInfo,
    TaskQueuePartitionMetadata,
    TaskQueueStats,
    TaskQueueStatus,
    TaskQueueTypeInfo,
    TaskQueueVersionInfo,
    TaskQueueVersionSelection,
)
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
)

from ...errors import invalid_argument
from ...runtime.keys import QueueKey
from ...runtime.matching import Poller
from ...runtime.peers import QueueReport
from ...runtime.queue_configs import limit_of
from ...runtime.service import Runtime
from .. import validate
from .task_queue_config import UNLIMITED, effective

if TYPE_CHECKING:
    from ..server import Call

_WORKFLOW, _ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_UNVERSIONED = "__unversioned__"
_NO_TIME = -62135596800
"""The beginning of the year 1, which the server gives where there is no time."""

_DEFAULT_PRIORITY = 3


async def describe_task_queue(
    runtime: Runtime, request: DescribeTaskQueueRequest, call: Call
) -> DescribeTaskQueueResponse:
    """Who polls the queue, in every process, and how much waits in it."""
    del call
    if request.api_mode == DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED:
        return await _enhanced(runtime, request)
    kind = request.task_queue_type or _WORKFLOW
    activities = kind == _ACTIVITY
    validate.partition(request.task_queue, present=request.HasField("task_queue"), activities=activities)
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    if request.report_stats and sticky:
        raise invalid_argument("DescribeTaskQueue stats are only supported for the root partition")
    queue = QueueKey(request.namespace, activities, request.task_queue.name)
    report = await runtime.peers.queue(queue) if kind in (_WORKFLOW, _ACTIVITY) else QueueReport()
    info = await _type_info(runtime, queue, kind, report, pollers=True, stats=request.report_stats)
    config = await runtime.queue_configs.find(queue)
    limit = effective(limit_of(config, report.asked_rate))
    response = DescribeTaskQueueResponse(pollers=info.pollers, effective_rate_limit=limit)
    if request.report_config and config.ListFields():
        response.config.CopyFrom(config)
    if request.include_task_queue_status:
        response.task_queue_status.CopyFrom(await _status(runtime, queue, limit.requests_per_second))
    if not sticky:
        response.versioning_info.current_version = _UNVERSIONED
        response.versioning_info.update_time.seconds = _NO_TIME
    if request.report_stats:
        response.stats.CopyFrom(info.stats)
        # Tasks of every priority wait in one line.
        response.stats_by_priority_key[_DEFAULT_PRIORITY].CopyFrom(info.stats)
    return response


async def _enhanced(runtime: Runtime, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
    """By build and type. All tasks are of no build, because versioned workers are refused."""
    validate.task_queue(request.task_queue, present=request.HasField("task_queue"))
    if request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        raise invalid_argument(
            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or a normal queue."
        )
    response = DescribeTaskQueueResponse()
    kinds = list(dict.fromkeys(request.task_queue_types)) or [_WORKFLOW, _ACTIVITY]
    for build_id in _builds(request.versions, chosen=request.HasField("versions")):
        version = TaskQueueVersionInfo()
        for kind in kinds:
            info = TaskQueueTypeInfo()
            if not build_id:
                info = await _reported(runtime, request, kind)
            elif request.report_stats:
                info.stats.CopyFrom(_stats(0, QueueReport()))
            version.types_info[kind].CopyFrom(info)
        if request.report_task_reachability:
            version.task_reachability = _reachability(build_id)
        response.versions_info[build_id].CopyFrom(version)
    return response


def _builds(versions: TaskQueueVersionSelection, *, chosen: bool) -> list[str]:
    """ "" for tasks of no build."""
    if not chosen:
        return [""]
    # No build is active: there are no versioned ones.
    return [*([""] if versions.unversioned else []), *(each for each in versions.build_ids)]


def _reachability(build_id: str) -> BuildIdTaskReachability.ValueType:
    if build_id:
        return BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_UNREACHABLE
    return BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_REACHABLE


async def _reported(runtime: Runtime, request: DescribeTaskQueueRequest, kind: int) -> TaskQueueTypeInfo:
    queue = QueueKey(request.namespace, kind == _ACTIVITY, request.task_queue.name)
    wanted = (request.report_pollers or request.report_stats) and kind in (_WORKFLOW, _ACTIVITY)
    report = await runtime.peers.queue(queue) if wanted else QueueReport()
    return await _type_info(runtime, queue, kind, report, pollers=request.report_pollers, stats=request.report_stats)


async def _type_info(
    runtime: Runtime, queue: QueueKey, kind: int, report: QueueReport, *, pollers: bool, stats: bool
) -> TaskQueueTypeInfo:
    """What is asked for of the workflow tasks, or activities, of a queue. There are no tasks of other kinds."""
    info = TaskQueueTypeInfo()
    if pollers:
        info.pollers.extend(_poller(each) for each in report.pollers)
    if stats:
        depth = await _depth(runtime, queue) if kind in (_WORKFLOW, _ACTIVITY) else 0
        info.stats.CopyFrom(_stats(depth, report))
    return info


async def _depth(runtime: Runtime, queue: QueueKey) -> int:
    return await runtime.stream.get_stream_depth(runtime.matching.stream_of(queue))


async def _status(runtime: Runtime, queue: QueueKey, rate: float) -> TaskQueueStatus:
    """What older clients ask for. Tasks are numbered by the stream and not in blocks: there are no levels."""
    return TaskQueueStatus(backlog_count_hint=await _depth(runtime, queue), rate_per_second=rate)


def _poller(poller: Poller) -> PollerInfo:
    info = PollerInfo(identity=poller.identity, rate_per_second=UNLIMITED)
    info.last_access_time.FromNanoseconds(poller.seen_at)
    if poller.build_id:
        info.worker_version_capabilities.CopyFrom(WorkerVersionCapabilities(build_id=poller.build_id))
    return info


def _stats(depth: int, report: QueueReport) -> TaskQueueStats:
    """The age of the oldest task is not known: a stream does not tell it."""
    stats = TaskQueueStats(
        approximate_backlog_count=depth, tasks_add_rate=report.add_rate, tasks_dispatch_rate=report.dispatch_rate
    )
    if not depth:
        stats.approximate_backlog_age.SetInParent()
    return stats


async def list_task_queue_partitions(
    runtime: Runtime, request: ListTaskQueuePartitionsRequest, call: Call
) -> ListTaskQueuePartitionsResponse:
    """A queue is one stream of the database: one partition of each kind, which every process serves."""
    del runtime, call
    validate.task_queue(request.task_queue, present=request.HasField("task_queue"))
    whole = TaskQueuePartitionMetadata(key=request.task_queue.name, owner_host_name=socket.gethostname())
    return ListTaskQueuePartitionsResponse(
        activity_task_queue_partitions=[whole], workflow_task_queue_partitions=[whole]
    )
