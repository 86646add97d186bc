"""Serves them until Ctrl-C."""

import asyncio

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from workflows import QUEUE, TheatreWorkflow, print_tickets


async def main() -> None:
    """Run the worker."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[TheatreWorkflow], activities=[print_tickets]):
        print("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
