"""Starting batch operations and waiting for their end, whichever namespace they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.api.batch.v1 import BatchOperationSignal, BatchOperationTermination
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    StartBatchOperationRequest,
    StartBatchOperationResponse,
    StopBatchOperationRequest,
    StopBatchOperationResponse,
)
from temporalio.service import RPCError

from compat_tests.env import Env
from compat_tests.targets import IDENTITY

TERMINATE: dict[str, Any] = {"termination_operation": BatchOperationTermination(identity=IDENTITY)}
SIGNAL: dict[str, Any] = {"signal_operation": BatchOperationSignal(signal="go", identity=IDENTITY)}


def given(*workflow_ids: str) -> list[WorkflowExecution]:
    """The current runs of these workflows."""
    return [WorkflowExecution(workflow_id=each) for each in workflow_ids]


async def start(env: Env, job_id: str, **fields: Any) -> StartBatchOperationResponse:
    """StartBatchOperation, as soon as no other batch of the namespace is under way."""
    defaults: dict[str, Any] = {"namespace": env.namespace, "job_id": job_id, "reason": "the reason"}
    request = StartBatchOperationRequest(**{**defaults, **fields})
    while True:
        try:
            return await env.rpc.start_batch_operation(request)
        except RPCError as error:
            if "Max concurrent" not in error.message:
                raise
        await asyncio.sleep(0.05)


async def describe(env: Env, job_id: str) -> DescribeBatchOperationResponse:
    """DescribeBatchOperation."""
    request = DescribeBatchOperationRequest(namespace=env.namespace, job_id=job_id)
    return await env.rpc.describe_batch_operation(request)


async def stop(env: Env, job_id: str, reason: str = "enough") -> StopBatchOperationResponse:
    """StopBatchOperation."""
    request = StopBatchOperationRequest(namespace=env.namespace, job_id=job_id, reason=reason, identity=IDENTITY)
    return await env.rpc.stop_batch_operation(request)


async def finish(env: Env, job_id: str, label: str = "batch") -> None:
    """Wait for the end of a batch and record what is said of it."""
    found: list[DescribeBatchOperationResponse] = []

    async def is_over() -> bool:
        found[:] = [await describe(env, job_id)]
        return found[0].state != BatchOperationState.BATCH_OPERATION_STATE_RUNNING

    await env.until(is_over, f"the end of batch {job_id}")
    env.record(label, found[0])


async def run(env: Env, name: str = "batch", **fields: Any) -> str:
    """Start a batch, wait for its end and record what is said of it; its id."""
    job_id = env.unique(name)
    await start(env, job_id, **fields)
    await finish(env, job_id, name)
    return job_id


async def listed(env: Env, query: str, count: int) -> None:
    """Wait until a query finds so many executions."""
    request = CountWorkflowExecutionsRequest(namespace=env.namespace, query=query)

    async def all_there() -> bool:
        return (await env.rpc.count_workflow_executions(request)).count == count

    await env.until(all_there, f"{count} of {query}")


async def open_workflows(env: Env, worker: Any, names: Sequence[str]) -> list[str]:
    """Raw workflows that have answered their first task; their ids."""
    workflow_ids = [env.id(name) for name in names]
    for each in workflow_ids:
        await env.start_raw(each)
        await worker.run_task()
    return workflow_ids
