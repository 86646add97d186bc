"""An activity that counts in a thread, and tells the server how far it is."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-activity-heartbeat"


@activity.defn
def count(steps: int) -> list[str]:
    """Fails once in the middle; what it has done is in its heartbeats."""
    info = activity.info()
    first = int(info.heartbeat_details[0]) if info.heartbeat_details else 0
    for step in range(first, steps):
        if step == 3 and info.attempt == 1:
            raise RuntimeError("interrupted")
        time.sleep(0.05)
        activity.heartbeat(step + 1)
    on_main = threading.current_thread() is threading.main_thread()
    return [f"attempt {info.attempt} began at {first}", f"in the main thread: {on_main}"]


@workflow.defn
class CountWorkflow:
    """Has somebody count."""

    @workflow.run
    async def run(self, steps: int) -> list[str]:
        return await workflow.execute_activity(
            count,
            steps,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200)),
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(
        client, task_queue=QUEUE, workflows=[CountWorkflow], activities=[count], activity_executor=ThreadPoolExecutor(2)
    ):
        for line in await client.execute_workflow(CountWorkflow.run, 6, id="hello-heartbeat", task_queue=QUEUE):
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
