"""Workers as a whole: their heartbeats, and lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerInfo, WorkerListInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    RecordWorkerHeartbeatResponse,
)

from ...errors import invalid_argument, not_found
from ...runtime.service import Runtime
from ..worker_filter import WorkerFilter

if TYPE_CHECKING:
    from ..server import Call


class _PageToken(msgspec.Struct):
    """``l``: the key of the last worker of the page before."""

    l: str = ""  # noqa: E741  # the server's own name: its tokens are readable


async def record_worker_heartbeat(
    runtime: Runtime, request: RecordWorkerHeartbeatRequest, call: Call
) -> RecordWorkerHeartbeatResponse:
    """Workers' reports about themselves."""
    del call
    for heartbeat in request.worker_heartbeat:
        note(runtime, request.namespace, heartbeat)
    return RecordWorkerHeartbeatResponse()


def note(runtime: Runtime, namespace: str, heartbeat: WorkerHeartbeat) -> None:
    """Remember what a worker says of itself."""
    runtime.workers.note(namespace, heartbeat.worker_instance_key, heartbeat.SerializeToString())


async def list_workers(runtime: Runtime, request: ListWorkersRequest, call: Call) -> ListWorkersResponse:
    """A page of the workers that report to any process, in the order of their keys."""
    del call
    try:
        last = msgspec.json.decode(request.next_page_token or b"{}", type=_PageToken).l
    except msgspec.DecodeError as error:
        raise invalid_argument("invalid next_page_token") from error
    found = await _matching(runtime, request.namespace, request.query)
    rest = [each for each in found if not last or each.worker_instance_key > last]
    page = rest[: request.page_size] if request.page_size > 0 else rest
    token = b""
    if len(page) < len(rest):
        token = msgspec.json.encode(_PageToken(page[-1].worker_instance_key))
    return ListWorkersResponse(
        workers_info=[WorkerInfo(worker_heartbeat=each) for each in page],
        workers=[_entry(each) for each in page],
        next_page_token=token,
    )


async def count_workers(runtime: Runtime, request: CountWorkersRequest, call: Call) -> CountWorkersResponse:
    """How many workers match."""
    del call
    return CountWorkersResponse(count=len(await _matching(runtime, request.namespace, request.query)))


async def describe_worker(runtime: Runtime, request: DescribeWorkerRequest, call: Call) -> DescribeWorkerResponse:
    """What one worker said last."""
    del call
    found = await runtime.peers.workers(request.namespace, request.worker_instance_key)
    if not found:
        raise not_found(f"Worker {request.worker_instance_key} not found")
    return DescribeWorkerResponse(worker_info=WorkerInfo(worker_heartbeat=WorkerHeartbeat.FromString(found[0].data)))


async def _matching(runtime: Runtime, namespace: str, query: str) -> list[WorkerHeartbeat]:
    wanted = WorkerFilter(query)
    known = await runtime.peers.workers(namespace)
    workers = (WorkerHeartbeat.FromString(each.data) for each in known)
    return [each for each in workers if wanted.matches(each)]


def _entry(worker: WorkerHeartbeat) -> WorkerListInfo:
    entry = WorkerListInfo(
        worker_instance_key=worker.worker_instance_key,
        worker_identity=worker.worker_identity,
        task_queue=worker.task_queue,
        sdk_name=worker.sdk_name,
        sdk_version=worker.sdk_version,
        status=worker.status,
        host_name=worker.host_info.host_name,
        worker_grouping_key=worker.host_info.worker_grouping_key,
        process_id=worker.host_info.process_id,
        plugins=worker.plugins,
        drivers=worker.drivers,
    )
    if worker.HasField("deployment_version"):
        entry.deployment_version.CopyFrom(worker.deployment_version)
    if worker.HasField("start_time"):
        entry.start_time.CopyFrom(worker.start_time)
    return entry
