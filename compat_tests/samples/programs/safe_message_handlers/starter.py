"""Three people buy at once, a fourth one later, in another run."""

import asyncio

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.envconfig import ClientConfig
from workflows import QUEUE, House, TheatreWorkflow


async def main() -> None:
    """One evening."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    theatre = await client.start_workflow(TheatreWorkflow.run, args=[House(), 8], id="theatre", task_queue=QUEUE)
    sales = [
        asyncio.create_task(theatre.execute_update(TheatreWorkflow.buy, args=[name, 2])) for name in ("Ada", "Bo", "Cy")
    ]
    await theatre.query(TheatreWorkflow.state)
    await theatre.signal(TheatreWorkflow.open_doors)
    sold = await asyncio.gather(*sales)
    print("sold:", sorted(seat for seats in sold for seat in seats))

    await theatre.signal(TheatreWorkflow.start_new_run)
    current = client.get_workflow_handle("theatre")
    while (await current.query(TheatreWorkflow.state)).runs < 2:
        await asyncio.sleep(0.1)
    print("in the second run:", await current.execute_update(TheatreWorkflow.buy, args=["Di", 2]))
    try:
        await current.execute_update(TheatreWorkflow.buy, args=["Ed", 1])
    except WorkflowUpdateFailedError as error:
        print("refused:", error.cause)
    await current.signal(TheatreWorkflow.end)
    seats = await current.result()
    print("seats:", len(seats), "of", sorted(set(seats.values())))


if __name__ == "__main__":
    asyncio.run(main())
