"""Three activities, one workflow that calls them, and a client, in one process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "hello-activity"
PATIENCE = timedelta(seconds=30)


@dataclass
class Parcel:
    """What is to be labelled."""

    sender: str
    receiver: str


@activity.defn
def label(parcel: Parcel) -> str:
    """The text on the parcel. Runs in a thread."""
    activity.logger.info("labelling %s", parcel)
    return f"from {parcel.sender} to {parcel.receiver}"


@activity.defn
async def weigh(parcel: Parcel) -> float:
    """Its weight in kg. Runs on the event loop."""
    await asyncio.sleep(0.01)
    return len(parcel.receiver) / 2


class Tariff:
    """An activity that needs something: here a price."""

    def __init__(self, per_kg: int) -> None:
        self._per_kg = per_kg

    @activity.defn
    async def price(self, weight: float) -> float:
        """What it costs."""
        return self._per_kg * weight


@workflow.defn
class ParcelWorkflow:
    """Has a parcel made ready."""

    @workflow.run
    async def run(self, receiver: str) -> str:
        workflow.logger.info("a parcel for %s", receiver)
        parcel = Parcel("the shop", receiver)
        text = await workflow.execute_activity(label, parcel, start_to_close_timeout=PATIENCE)
        weight = await workflow.execute_activity(weigh, parcel, start_to_close_timeout=PATIENCE)
        price = await workflow.execute_activity_method(Tariff.price, weight, start_to_close_timeout=PATIENCE)
        return f"{text}: {weight} kg, {price} euros"


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[ParcelWorkflow],
        activities=[label, weigh, Tariff(4).price],
        activity_executor=ThreadPoolExecutor(2),
    ):
        print(await client.execute_workflow(ParcelWorkflow.run, "Ada", id="hello-activity", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
