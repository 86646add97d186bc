"""The rate of a task queue is that of the whole queue: the processes that poll it share it."""

from __future__ import annotations

import asyncio
import time

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from hotmesh_temporal.client import Client
from hotmesh_temporal.quorum import Quorum
from tests.quorum.conftest import Launch
from tests.quorum.test_quorum import call_until
from tests.quorum.worker_process import QUEUE, Order

_PER_SECOND = 5.0
_ORDERS = 15
_PATIENCE = 60.0


async def _set_rate(client: Client, per_second: float | None) -> None:
    rate = RateLimit(requests_per_second=per_second) if per_second is not None else None
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(rate_limit=rate)
    await client.workflow_service.update_task_queue_config(
        UpdateTaskQueueConfigRequest(
            namespace="default",
            task_queue=QUEUE,
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            update_queue_rate_limit=update,
        )
    )


async def _seconds(client: Client, name: str) -> float:
    begin = time.monotonic()
    runs = [
        client.execute_workflow(Order.run, number, id=f"{name}-{number}", task_queue=QUEUE) for number in range(_ORDERS)
    ]
    assert await asyncio.wait_for(asyncio.gather(*runs), _PATIENCE) == list(range(_ORDERS))
    return time.monotonic() - begin


async def test_processes_share_the_rate_of_a_queue(database: str, launch: Launch) -> None:
    client = await Client.connect(connection=database)
    await _set_rate(client, _PER_SECOND)
    pids = {launch(), launch()}
    async with await Quorum.connect(database) as quorum:
        await call_until(quorum, pids)
        # Together not faster than the rate: each has half of it, and its first task is free.
        assert await _seconds(client, "slow") > (_ORDERS - 2) / _PER_SECOND * 0.9
        await _set_rate(client, 0)
        waiting = await client.start_workflow(Order.run, 7, id="waits", task_queue=QUEUE)
        await asyncio.sleep(1)
        assert (await waiting.describe()).raw_description.pending_activities[0].attempt == 1
        await _set_rate(client, None)
        assert await asyncio.wait_for(waiting.result(), _PATIENCE) == 7
        assert await _seconds(client, "fast") < (_ORDERS - 2) / _PER_SECOND
    await client.close()
