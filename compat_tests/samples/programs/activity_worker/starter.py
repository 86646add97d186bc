"""A workflow that calls activities of another worker, by their names."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "activity-worker"
THEIRS = "activities-of-another-team"


@workflow.defn
class CallWorkflow:
    """Calls two of them."""

    @workflow.run
    async def run(self, name: str) -> list[str]:
        return [
            await workflow.execute_activity(
                activity, name, task_queue=THEIRS, result_type=str, start_to_close_timeout=timedelta(seconds=60)
            )
            for activity in ("say-hello", "juggle")
        ]


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[CallWorkflow]):
        print(await client.execute_workflow(CallWorkflow.run, "Ada", id="activity-worker", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
