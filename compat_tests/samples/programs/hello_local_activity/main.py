"""A local activity: it is kept in the history as a marker."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-local-activity"


@activity.defn
async def spell(word: str) -> str:
    """Letter by letter."""
    return "-".join(word.upper())


@workflow.defn
class SpellWorkflow:
    """Has a word spelled."""

    @workflow.run
    async def run(self, word: str) -> str:
        return await workflow.execute_local_activity(spell, word, start_to_close_timeout=timedelta(seconds=30))


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[SpellWorkflow], activities=[spell]):
        print(await client.execute_workflow(SpellWorkflow.run, "gnat", id="hello-local", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
