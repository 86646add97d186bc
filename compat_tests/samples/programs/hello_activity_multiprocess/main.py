"""A synchronous activity on a pool of processes."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import SharedStateManager, Worker

QUEUE = "hello-activity-multiprocess"


@activity.defn
def factorial(number: int) -> tuple[int, bool]:
    """Keeps a core busy, but not the worker's; says as well whether this is a process of the pool."""
    product = 1
    for factor in range(1, number + 1):
        product *= factor
        activity.heartbeat(factor)
    return product, multiprocessing.parent_process() is not None


@workflow.defn
class FactorialWorkflow:
    """Has it computed."""

    @workflow.run
    async def run(self, number: int) -> tuple[int, bool]:
        return await workflow.execute_activity(
            factorial,
            number,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=30),
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    # Children that are made anew do not inherit threads and locks of this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool, context.Manager() as manager:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[FactorialWorkflow],
            activities=[factorial],
            activity_executor=pool,
            shared_state_manager=SharedStateManager.create_from_multiprocessing(manager),
        ):
            product, elsewhere = await client.execute_workflow(
                FactorialWorkflow.run, 15, id="hello-processes", task_queue=QUEUE
            )
            print("15! =", product)
            print("in another process:", elsewhere)


if __name__ == "__main__":
    asyncio.run(main())
