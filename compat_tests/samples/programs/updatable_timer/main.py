"""An alarm is set for tomorrow, and then for now."""

import asyncio

from movable import MovableTimer, after
from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "updatable-timer"


@workflow.defn
class AlarmWorkflow:
    """Rings at its time."""

    @workflow.run
    async def run(self, seconds: float) -> str:
        self.set_to = seconds
        self.timer = MovableTimer(after(seconds))
        await self.timer.wait()
        return f"rings after {self.set_to:g} s"

    @workflow.signal
    def move(self, seconds: float) -> None:
        """Ring so many seconds from now."""
        self.set_to = seconds
        self.timer.move(after(seconds))

    @workflow.query
    def when(self) -> float:
        """Seconds, from when it was set."""
        return self.set_to


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[AlarmWorkflow]):
        alarm = await client.start_workflow(AlarmWorkflow.run, 86_400, id="updatable-timer", task_queue=QUEUE)
        print("set to", await alarm.query(AlarmWorkflow.when))
        await alarm.signal(AlarmWorkflow.move, 43_200)
        print("set to", await alarm.query(AlarmWorkflow.when))
        await alarm.signal(AlarmWorkflow.move, 0.5)
        print(await alarm.result())


if __name__ == "__main__":
    asyncio.run(main())
