"""A workflow that collects what it is told."""

import asyncio

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-signal"


@workflow.defn
class ListWorkflow:
    """A shopping list."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.closed)
        return self.items

    @workflow.signal
    async def add(self, item: str) -> None:
        """One thing more."""
        self.items.append(item)

    @workflow.signal
    def close(self) -> None:
        """That is all."""
        self.closed = True

    @workflow.query
    def length(self) -> int:
        """How many there are."""
        return len(self.items)


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[ListWorkflow]):
        first = await client.start_workflow(ListWorkflow.run, id="hello-signal", task_queue=QUEUE)
        for item in ("bread", "salt"):
            await first.query(ListWorkflow.length)
            await first.signal(ListWorkflow.add, item)
        await first.query(ListWorkflow.length)
        await first.signal(ListWorkflow.close)
        print(await first.result())
        second = await client.start_workflow(
            ListWorkflow.run, id="hello-signal-2", task_queue=QUEUE, start_signal="add", start_signal_args=["tea"]
        )
        print(await second.query(ListWorkflow.length))
        await second.signal("close")
        print(await second.result())


if __name__ == "__main__":
    asyncio.run(main())
