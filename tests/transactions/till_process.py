"""A process that takes orders, each in a transaction of its own, until it is killed or kills itself.

    python -m tests.transactions.till_process URL POINT ORDERS

It dies in the last of so many orders at ``POINT`` (started, signalled, committed), or goes on for ever
(POINT never).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid

from hotmesh_temporal.client import Client
from tests.transactions.shop import LEDGER, QUEUE, Order, Shop


async def main(url: str, point: str, orders: int) -> None:
    """Take orders."""
    shop, client = Shop(url), await Client.connect(connection=url)
    connection = await shop.connect()
    print("open", flush=True)
    taken = 0
    while point == "never" or taken < orders:
        taken += 1

        def reach(place: str, taken: int = taken) -> None:
            if place == point and taken == orders:
                os.kill(os.getpid(), signal.SIGKILL)

        order = f"order-{uuid.uuid4()}"
        async with shop.transaction(connection):
            await shop.insert(connection, order)
            tx = client.in_transaction(connection)
            await tx.start_workflow(Order.run, 0, id=order, task_queue=QUEUE)
            reach("started")
            await tx.get_workflow_handle(LEDGER).signal(Order.say, order)
            reach("signalled")
        reach("committed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
