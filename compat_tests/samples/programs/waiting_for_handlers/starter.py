"""One oven for each way to end."""

import asyncio

from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.envconfig import ClientConfig
from workflows import ENDS, QUEUE, OvenWorkflow


async def main() -> None:
    """Put bread into each, and see what becomes of both."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    for number, end in enumerate(ENDS):
        oven = await client.start_workflow(OvenWorkflow.run, end, id=f"oven-{number}", task_queue=QUEUE)
        bread = await oven.start_update(OvenWorkflow.put_in, "rye", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        if end == "cancellation":
            await oven.cancel()
        try:
            print(f"{end}: bread is", await bread.result())
        except WorkflowUpdateFailedError as error:
            print(f"{end}: bread is", error.cause)
        if end == "new run":
            second = client.get_workflow_handle_for(OvenWorkflow.run, f"oven-{number}")
            print(f"{end}: its bread is", await second.execute_update(OvenWorkflow.put_in, "oat"))
        try:
            print(f"{end}: oven is", await oven.result())
        except WorkflowFailureError as error:
            print(f"{end}: oven is", type(error.cause).__name__, error.cause)


if __name__ == "__main__":
    asyncio.run(main())
