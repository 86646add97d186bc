"""A Trio program with a Temporal client and worker in it, by trio-asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import trio
import trio_asyncio
from sleeping import QUEUE, SleepTwice, in_a_thread, in_the_loop
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker


async def with_temporal() -> list[str]:
    """What needs asyncio: a worker, and a workflow that it runs."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    with trio_asyncio.TrioExecutor(max_workers=20) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[SleepTwice],
            activities=[in_the_loop, in_a_thread],
            activity_executor=threads,
            workflow_task_executor=threads,
            max_concurrent_activities=10,
            max_concurrent_workflow_tasks=10,
        ):
            return await client.execute_workflow(SleepTwice.run, "Ada", id="sleep-twice", task_queue=QUEUE)


async def main() -> None:
    """Trio's own part of the program."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 0.05)
        said = await cast("Callable[[], Awaitable[list[str]]]", trio_asyncio.aio_as_trio(with_temporal))()
        for each in said:
            print(each)
        print("Trio's nursery is still open:", nursery.cancel_scope.cancel_called is False)


if __name__ == "__main__":
    trio_asyncio.run(main)
