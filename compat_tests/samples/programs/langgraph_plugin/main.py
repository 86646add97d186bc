"""Somebody has a letter written, and does not like the first one."""

from __future__ import annotations

import asyncio

from letters import GRAPH, WriteLetter, letters
from temporalio.client import Client, WorkflowHandle
from temporalio.envconfig import ClientConfig
from temporalio.langgraph import LangGraphPlugin  # pyright: ignore[reportMissingImports]  # extra "agents"
from temporalio.worker import Worker

QUEUE = "langgraph-plugin"


async def main() -> None:
    """Two drafts, then it is sent."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, plugins=[LangGraphPlugin(graphs={GRAPH: letters()})])
    async with Worker(client, task_queue=QUEUE, workflows=[WriteLetter]):
        letter = await client.start_workflow(WriteLetter.run, "the garden", id="letter", task_queue=QUEUE)
        print("first:", await draft(letter, ""))
        await letter.signal(WriteLetter.answer, "shorter")
        print("second:", await draft(letter, "shorter"))
        await letter.signal(WriteLetter.answer, "fine")
        print(await letter.result())


async def draft(letter: WorkflowHandle[WriteLetter, str], containing: str) -> str:
    """The next text that waits for a reader."""
    while True:
        text = await letter.query(WriteLetter.waiting_for)
        if text and containing in text:
            return text
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
