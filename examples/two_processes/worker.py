"""The worker of a pair of processes that meet in the database; there is no server between them.

In one terminal (it runs until Ctrl-C)::

    python examples/two_processes/worker.py

In another, from the same folder::

    python examples/two_processes/client.py

Both use the SQLite file .hotmesh/hotmesh.sqlite3 under the working directory, or what HOTMESH_CONNECTION says. Workers
may be started, stopped and killed at any time, and run on as many machines as can reach the database.
"""

import asyncio
import signal

from workflows import TASK_QUEUE, Approval, publish

from hotmesh_temporal.worker import Worker


async def main() -> None:
    worker = await Worker.create(task_queue=TASK_QUEUE, workflow=Approval, activities=[publish])
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with worker:
        print("the worker is ready; stop it with Ctrl-C", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
