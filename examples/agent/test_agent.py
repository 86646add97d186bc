"""The agent on a clock that skips: days without a decision take milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import agent as subject
import pytest
from agent import Agent, Conversation
from conversation import Answer, Message, ToolCall
from model import TravelClerk
from tools import Thinking, use_tool

from hotmesh_temporal import activity
from hotmesh_temporal.client import WorkflowUpdateFailedError
from hotmesh_temporal.pytest_plugin import WorkerFactory
from hotmesh_temporal.testing import WorkflowEnvironment

TRAINS = "Here you are: T7 at 8:15 for 90 euros; T9 at 12:40 for 60 euros"


class Stage:
    """An agent, with reminders that are kept."""

    def __init__(self, env: WorkflowEnvironment, make: WorkerFactory) -> None:
        self.env, self._make = env, make
        self.reminders: list[str] = []

    @asynccontextmanager
    async def agent(self, model: Any = None) -> AsyncGenerator[Any]:
        @activity.defn(name="remind")
        async def remind(text: str) -> None:
            self.reminders.append(text)

        activities = [Thinking(model or TravelClerk()).think, use_tool, remind]
        async with self._make(Agent, activities=activities) as worker:
            yield await self.env.client.start_workflow(
                Agent.run, Conversation(), id="agent", task_queue=worker.task_queue
            )

    async def asks_for_money(self, agent: Any) -> asyncio.Task[str]:
        """It has found trains and wants to book one; the task is its answer."""
        assert await agent.execute_update(Agent.say, "a train from Bonn to Paris?") == TRAINS
        answer = asyncio.create_task(agent.execute_update(Agent.say, "book it"))
        while not await agent.query(Agent.pending):  # noqa: ASYNC110  it is at the server
            await asyncio.sleep(0.01)
        return answer


@pytest.fixture
def stage(hotmesh_time_skipping: WorkflowEnvironment, hotmesh_worker: WorkerFactory) -> Stage:
    return Stage(hotmesh_time_skipping, hotmesh_worker)


async def test_it_talks(stage: Stage) -> None:
    async with stage.agent() as agent:
        assert "I can look for a train" in await agent.execute_update(Agent.say, "Hello!")
        assert (await agent.query(Agent.conversation))[0] == "user: Hello!"
        await agent.signal(Agent.close)
        assert await agent.result() == 1


async def test_it_uses_a_tool(stage: Stage) -> None:
    async with stage.agent() as agent:
        assert await agent.execute_update(Agent.say, "a train from Bonn to Paris?") == TRAINS
        assert await agent.execute_update(Agent.say, "a train from Bonn to Mars?") == (
            "Here you are: no train from Bonn to Mars"
        )


async def test_it_books_when_it_may(stage: Stage) -> None:
    async with stage.agent() as agent:
        answer = await stage.asks_for_money(agent)
        assert await agent.query(Agent.pending) == "book_train(price=60, train=T9)"
        assert await agent.execute_update(Agent.decide, True) == "book_train(price=60, train=T9)"
        assert await answer == "Here you are: T9 is booked for 60 euros"


async def test_it_does_not_book_when_it_may_not(stage: Stage) -> None:
    async with stage.agent() as agent:
        answer = await stage.asks_for_money(agent)
        await agent.execute_update(Agent.decide, False)
        assert "was not allowed" in await answer


async def test_silence_is_a_no_after_three_reminders(stage: Stage) -> None:
    async with stage.agent() as agent:
        answer = await stage.asks_for_money(agent)
        await stage.env.sleep(timedelta(days=1, minutes=1))
        assert stage.reminders == ["book_train(price=60, train=T9) waits for a decision"]
        await stage.env.sleep(timedelta(days=3))
        assert "was not allowed" in await answer
        assert len(stage.reminders) == 3


async def test_what_makes_no_sense_is_refused(stage: Stage) -> None:
    async with stage.agent() as agent:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await agent.execute_update(Agent.decide, True)
        assert "nothing to decide" in str(refused.value.cause)
        with pytest.raises(WorkflowUpdateFailedError):
            await agent.execute_update(Agent.say, "  ")


async def test_a_long_conversation_goes_on_in_a_new_run(stage: Stage) -> None:
    async with stage.agent() as agent:
        by_id: Any = stage.env.client.get_workflow_handle_for(Agent.run, "agent")
        for number in range(subject.LONG // 2 + 3):
            await by_id.execute_update(Agent.say, f"message {number}")
        assert f"user: message {subject.LONG // 2 + 2}" in await by_id.query(Agent.conversation)
        assert len(await by_id.query(Agent.conversation)) < subject.LONG
        await by_id.signal(Agent.close)
        assert await agent.result() == 2


async def test_a_model_that_fails_is_asked_again_and_a_tool_that_is_not_there_is_told(stage: Stage) -> None:
    class Confused:
        asked = 0

        async def answer(self, messages: list[Message]) -> Answer:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionError("the provider does not answer")
            if messages[-1].role == "tool":
                return Answer(f"I am sorry: {messages[-1].text}")
            return Answer(call=ToolCall("dance"))

    async with stage.agent(Confused()) as agent:
        answer = asyncio.create_task(agent.execute_update(Agent.say, "Hello!"))
        await stage.env.sleep(60)
        assert await answer == "I am sorry: dance() failed: UnknownTool: there is no tool dance"
