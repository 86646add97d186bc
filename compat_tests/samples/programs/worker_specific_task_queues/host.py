"""One host: a worker on the shared queue, and one on the host's own."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import uuid4

from files import SHARED, FileActivities, ReadFile
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker


async def main() -> None:
    """Work until interrupted."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    own = str(uuid4())
    files = FileActivities(own)
    async with (
        Worker(client, task_queue=SHARED, workflows=[ReadFile], activities=[files.choose_host]),
        Worker(client, task_queue=own, activities=[files.download, files.read, files.remove]),
    ):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
