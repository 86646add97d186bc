"""A workflow that leaves its work to a child."""

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-child-workflow"


@dataclass
class Dish:
    """What is to be cooked."""

    name: str
    guests: int


@workflow.defn
class CookWorkflow:
    """The child."""

    @workflow.run
    async def run(self, dish: Dish) -> str:
        return f"{dish.name} for {dish.guests}"


@workflow.defn
class HostWorkflow:
    """The parent."""

    @workflow.run
    async def run(self, guests: int) -> str:
        meal = await workflow.execute_child_workflow(CookWorkflow.run, Dish("soup", guests), id="hello-child")
        return f"served: {meal}"


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[HostWorkflow, CookWorkflow]):
        print(await client.execute_workflow(HostWorkflow.run, 4, id="hello-parent", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
