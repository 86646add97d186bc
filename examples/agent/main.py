"""A conversation with the agent, in which it wants to spend money. ``--chat``: yours.

python examples/agent/main.py
HOTMESH_CONNECTION=postgresql://localhost/mydatabase python examples/agent/main.py --chat
"""

import asyncio
import sys
import uuid

from agent import Agent, Conversation
from model import TravelClerk
from tools import Thinking, remind, use_tool

from hotmesh_temporal.client import Client, WorkflowHandle
from hotmesh_temporal.worker import Worker

QUEUE = "agents"
SCRIPT = ["Hello!", "Is there a train from Bonn to Paris?", "Please book the cheapest.", "yes"]


async def heard(script: list[str] | None) -> str | None:
    """The next line of the script, or of you; None at the end."""
    if script is None:
        line = await asyncio.to_thread(input, "you: ")
        return line or None
    if script:
        print("you:", script[0])
    return script.pop(0) if script else None


async def answer(agent: WorkflowHandle[Agent, int], text: str, script: list[str] | None) -> str:
    """The agent's answer; what it wants to do before that is asked for."""
    answered = asyncio.create_task(agent.execute_update(Agent.say, text))  # pyright: ignore[reportUnknownMemberType]  (the SDK)
    while not answered.done():
        if what := await agent.query(Agent.pending):
            print(f"agent: I want to do this: {what}. May I? (yes or no)")
            allowed = await heard(script) == "yes"
            await agent.execute_update(Agent.decide, allowed)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
        await asyncio.wait([answered], timeout=0.1)
    return await answered


async def main(script: list[str] | None) -> None:
    client = await Client.connect()
    activities = [Thinking(TravelClerk()).think, use_tool, remind]
    async with Worker(client, task_queue=QUEUE, workflows=[Agent], activities=activities):
        agent = await client.start_workflow(Agent.run, Conversation(), id=f"agent-{uuid.uuid4()}", task_queue=QUEUE)
        while text := await heard(script):
            print("agent:", await answer(agent, text, script))
        await agent.signal(Agent.close)
        await agent.result()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(None if "--chat" in sys.argv else SCRIPT))
