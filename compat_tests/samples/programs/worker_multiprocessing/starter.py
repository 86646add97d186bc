"""Starts workflows that tell where they ran."""

from __future__ import annotations

import asyncio

from tasks import WORKFLOWS, WhereAmI
from temporalio.client import Client
from temporalio.envconfig import ClientConfig


async def main() -> None:
    """Six workflows at the same time."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    runs = [client.execute_workflow(WhereAmI.run, id=f"where-{number}", task_queue=WORKFLOWS) for number in range(6)]
    for number, apart in enumerate(await asyncio.gather(*runs)):
        print(f"workflow {number}: activities in a process of their own: {apart}")
    print("client in a process of its own")


if __name__ == "__main__":
    asyncio.run(main())
