"""What workers say of themselves, lists of them, and task queues: ListWorkers, CountWorkers, DescribeWorker,
DescribeTaskQueue, ListTaskQueuePartitions.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkerVersionCapabilities
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueKind, TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersionSelection
from temporalio.api.worker.v1 import PluginInfo, WorkerHeartbeat, WorkerHostInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    DescribeTaskQueueRequest,
    DescribeWorkerRequest,
    ListTaskQueuePartitionsRequest,
    ListWorkersRequest,
    PollWorkflowTaskQueueRequest,
    RecordWorkerHeartbeatRequest,
    ShutdownWorkerRequest,
)

from compat_tests.env import Env, seconds
from compat_tests.targets import IDENTITY

_ENHANCED = DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
_TYPES = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)

_BEATS = (
    WorkerHeartbeat(
        worker_instance_key="k1",
        worker_identity="me",
        task_queue="tq",
        sdk_name="temporal-python",
        sdk_version="1.0",
        status=WorkerStatus.WORKER_STATUS_RUNNING,
        start_time=Timestamp(seconds=1_700_000_000),
        heartbeat_time=Timestamp(seconds=1_700_000_100),
        host_info=WorkerHostInfo(host_name="h", process_id="7", worker_grouping_key="g"),
        deployment_version=WorkerDeploymentVersion(deployment_name="d", build_id="b"),
        plugins=[PluginInfo(name="p", version="2")],
        total_sticky_cache_hit=5,
    ),
    WorkerHeartbeat(worker_instance_key="k2", task_queue="1", status=WorkerStatus.WORKER_STATUS_SHUTTING_DOWN),
    WorkerHeartbeat(worker_instance_key="k3"),
)

_QUERIES = (
    "",
    "WorkerInstanceKey='k1'",
    "WorkerIdentity='me'",
    "HostName='h'",
    "HostName!='h'",
    "HostName=''",
    "HostName IS NULL",
    "HostName IS NOT NULL",
    "HostName STARTS_WITH 'h'",
    "HostName NOT STARTS_WITH 'h'",
    "HostName STARTS_WITH ''",
    "HostName > 'a'",
    "HostName IN ('h')",
    "HostName LIKE 'h'",
    "HostName BETWEEN 'a' AND 'z'",
    "TaskQueue=1",
    "TaskQueue=HostName",
    "TaskQueue<>'tq'",
    '`TaskQueue`="tq"',
    "DeploymentName='d'",
    "BuildId='b'",
    "BuildId!='b'",
    "SdkName='temporal-python' AND SdkVersion='1.0'",
    "Status='Running'",
    "Status='running'",
    "Status!='Running'",
    "Status IS NULL",
    "Status IS NOT NULL",
    "WorkerStatus='ShuttingDown'",
    "WorkerStatus='Unspecified'",
    "StartTime='2023-11-14T22:13:20Z'",
    "StartTime!='2023-11-14T22:13:20.000Z'",
    "StartTime>='2023-11-14T23:13:20+01:00'",
    "StartTime>'2023-11-14T22:13:19.5Z'",
    "StartTime<'2023-11-14T22:13:20Z'",
    "StartTime<='2030-01-01T00:00:00Z'",
    "StartTime BETWEEN '2020-01-01T00:00:00Z' AND '2023-11-14T22:13:20Z'",
    "StartTime NOT BETWEEN '2030-01-01T00:00:00Z' AND '2031-01-01T00:00:00Z'",
    "StartTime BETWEEN '1960-01-01T00:00:00Z' AND '1980-01-01T00:00:00Z'",
    "StartTime>'2020-01-01'",
    "StartTime>'2020-01-01T00:00:00'",
    "StartTime>1600000000",
    "StartTime=1700000000000000000",
    "StartTime>='2023-13-14T22:13:19Z'",
    "StartTime IS NULL",
    "HeartbeatTime>'2023-11-14T22:13:20Z'",
    "Foo='x'",
    "Foo IS NULL",
    "Foo='x' OR TaskQueue='tq'",
    "TaskQueue='tq' OR Foo='x'",
    "TaskQueue='zz' AND Foo='x'",
    "TaskQueue='tq' AND (Status='Running' OR Foo='x')",
    "NOT TaskQueue='tq'",
    "NOT (TaskQueue='tq')",
    "ProcessId='7'",
    "x",
    "1=1",
    "TaskQueue='tq' ORDER BY TaskQueue",
    "TaskQueue='tq' LIMIT 1",
    "TaskQueue='tq' AND",
    "garbage((",
    " ",
)


async def scenario_list_workers(env: Env) -> None:
    """Heartbeats of several workers, asked for in every way."""
    name = await _namespace(env)

    async def keys(query: str) -> list[str]:
        count = await env.rpc.count_workers(CountWorkersRequest(namespace=name, query=query))
        listed = await env.rpc.list_workers(ListWorkersRequest(namespace=name, query=query, page_size=100))
        assert count.count == len(listed.workers) == len(listed.workers_info)
        return [each.worker_instance_key for each in listed.workers]

    for query in _QUERIES:
        await env.outcome(f"query {query}", keys(query))
    await env.outcome("all", env.rpc.list_workers(ListWorkersRequest(namespace=name, page_size=9)))


async def _namespace(env: Env) -> str:
    """One with the workers of `_BEATS`."""
    name = await env.new_namespace()
    await env.rpc.record_worker_heartbeat(RecordWorkerHeartbeatRequest(namespace=name, worker_heartbeat=_BEATS))
    return name


async def scenario_pages_of_workers(env: Env) -> None:
    name = await _namespace(env)
    token = b""
    for size in (1, 1, 5):
        response = await env.rpc.list_workers(ListWorkersRequest(namespace=name, page_size=size, next_page_token=token))
        env.record(f"page of {size}", [each.worker_instance_key for each in response.workers])
        token = response.next_page_token
        env.record("token", json.loads(token) if token else None)
    for wrong in (b"junk", b"[]", b'{"l":1}', b"{}", b'{"l":"zzz"}'):
        request = ListWorkersRequest(namespace=name, page_size=2, next_page_token=wrong)
        await env.outcome(f"token {wrong!r}", _keys_of(env.rpc.list_workers(request)))


async def _keys_of(listing: Awaitable[Any]) -> list[str]:
    return [each.worker_instance_key for each in (await listing).workers]


async def scenario_describe_worker(env: Env) -> None:
    """One worker, before and after it shuts down."""
    name = await _namespace(env)

    async def describe(label: str, key: str) -> None:
        request = DescribeWorkerRequest(namespace=name, worker_instance_key=key)
        await env.outcome(label, env.rpc.describe_worker(request))

    await describe("known", "k1")
    await describe("unknown", "nope")
    await describe("no key", "")
    last = WorkerHeartbeat(worker_instance_key="k1", status=WorkerStatus.WORKER_STATUS_SHUTTING_DOWN)
    await env.rpc.shutdown_worker(
        ShutdownWorkerRequest(namespace=name, worker_instance_key="k1", worker_heartbeat=last)
    )
    await env.rpc.shutdown_worker(ShutdownWorkerRequest(namespace=name, worker_instance_key="k3"))
    await describe("shut down", "k1")
    await describe("shut down without a word", "k3")
    await env.outcome("no namespace", env.rpc.describe_worker(DescribeWorkerRequest(worker_instance_key="k1")))
    await env.outcome("another namespace", env.rpc.count_workers(CountWorkersRequest(namespace="nope")))


async def scenario_task_queue_in_detail(env: Env) -> None:
    """The description by build and type, and what is refused of it."""

    async def describe(label: str, **fields: Any) -> None:
        fields = {"task_queue": TaskQueue(name=env.queue), **fields}
        request = DescribeTaskQueueRequest(namespace=env.namespace, **fields)
        await env.outcome(label, _described(env.rpc.describe_task_queue(request)))

    # A name of its own: the real server answers for a queue of the same name that it has just described.
    sticky = TaskQueue(name=env.unique("sticky"), kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name="other")
    await describe("plain")
    await describe("stats", report_stats=True)
    await describe("nexus", report_stats=True, task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_NEXUS)
    await describe("enhanced", api_mode=_ENHANCED)
    await describe(
        "a build",
        api_mode=_ENHANCED,
        versions=TaskQueueVersionSelection(build_ids=["x"]),
        task_queue_types=_TYPES,
        report_task_reachability=True,
    )
    unversioned = TaskQueueVersionSelection(unversioned=True)
    await describe("no build", api_mode=_ENHANCED, versions=unversioned, report_task_reachability=True)
    await describe("active builds", api_mode=_ENHANCED, versions=TaskQueueVersionSelection(all_active=True))
    await describe("one type", api_mode=_ENHANCED, task_queue_types=[_TYPES[1]])
    await describe("no queue", api_mode=_ENHANCED, task_queue=None)
    await describe("no name", api_mode=_ENHANCED, task_queue=TaskQueue())
    await describe("sticky", task_queue=sticky)
    await describe("stats of a sticky one", task_queue=sticky, report_stats=True)
    await describe("a sticky one in detail", task_queue=sticky, api_mode=_ENHANCED)


async def _described(describing: Awaitable[Any]) -> Any:
    """Without the rate limit: the real server has one of its own, and here there is none."""
    response = await describing
    response.ClearField("effective_rate_limit")
    return response


async def scenario_pollers_in_detail(env: Env) -> None:
    """Pollers with their build, in either description."""
    poll = PollWorkflowTaskQueueRequest(
        namespace=env.namespace,
        task_queue=TaskQueue(name=env.queue),
        identity=IDENTITY,
        worker_version_capabilities=WorkerVersionCapabilities(build_id="build-1"),
    )
    await env.rpc.poll_workflow_task_queue(poll, timeout=seconds(3))
    plain = DescribeTaskQueueRequest(namespace=env.namespace, task_queue=TaskQueue(name=env.queue))
    env.record("plain", list((await env.rpc.describe_task_queue(plain)).pollers))
    plain.api_mode, plain.report_pollers = _ENHANCED, True
    env.record("enhanced", await env.rpc.describe_task_queue(plain))


async def scenario_task_queue_partitions(env: Env) -> None:
    """Where a queue lies; how many parts it has is the server's own affair."""

    async def first(queue: TaskQueue | None, namespace: str) -> list[str]:
        request = ListTaskQueuePartitionsRequest(namespace=namespace, task_queue=queue)
        response = await env.rpc.list_task_queue_partitions(request)
        kinds = (response.activity_task_queue_partitions, response.workflow_task_queue_partitions)
        assert all(each.owner_host_name for kind in kinds for each in kind)
        return [kind[0].key for kind in kinds]

    ask: Callable[..., Awaitable[Any]] = first
    await env.outcome("queue", ask(TaskQueue(name=env.queue), env.namespace))
    await env.outcome("none", ask(None, env.namespace))
    await env.outcome("no name", ask(TaskQueue(), env.namespace))
    await env.outcome("too long", ask(TaskQueue(name="x" * 1001), env.namespace))
    await env.outcome("reserved", ask(TaskQueue(name="/_sys/x/1"), env.namespace))
    await env.outcome("no namespace", ask(TaskQueue(name=env.queue), ""))
