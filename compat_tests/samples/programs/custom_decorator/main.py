"""Activities that need not think of heartbeats."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import is_cancelled_exception
from temporalio.worker import Worker
from temporalio.workflow import ActivityCancellationType

QUEUE = "custom-decorator"
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
sleeping = asyncio.Event()


def beating(function: F) -> F:
    """Sends a heartbeat every third of the activity's heartbeat timeout, as long as it runs."""

    @functools.wraps(function)
    async def beats(*args: Any, **names: Any) -> Any:
        heart = asyncio.create_task(beat())
        try:
            return await function(*args, **names)
        finally:
            heart.cancel()
            await asyncio.wait([heart])

    return cast("F", beats)


async def beat() -> None:
    """For ever."""
    timeout = activity.info().heartbeat_timeout
    while timeout:
        activity.heartbeat()
        await asyncio.sleep(timeout.total_seconds() / 3)


@activity.defn
@beating
async def sleep_in() -> str:
    """Sleeps until somebody wakes it."""
    sleeping.set()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print("somebody woke it")
        return "slept well"
    return "slept too long"


@workflow.defn
class BedWorkflow:
    """Is cancelled in the morning."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            sleep_in,
            start_to_close_timeout=timedelta(hours=2),
            heartbeat_timeout=timedelta(seconds=3),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[BedWorkflow], activities=[sleep_in]):
        bed = await client.start_workflow(BedWorkflow.run, id="custom-decorator", task_queue=QUEUE)
        await sleeping.wait()
        # Longer than the timeout: without the heartbeats it would be over by now.
        await asyncio.sleep(4)
        await bed.cancel()
        try:
            print(await bed.result())
        except WorkflowFailureError as error:
            print("cancelled:", is_cancelled_exception(error.cause))


if __name__ == "__main__":
    asyncio.run(main())
