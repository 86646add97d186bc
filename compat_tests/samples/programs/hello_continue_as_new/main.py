"""Each run makes one round and continues as a new one."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-continue-as-new"


@workflow.defn
class RoundsWorkflow:
    """Walks round after round."""

    @workflow.run
    async def run(self, rounds: int, walked: int) -> str:
        if walked == rounds:
            return f"{walked} rounds"
        # A run of less than a second would be followed by a pause.
        await workflow.sleep(timedelta(seconds=1.2))
        workflow.continue_as_new(args=[rounds, walked + 1])


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[RoundsWorkflow]):
        walk = await client.start_workflow(RoundsWorkflow.run, args=[3, 0], id="hello-rounds", task_queue=QUEUE)
        print(await walk.result())
        last = await client.get_workflow_handle("hello-rounds").describe()
        print("the run is another one:", last.run_id != walk.first_execution_run_id)


if __name__ == "__main__":
    asyncio.run(main())
