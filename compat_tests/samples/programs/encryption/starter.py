"""A client with the key, one without, and the codec server."""

import asyncio
from pathlib import Path

import aiohttp
from codec import secret_converter
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client, WorkflowFailureError
from temporalio.envconfig import ClientConfig
from workflows import QUEUE, SecretWorkflow


async def ask_codec_server(payloads: Payloads) -> Payloads:
    """What a Web UI does to show payloads."""
    url = f"http://127.0.0.1:{Path('port.txt').read_text()}/decode"
    async with aiohttp.ClientSession() as session, session.post(url, data=json_format.MessageToJson(payloads)) as reply:
        return json_format.Parse(await reply.text(), Payloads())


async def main() -> None:
    """One secret is kept, the other one does not exist."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, data_converter=secret_converter())
    handle = await client.start_workflow(SecretWorkflow.run, "open sesame", id="secret", task_queue=QUEUE)
    print("with the key:", await handle.result())

    started = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    stored = started.input.payloads[0]
    print("stored:", stored.metadata["encoding"], b"sesame" in stored.data)
    shown = await ask_codec_server(Payloads(payloads=[stored]))
    print("by the codec server:", shown.payloads[0].data.decode())

    stranger = await Client.connect(**config)
    try:
        print(await stranger.get_workflow_handle("secret").result())
    except KeyError as error:
        print("without the key:", error)
    try:
        await client.execute_workflow(SecretWorkflow.run, "", id="no-secret", task_queue=QUEUE)
    except WorkflowFailureError as error:
        print("failed:", error.cause)


if __name__ == "__main__":
    asyncio.run(main())
