"""Waits in each way."""

import asyncio

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from workflows import QUEUE, FrequentWorkflow, InfrequentWorkflow, PeriodicWorkflow


async def main() -> None:
    """All at once."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    waits = [
        client.execute_workflow(FrequentWorkflow.run, id="polling-frequent", task_queue=QUEUE),
        client.execute_workflow(InfrequentWorkflow.run, id="polling-infrequent", task_queue=QUEUE),
        client.execute_workflow(PeriodicWorkflow.run, id="polling-periodic", task_queue=QUEUE),
    ]
    for line in await asyncio.gather(*waits):
        print(line)


if __name__ == "__main__":
    asyncio.run(main())
