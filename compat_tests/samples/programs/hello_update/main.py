"""An update is a call into a running workflow."""

import asyncio

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-update"


@workflow.defn
class GateWorkflow:
    """Is shut until somebody opens it."""

    def __init__(self) -> None:
        self.open = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.open)
        return "everybody went through"

    @workflow.update
    async def unlock(self, key: str) -> str:
        """Open it."""
        self.open = True
        return f"opened with the {key} key"

    @workflow.query
    def is_open(self) -> bool:
        """Whether it is."""
        return self.open


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[GateWorkflow]):
        gate = await client.start_workflow(GateWorkflow.run, id="hello-update", task_queue=QUEUE)
        print(await gate.query(GateWorkflow.is_open))
        print(await gate.execute_update(GateWorkflow.unlock, "small"))
        print(await gate.result())


if __name__ == "__main__":
    asyncio.run(main())
