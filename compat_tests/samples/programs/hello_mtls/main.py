"""Connects with a client certificate, whose files the environment names."""

import asyncio
import os
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.service import TLSConfig
from temporalio.worker import Worker

QUEUE = "hello-mtls"


@workflow.defn
class SecretWorkflow:
    """Whispers."""

    @workflow.run
    async def run(self, word: str) -> str:
        return word.lower()


def tls() -> TLSConfig | bool:
    """The certificates, or none where there are none."""
    files = [os.environ.get(f"TEMPORAL_TLS_{name}_PATH") for name in ("SERVER_CA_CERT", "CLIENT_CERT", "CLIENT_KEY")]
    if not all(files):
        return False
    authority, certificate, key = (Path(file or "").read_bytes() for file in files)
    return TLSConfig(server_root_ca_cert=authority, client_cert=certificate, client_private_key=key, domain="localhost")


async def main() -> None:
    """Start the worker, run one workflow, print what it says."""
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"),
        namespace=os.environ.get("TEMPORAL_NAMESPACE", "default"),
        tls=tls(),
    )
    async with Worker(client, task_queue=QUEUE, workflows=[SecretWorkflow]):
        print(await client.execute_workflow(SecretWorkflow.run, "PSST", id="hello-mtls", task_queue=QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
