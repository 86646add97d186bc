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
        await chat.signal(Chat.prompt, "Slowly count this")
        await until_new_run(chat)
        print("a new run knows:", await chat.query(Chat.known))
        await chat.signal(Chat.prompt, "Good bye")
        await until(chat, lines=2)
        print(await chat.query(Chat.conversation))
        await chat.signal(Chat.end)
        print(await chat.result())


async def until(chat: WorkflowHandle[Chat, str], *, lines: int) -> None:
    """Wait until the current run has said so much."""
    while True:
        if len(await chat.query(Chat.conversation)) == lines:
            return
        await asyncio.sleep(0.2)


async def until_new_run(chat: WorkflowHandle[Chat, str]) -> None:
    """Wait until the conversation goes on in a run that has begun; it answers no queries before."""
    while True:
        events = [event async for event in chat.fetch_history_events()]
        started = events[0].workflow_execution_started_event_attributes
        begun = any(event.HasField("workflow_task_completed_event_attributes") for event in events)
        if started.continued_execution_run_id and begun:
            return
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
