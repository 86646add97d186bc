"""A workflow every second; the third run waits until it is ended from outside."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

QUEUE = "hello-cron"


@activity.defn
async def strike(times: int) -> None:
    """The bell of a clock."""
    print("bong " * times)


@workflow.defn
class ClockWorkflow:
    """Strikes once more than the run before."""

    def __init__(self) -> None:
        self.times = 0

    @workflow.run
    async def run(self) -> int:
        before = workflow.get_last_completion_result(int) if workflow.has_last_completion_result() else 0
        self.times = (before or 0) + 1
        if self.times == 3:
            await workflow.wait_condition(lambda: False)
        await workflow.execute_activity(strike, self.times, start_to_close_timeout=timedelta(seconds=30))
        return self.times

    @workflow.query
    def strikes(self) -> int:
        """Of this run."""
        return self.times


async def strikes(clock: WorkflowHandle[ClockWorkflow, int]) -> int:
    """Of the current run; 0 if it waits for its second."""
    try:
        return await clock.query(ClockWorkflow.strikes)
    except RPCError:
        return 0


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[ClockWorkflow], activities=[strike]):
        await client.start_workflow(ClockWorkflow.run, id="hello-cron", task_queue=QUEUE, cron_schedule="@every 1s")
        clock = client.get_workflow_handle_for(ClockWorkflow.run, "hello-cron")
        while await strikes(clock) < 3:
            await asyncio.sleep(0.2)
        await clock.terminate("enough")
        print((await clock.describe()).status)


if __name__ == "__main__":
    asyncio.run(main())
