"""A cancelled workflow waits until its activity has ended, and cleans up."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from temporalio.workflow import ActivityCancellationType

QUEUE = "hello-cancellation"
working = asyncio.Event()


@activity.defn
async def dig() -> None:
    """Digs until it is told to stop."""
    try:
        while True:
            activity.heartbeat("still digging")
            working.set()
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        print("the digging stops")
        raise


@activity.defn
async def fill_up() -> str:
    """Makes it as it was."""
    print("the hole is filled up")
    return "no hole"


@workflow.defn
class HoleWorkflow:
    """Has a hole dug that is never deep enough."""

    @workflow.run
    async def run(self) -> None:
        try:
            await workflow.execute_activity(
                dig,
                start_to_close_timeout=timedelta(hours=1),
                heartbeat_timeout=timedelta(seconds=3),
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        finally:
            await workflow.execute_activity(fill_up, start_to_close_timeout=timedelta(seconds=30))


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[HoleWorkflow], activities=[dig, fill_up]):
        hole = await client.start_workflow(HoleWorkflow.run, id="hello-cancellation", task_queue=QUEUE)
        await working.wait()
        await hole.cancel()
        try:
            await hole.result()
        except WorkflowFailureError as error:
            print(f"{type(error.cause).__name__}: {error.cause}")
        print((await hole.describe()).status)


if __name__ == "__main__":
    asyncio.run(main())
