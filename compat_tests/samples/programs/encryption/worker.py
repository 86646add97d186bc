"""A worker that has the key."""

import asyncio

from codec import secret_converter
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from workflows import QUEUE, SecretWorkflow


async def main() -> None:
    """Run the worker."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, data_converter=secret_converter())
    async with Worker(client, task_queue=QUEUE, workflows=[SecretWorkflow]):
        print("ready")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
