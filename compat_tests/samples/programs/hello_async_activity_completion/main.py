"""The function of the activity ends, the activity does not: a thread completes it with its token."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-async-completion"


class PostOffice:
    """Sends letters, and reports the answers when they come."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop

    @activity.defn
    def ask(self, question: str) -> str:
        """Send a letter."""
        threading.Thread(target=self._answer, args=(activity.info().task_token, question)).start()
        activity.raise_complete_async()

    def _answer(self, token: bytes, question: str) -> None:
        letter = self._client.get_async_activity_handle(task_token=token)
        for day in range(3):
            asyncio.run_coroutine_threadsafe(letter.heartbeat(day), self._loop).result()
            time.sleep(0.1)
        asyncio.run_coroutine_threadsafe(letter.complete(f"{question} Yes."), self._loop).result()


@workflow.defn
class LetterWorkflow:
    """Asks by letter."""

    @workflow.run
    async def run(self, question: str) -> str:
        return await workflow.execute_activity_method(
            PostOffice.ask,
            question,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=20),
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    office = PostOffice(client, asyncio.get_running_loop())
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[LetterWorkflow],
        activities=[office.ask],
        activity_executor=ThreadPoolExecutor(2),
    ):
        print(await client.execute_workflow(LetterWorkflow.run, "Is it late?", id="hello-letter", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
