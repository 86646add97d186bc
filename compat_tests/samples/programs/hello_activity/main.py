"""One activity, one workflow that calls it, and a client, in one process."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-activity"


@dataclass
class Parcel:
    """What is to be labelled."""

    sender: str
    receiver: str


@activity.defn
async def label(parcel: Parcel) -> str:
    """The text on the parcel."""
    activity.logger.info("labelling %s", parcel)
    return f"from {parcel.sender} to {parcel.receiver}"


@workflow.defn
class LabelWorkflow:
    """Has a parcel labelled."""

    @workflow.run
    async def run(self, receiver: str) -> str:
        workflow.logger.info("a parcel for %s", receiver)
        return await workflow.execute_activity(
            label, Parcel("the shop", receiver), start_to_close_timeout=timedelta(seconds=30)
        )


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[LabelWorkflow], activities=[label]):
        print(await client.execute_workflow(LabelWorkflow.run, "Ada", id="hello-activity", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
