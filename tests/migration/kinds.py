"""Workflows of many kinds whose results depend on everything that happens to them, on whichever side it does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError

KEYWORD = SearchAttributeKey.for_keyword("MigrationKeyword")
_MINUTE = timedelta(minutes=1)


@activity.defn
async def beats_and_waits() -> list[int]:
    """The first attempt says how far it is and never ends; the next one goes on from there."""
    details = list(activity.info().heartbeat_details)
    if details:
        return [activity.info().attempt, *details]
    activity.heartbeat(41)
    await asyncio.sleep(60)
    return []


@activity.defn
async def fails_twice() -> int:
    if activity.info().attempt < 3:
        raise ApplicationError("not yet")
    return activity.info().attempt


@activity.defn
async def never_ends() -> None:
    await asyncio.sleep(60)


@activity.defn
async def plus_one(number: int) -> int:
    return number + 1


@workflow.defn
class Sleeper:
    """How much longer than wanted it slept, in seconds."""

    @workflow.run
    async def run(self, seconds: float) -> float:
        began = workflow.time()
        await workflow.sleep(seconds)
        return workflow.time() - began - seconds


@workflow.defn
class Worker:
    """Runs one of the activities, and says what came of it."""

    @workflow.run
    async def run(self, kind: str) -> Any:
        if kind == "heartbeat":
            return await workflow.execute_activity(beats_and_waits, start_to_close_timeout=_MINUTE)
        if kind == "backoff":
            policy = RetryPolicy(initial_interval=timedelta(seconds=2), backoff_coefficient=1.0)
            return await workflow.execute_activity(fails_twice, start_to_close_timeout=_MINUTE, retry_policy=policy)
        once, short = RetryPolicy(maximum_attempts=1), timedelta(seconds=5)
        try:
            await workflow.execute_activity(never_ends, start_to_close_timeout=short, retry_policy=once)
        except ActivityError as error:
            return type(error.cause).__name__
        return "ended"


@workflow.defn
class Inbox:
    """Every number that it was sent, in order; ends when it has ``count``. With ``slow`` a task takes its time."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    @workflow.run
    async def run(self, count: int, slow: bool = False) -> list[int]:
        while len(self._numbers) < count:
            seen = len(self._numbers)
            await workflow.wait_condition(lambda seen=seen: len(self._numbers) > seen)
            if slow:
                time.sleep(0.3)  # noqa: ASYNC251  # the worker is to be busy with the task
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._numbers

    @workflow.signal
    def number(self, number: int) -> None:
        self._numbers.append(number)

    @workflow.query
    def seen(self) -> int:
        return len(self._numbers)

    @workflow.update
    async def when_seen(self, count: int) -> int:
        """Accepted at once, answered when it has seen so many."""
        await workflow.wait_condition(lambda: len(self._numbers) >= count)
        return count


@workflow.defn
class Ring:
    """As `Inbox`, but goes on as new after every few numbers."""

    def __init__(self) -> None:
        self._new: list[int] = []

    @workflow.run
    async def run(self, count: int, before: list[int]) -> list[int]:
        await workflow.wait_condition(lambda: len(self._new) >= 3 or len(self._new) + len(before) >= count)
        numbers = before + self._new
        if len(numbers) >= count:
            return numbers
        workflow.continue_as_new(args=[count, numbers])

    @workflow.signal
    def number(self, number: int) -> None:
        self._new.append(number)


@dataclass
class Family:
    """What `Parent` is to do: a child with each of these policies, which waits for so many numbers."""

    policies: list[int]
    count: int


@workflow.defn
class Parent:
    """What its children return."""

    @workflow.run
    async def run(self, family: Family) -> list[list[int]]:
        own = workflow.info().workflow_id
        return await asyncio.gather(
            *(
                workflow.execute_child_workflow(
                    Inbox.run,
                    args=[family.count],
                    id=f"{own}-child-{policy}",
                    parent_close_policy=workflow.ParentClosePolicy(policy),
                )
                for policy in family.policies
            )
        )


@workflow.defn
class Retrying:
    """Fails twice, two seconds apart."""

    @workflow.run
    async def run(self) -> int:
        if workflow.info().attempt < 3:
            raise ApplicationError("not yet")
        return workflow.info().attempt


@workflow.defn
class Once:
    """What is drawn, made or decided once, before and after a wait."""

    def __init__(self) -> None:
        self._go = False
        self._before: list[Any] = []

    @workflow.run
    async def run(self) -> list[Any]:
        before = await self._values()
        workflow.upsert_search_attributes(  # pyright: ignore[reportUnknownMemberType]  (a generic of the SDK)
            [KEYWORD.value_set("moved")]
        )
        workflow.upsert_memo({"note": "kept"})
        self._before = before
        await workflow.wait_condition(lambda: self._go)
        return [*before, *await self._values()]

    async def _values(self) -> list[Any]:
        local = await workflow.execute_local_activity(plus_one, 1, start_to_close_timeout=_MINUTE)
        return [str(workflow.uuid4()), workflow.random().random(), workflow.patched("a patch"), local]

    @workflow.query
    def before(self) -> list[Any]:
        return self._before

    @workflow.signal
    def go(self) -> None:
        self._go = True


@workflow.defn
class Messenger:
    """When told to, sends a number to one workflow and cancels another. One that fails to do so hangs."""

    def __init__(self) -> None:
        self._go = self._failed = False

    @workflow.query
    def failed(self) -> bool:
        return self._failed

    @workflow.run
    async def run(self, to: str, cancels: str) -> None:
        await workflow.wait_condition(lambda: self._go)
        try:
            await workflow.get_external_workflow_handle_for(Inbox.run, to).signal(Inbox.number, 7)
            await workflow.get_external_workflow_handle(cancels).cancel()
        except ApplicationError:
            self._failed = True
            await workflow.wait_condition(lambda: False)

    @workflow.signal
    def go(self) -> None:
        self._go = True


@workflow.defn
class Tick:
    """Nothing."""

    @workflow.run
    async def run(self) -> None:
        return


WORKFLOWS = [Sleeper, Worker, Inbox, Ring, Parent, Retrying, Once, Messenger, Tick]
ACTIVITIES = [beats_and_waits, fails_twice, never_ends, plus_one]
