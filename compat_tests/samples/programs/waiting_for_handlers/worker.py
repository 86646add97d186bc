"""Serves them until Ctrl-C."""

import asyncio

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from workflows import QUEUE, OvenWorkflow, bake, rescue


async def main() -> None:
    """Run the worker."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[OvenWorkflow], activities=[bake, rescue]):
        print("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
