"""A worker that hears of its tasks or never gets them: it does not look for what was left behind.

python -m tests.transactions.worker_process URL
"""

from __future__ import annotations

import asyncio
import sys

from hotmesh_temporal.client import Client
from hotmesh_temporal.runtime import matching
from hotmesh_temporal.worker import Worker
from tests.transactions.shop import QUEUE, Order


async def main(url: str) -> None:
    """Work until killed."""
    matching._SWEEP_FIRST = 3600.0  # pyright: ignore[reportPrivateUsage]  what it shall not do
    client = await Client.connect(connection=url)
    async with Worker(client, task_queue=QUEUE, workflows=[Order]):
        # Once its polls wait, it has looked for the last time.
        await client.execute_workflow(Order.run, 0, id="warm-up", task_queue=QUEUE)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
