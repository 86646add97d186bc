"""Sends a letter every thirty days; nothing of it runs in between."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "sleep-for-days"


@activity.defn
async def send_letter(number: int) -> None:
    """One letter."""
    print("letter", number)


@workflow.defn
class LetterWorkflow:
    """Writes until it is enough."""

    def __init__(self) -> None:
        self.enough = False
        self.letters = 0
        self.asleep = False

    @workflow.run
    async def run(self) -> str:
        while not self.enough:
            self.letters += 1
            await workflow.execute_activity(send_letter, self.letters, start_to_close_timeout=timedelta(seconds=30))
            self.asleep = True
            pause = asyncio.create_task(asyncio.sleep(timedelta(days=30).total_seconds()))
            stop = asyncio.create_task(workflow.wait_condition(lambda: self.enough))
            await workflow.wait([pause, stop], return_when=asyncio.FIRST_COMPLETED)
        return f"{self.letters} letters"

    @workflow.signal
    def stop(self) -> None:
        """No more letters."""
        self.enough = True

    @workflow.query
    def sleeps(self) -> bool:
        """Whether a letter was sent and the next one is far away."""
        return self.asleep


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[LetterWorkflow], activities=[send_letter]):
        letters = await client.start_workflow(LetterWorkflow.run, id="sleep-for-days", task_queue=QUEUE)
        while not await letters.query(LetterWorkflow.sleeps):
            await asyncio.sleep(0.1)
        await letters.signal(LetterWorkflow.stop)
        print(await letters.result())


if __name__ == "__main__":
    asyncio.run(main())
