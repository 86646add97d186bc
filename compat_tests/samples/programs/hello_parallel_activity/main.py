"""Five activities are started together; their results come in the order in which they were asked for."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-parallel-activity"


@activity.defn
async def bake(cake: str) -> str:
    """Takes the longer the shorter the name is."""
    await asyncio.sleep(0.3 / len(cake))
    return f"{cake} cake"


@workflow.defn
class BakeryWorkflow:
    """Bakes all at once."""

    @workflow.run
    async def run(self, cakes: list[str]) -> list[str]:
        ovens = [workflow.execute_activity(bake, cake, start_to_close_timeout=timedelta(seconds=30)) for cake in cakes]
        return list(await asyncio.gather(*ovens))


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    cakes = ["plum", "apple", "nut", "chocolate", "cheese"]
    async with Worker(client, task_queue=QUEUE, workflows=[BakeryWorkflow], activities=[bake]):
        print(await client.execute_workflow(BakeryWorkflow.run, cakes, id="hello-parallel", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
