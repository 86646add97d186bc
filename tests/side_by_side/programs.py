"""The workflows of these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "sides"
LONGEST_SECONDS = 60
ASKED: list[tuple[str, bytes, str, str]] = []
"""How, task token, workflow id, activity id."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, which nobody tells."""

    async def wait() -> None:
        while not await condition():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), LONGEST_SECONDS)


@activity.defn
async def greet(name: str) -> str:
    return f"hello {name}"


@activity.defn
async def ask_elsewhere(how: str) -> str:
    """Answered by somebody else, who knows it by its task token or by its id."""
    info = activity.info()
    ASKED.append((how, info.task_token, info.workflow_id or "", info.activity_id))
    activity.raise_complete_async()


@activity.defn
async def peek(workflow_id: str) -> str:
    """Looks at another workflow with the worker's client."""
    return (await activity.client().get_workflow_handle(workflow_id).describe()).run_id


@workflow.defn
class Asking:
    @workflow.run
    async def run(self, how: str) -> str:
        timeout = timedelta(minutes=1)
        answer = await workflow.execute_activity(ask_elsewhere, how, start_to_close_timeout=timeout)
        return await workflow.execute_activity(peek, answer, start_to_close_timeout=timeout)


@workflow.defn
class Talk:
    """Ends when it has heard so many words, with an activity."""

    def __init__(self) -> None:
        self.words: list[str] = []

    @workflow.run
    async def run(self, count: int) -> list[str]:
        await workflow.wait_condition(lambda: len(self.words) >= count)
        greeting = await workflow.execute_activity(greet, self.words[-1], start_to_close_timeout=timedelta(minutes=1))
        return [*self.words, greeting]

    @workflow.signal
    def say(self, word: str) -> None:
        self.words.append(word)

    @workflow.query
    def heard(self) -> list[str]:
        return self.words

    @workflow.update
    async def until(self, count: int) -> list[str]:
        """Answers when so many words were heard."""
        await workflow.wait_condition(lambda: len(self.words) >= count)
        return self.words[:count]

    @workflow.update
    async def tell(self, word: str) -> int:
        self.words.append(word)
        return len(self.words)


@workflow.defn
class Parent:
    """Gives what its child gives."""

    @workflow.run
    async def run(self, child_id: str) -> list[str]:
        return await workflow.execute_child_workflow(Talk.run, 2, id=child_id)


@workflow.defn
class Slow:
    """Waits for an activity."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity("slow", start_to_close_timeout=timedelta(minutes=5))
