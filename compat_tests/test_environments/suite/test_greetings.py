"""Activities: results, arguments, failures, retries, mocks, heartbeats."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

from .greetings import (
    Calls,
    CallsHere,
    Counts,
    Greet,
    GreetAll,
    Greeting,
    GreetLoudly,
    Welcomes,
    compose,
    counts_on,
    flaky,
    refuses,
    shout,
)

ACTIVITIES: list[Any] = [compose, shout, flaky, refuses, counts_on]
WORKFLOWS = [Greet, GreetLoudly, GreetAll, Calls, CallsHere, Welcomes, Counts]


async def execute(env: WorkflowEnvironment, run: Any, *args: Any, activities: Any = ACTIVITIES) -> Any:
    queue = str(uuid.uuid4())
    async with Worker(env.client, task_queue=queue, workflows=WORKFLOWS, activities=activities):
        return await env.client.execute_workflow(run, args=args, id=str(uuid.uuid4()), task_queue=queue)


@pytest.mark.parametrize("name", ["World", "Ada", "日本", "a much longer name " * 20])
async def test_greets(env: WorkflowEnvironment, name: str) -> None:
    assert await execute(env, Greet.run, name) == f"Hello, {name}!"


async def test_greets_loudly(env: WorkflowEnvironment) -> None:
    assert await execute(env, GreetLoudly.run, "Ada") == "HELLO, ADA!"


@pytest.mark.parametrize("count", [0, 1, 10])
async def test_greets_all(env: WorkflowEnvironment, count: int) -> None:
    names = [f"guest {number}" for number in range(count)]
    assert await execute(env, GreetAll.run, names) == [f"Hi, {name}!" for name in names]


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_calls_again(env: WorkflowEnvironment, failures: int) -> None:
    assert await execute(env, Calls.run, failures, 0) == failures + 1


async def test_gives_up_calling(env: WorkflowEnvironment) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await execute(env, Calls.run, 5, 2)
    assert isinstance(failed.value.cause, ActivityError)
    assert str(failed.value.cause.cause) == "RuntimeError: the line is busy"


async def test_local_calls(env: WorkflowEnvironment) -> None:
    assert await execute(env, CallsHere.run, 2) == 3


async def test_a_refusal_is_told(env: WorkflowEnvironment) -> None:
    assert await execute(env, Welcomes.run, "Mallory") == "NotWelcome: Mallory is not welcome, ['a detail']"


async def test_heartbeats_are_kept_between_attempts(env: WorkflowEnvironment) -> None:
    assert await execute(env, Counts.run) == 9


async def test_a_stand_in_for_an_activity(env: WorkflowEnvironment) -> None:
    seen: list[Greeting] = []

    @activity.defn(name="compose")
    async def stand_in(greeting: Greeting) -> str:
        seen.append(greeting)
        return "as you like it"

    assert await execute(env, Greet.run, "Ada", activities=[stand_in]) == "as you like it"
    assert seen == [Greeting("Hello", "Ada")]


async def test_an_activity_alone() -> None:
    beats: list[Any] = []
    alone = ActivityEnvironment()
    alone.on_heartbeat = lambda *details: beats.extend(details)
    with pytest.raises(RuntimeError, match="interrupted"):
        await alone.run(counts_on, 5)
    assert beats == [6, 7, 8]
