"""An activity that succeeds at its third attempt."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-activity-retry"


@activity.defn
async def knock(door: str) -> str:
    """Somebody opens at the third knock."""
    attempt = activity.info().attempt
    print(f"knock {attempt} at the {door}")
    if attempt < 3:
        raise RuntimeError("nobody is there")
    return "come in"


@workflow.defn
class VisitWorkflow:
    """Wants to be let in."""

    @workflow.run
    async def run(self, door: str) -> str:
        policy = RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_attempts=5)
        return await workflow.execute_activity(
            knock, door, start_to_close_timeout=timedelta(seconds=30), retry_policy=policy
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[VisitWorkflow], activities=[knock]):
        print(await client.execute_workflow(VisitWorkflow.run, "red door", id="hello-retry", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
