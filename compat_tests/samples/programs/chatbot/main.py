"""Somebody talks to the model."""

from __future__ import annotations

import asyncio

from chat import Chat, Talk, model
from temporalio.client import Client, WorkflowHandle
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

QUEUE = "chatbot"


async def main() -> None:
    """Two prompts, one of which is answered at the second try; then a new run, and the end."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    async with Worker(client, task_queue=QUEUE, workflows=[Chat], activities=[model]):
        await client.start_workflow(
            Chat.run, Talk(), id="chat", task_queue=QUEUE, start_signal="prompt", start_signal_args=["Hello there"]
        )
        chat = client.get_workflow_handle_for(Chat.run, "chat")
        await until(chat, lines=2)
        print(await chat.query(Chat.conversation))
        await chat.signal(Chat.prompt, "Are you slow")
        await until(chat, lines=0, known=True)
        print("a new run knows:", await chat.query(Chat.known))
        await chat.signal(Chat.prompt, "Good bye")
        await until(chat, lines=2)
        print(await chat.query(Chat.conversation))
        await chat.signal(Chat.end)
        print(await chat.result())


async def until(chat: WorkflowHandle[Chat, str], *, lines: int, known: bool = False) -> None:
    """Wait until the current run has said so much."""
    while True:
        events = [event async for event in chat.fetch_history_events()]
        # A run that continues another after less than a second begins a little later, and answers nothing before.
        if any(event.HasField("workflow_task_completed_event_attributes") for event in events):
            said, summary = await chat.query(Chat.conversation), await chat.query(Chat.known)
            if len(said) == lines and (summary or not known):
                return
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
