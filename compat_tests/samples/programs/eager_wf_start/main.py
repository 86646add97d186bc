"""Client and worker in one process: the worker has the first task before the start is over."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "eager-start"


@activity.defn
async def greet(name: str) -> str:
    """Quick enough to be local."""
    return f"there you are, {name}"


@workflow.defn
class QuickWorkflow:
    """Needs one task in all."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_local_activity(greet, name, schedule_to_close_timeout=timedelta(seconds=30))


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[QuickWorkflow], activities=[greet]):
        quick = await client.start_workflow(
            QuickWorkflow.run, "Ada", id="eager", task_queue=QUEUE, request_eager_start=True
        )
        print(await quick.result())
        print("eager:", getattr(quick, "__temporal_eagerly_started"))


if __name__ == "__main__":
    asyncio.run(main())
