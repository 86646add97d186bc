"""A worker of each version after the other; each starts a run and ends the one before the last."""

import asyncio
from typing import Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker
from versions import MailV1, MailV2, MailV3, MailV4, send

QUEUE = "patching"


async def sent(client: Client, number: int) -> str:
    """What a run has sent, when it has sent it."""
    while not (text := await client.get_workflow_handle(f"mail-{number}").query("result")):
        await asyncio.sleep(0.1)
    return text


async def end(client: Client, number: int) -> None:
    """Let a run end, whichever version serves it."""
    mail = client.get_workflow_handle(f"mail-{number}")
    await mail.signal("end")
    print(f"run {number}:", await mail.result())


async def main() -> None:
    """Version after version."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    versions: list[Any] = [MailV1, MailV2, MailV3, MailV4]
    for number, version in enumerate(versions, start=1):
        # Nothing stays in memory, so that open runs are replayed by the next version.
        async with Worker(client, task_queue=QUEUE, workflows=[version], activities=[send], max_cached_workflows=0):
            await client.start_workflow("Mail", id=f"mail-{number}", task_queue=QUEUE)
            print(f"version {number}:", await sent(client, number))
            if number > 1:
                print(f"version {number}, of the run before:", await sent(client, number - 1))
                await end(client, number - 1)
            if number == 4:
                await end(client, number)


if __name__ == "__main__":
    asyncio.run(main())
