"""What is tested in test_greetings.py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

SECOND = timedelta(seconds=1)


@dataclass
class Greeting:
    word: str
    name: str


@activity.defn
async def compose(greeting: Greeting) -> str:
    return f"{greeting.word}, {greeting.name}!"


@activity.defn
async def shout(text: str) -> str:
    return text.upper()


@activity.defn
async def flaky(failures: int) -> int:
    attempt = activity.info().attempt
    if attempt <= failures:
        raise RuntimeError("the line is busy")
    return attempt


@activity.defn
async def refuses(name: str) -> str:
    raise ApplicationError(f"{name} is not welcome", "a detail", type="NotWelcome", non_retryable=True)


@activity.defn
async def counts_on(first: int) -> int:
    """Goes on where the last attempt was, as its heartbeats say."""
    details = activity.info().heartbeat_details
    reached = details[0] if details else first
    for number in range(reached, reached + 3):
        activity.heartbeat(number + 1)
    if activity.info().attempt < 3:
        raise RuntimeError("interrupted")
    return reached + 3


@workflow.defn
class Greet:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose, Greeting("Hello", name), start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn
class GreetLoudly:
    @workflow.run
    async def run(self, name: str) -> str:
        text = await workflow.execute_activity(
            compose, Greeting("Hello", name), start_to_close_timeout=timedelta(seconds=10)
        )
        return await workflow.execute_activity(shout, text, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class GreetAll:
    @workflow.run
    async def run(self, names: list[str]) -> list[str]:
        greetings = [
            workflow.execute_activity(compose, Greeting("Hi", name), start_to_close_timeout=timedelta(seconds=10))
            for name in names
        ]
        return list(await asyncio.gather(*greetings))


@workflow.defn
class Calls:
    @workflow.run
    async def run(self, failures: int, attempts: int) -> int:
        policy = RetryPolicy(initial_interval=SECOND, backoff_coefficient=1, maximum_attempts=attempts)
        return await workflow.execute_activity(
            flaky, failures, start_to_close_timeout=timedelta(seconds=10), retry_policy=policy
        )


@workflow.defn
class CallsHere:
    @workflow.run
    async def run(self, failures: int) -> int:
        policy = RetryPolicy(initial_interval=timedelta(milliseconds=50))
        return await workflow.execute_local_activity(
            flaky, failures, start_to_close_timeout=timedelta(seconds=10), retry_policy=policy
        )


@workflow.defn
class Welcomes:
    @workflow.run
    async def run(self, name: str) -> str:
        try:
            return await workflow.execute_activity(refuses, name, start_to_close_timeout=timedelta(seconds=10))
        except ActivityError as error:
            cause = error.cause
        return f"{cause.type}: {cause.message}, {list(cause.details)}" if isinstance(cause, ApplicationError) else "?"


@workflow.defn
class Counts:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(
            counts_on,
            0,
            start_to_close_timeout=timedelta(seconds=10),
            heartbeat_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(initial_interval=SECOND, backoff_coefficient=1),
        )
