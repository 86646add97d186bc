"""Reads a profile, overrides it, and connects by what is left."""

import asyncio
import os
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConfigProfile
from temporalio.worker import Worker

FILE = Path(__file__).parent / "config.toml"
QUEUE = "env-config"


@workflow.defn
class PlaceWorkflow:
    """Says where it is."""

    @workflow.run
    async def run(self) -> str:
        return workflow.info().task_queue


async def main() -> None:
    """Three ways to read the file."""
    default = ClientConfig.load_client_connect_config(config_file=str(FILE), disable_env=True)
    print("default:", default.get("target_host"), default.get("namespace"))

    variables = {"TEMPORAL_NAMESPACE": "from-a-variable"}
    staging = ClientConfigProfile.load(profile="staging", config_source=FILE, override_env_vars=variables)
    print("staging:", staging.address, staging.namespace, staging.api_key, sorted(staging.grpc_meta))

    # What is set outside wins over the file.
    config = ClientConfig.load_client_connect_config(profile="staging", config_file=str(FILE))
    config.pop("api_key")
    config["tls"] = False
    if "TEMPORAL_ADDRESS" not in os.environ:
        config["target_host"] = "localhost:7233"
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[PlaceWorkflow]):
        print(await client.execute_workflow(PlaceWorkflow.run, id="env-config", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
