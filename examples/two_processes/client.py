"""The client of a pair of processes that meet in the database; see worker.py beside it for how to run them."""

import asyncio
import uuid

from workflows import TASK_QUEUE, Approval

from hotmesh_temporal.client import Client


async def main() -> None:
    client = await Client.connect()
    handle = await client.start_workflow(
        Approval.run, "Databases all the way down", id=f"approval-{uuid.uuid4()}", task_queue=TASK_QUEUE
    )
    print(await handle.query(Approval.state))
    await handle.signal(Approval.approve, "Ada")
    print(await handle.result())
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
