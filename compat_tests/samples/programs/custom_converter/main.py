"""Roman numbers go in and out of a workflow."""

import asyncio
import dataclasses
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from roman import Roman, RomanPayloadConverter

QUEUE = "custom-converter"


@activity.defn
async def double(number: Roman) -> Roman:
    """Two of it."""
    return Roman(2 * number.value)


@workflow.defn
class NumberWorkflow:
    """Twice, and one more."""

    @workflow.run
    async def run(self, number: Roman) -> Roman:
        doubled = await workflow.execute_activity(double, number, start_to_close_timeout=timedelta(seconds=30))
        return Roman(doubled.value + 1)


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    config_of_client = client.config()
    converter = dataclasses.replace(DataConverter.default, payload_converter_class=RomanPayloadConverter)
    config_of_client["data_converter"] = converter
    client = Client(**config_of_client)
    async with Worker(client, task_queue=QUEUE, workflows=[NumberWorkflow], activities=[double]):
        print(await client.execute_workflow(NumberWorkflow.run, Roman(9), id="custom-converter", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
