"""Whoever puts something into a cart need not know whether it is the first thing."""

import asyncio

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.envconfig import ClientConfig
from workflows import QUEUE, CartWorkflow


async def add(client: Client, item: str, pieces: int) -> WorkflowHandle[CartWorkflow, list[str]]:
    """One item more in the cart; prints the total."""
    start = WithStartWorkflowOperation(
        CartWorkflow.run, id="cart", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
    )
    try:
        total = await client.execute_update_with_start_workflow(
            CartWorkflow.add, args=[item, pieces], start_workflow_operation=start
        )
        print(f"{pieces} {item}: {total} cents")
    except WorkflowUpdateFailedError as error:
        print(f"{pieces} {item}: {error.cause} because of {error.cause.__cause__}")
    return await start.workflow_handle()


async def main() -> None:
    """Shopping."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    await add(client, "apple", 3)
    await add(client, "unicorn", 1)
    cart = await add(client, "melon", 1)
    await cart.signal(CartWorkflow.pay)
    print(await client.get_workflow_handle("cart").result())


if __name__ == "__main__":
    asyncio.run(main())
