"""Queries change nothing, and are answered after the end as well."""

import asyncio

from temporalio import workflow
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-query"


@workflow.defn
class TrainWorkflow:
    """Goes from place to place."""

    def __init__(self) -> None:
        self.place = "depot"
        self.ended = False

    @workflow.run
    async def run(self, first: str) -> None:
        self.place = first
        await workflow.wait_condition(lambda: self.ended)
        self.place = "depot again"

    @workflow.signal
    def end(self) -> None:
        """Go home."""
        self.ended = True

    @workflow.query
    def where(self) -> str:
        """The place of now."""
        return self.place


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[TrainWorkflow]):
        train = await client.start_workflow(TrainWorkflow.run, "harbour", id="hello-query", task_queue=QUEUE)
        print(await train.query(TrainWorkflow.where))
        await train.signal(TrainWorkflow.end)
        await train.result()
        print(await train.query(TrainWorkflow.where))
        try:
            await train.query("how_fast")
        except WorkflowQueryFailedError as error:
            print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    asyncio.run(main())
