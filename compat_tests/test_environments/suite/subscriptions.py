"""What is tested in test_subscriptions.py: a subscription whose months are seconds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

MONTH = 1.0


@activity.defn
async def charge(month: int) -> str:
    return f"invoice {month}"


@activity.defn
async def never_ends() -> None:
    await asyncio.sleep(30)


@workflow.defn
class Subscription:
    @workflow.run
    async def run(self, months: int) -> list[str]:
        invoices: list[str] = []
        for month in range(months):
            await workflow.sleep(MONTH)
            invoices.append(
                await workflow.execute_activity(charge, month, start_to_close_timeout=timedelta(seconds=10))
            )
        return invoices


@workflow.defn
class Endless:
    """A year at a time, so that no history gets long."""

    @workflow.run
    async def run(self, left: int) -> str:
        await workflow.sleep(MONTH)
        if left > 1:
            workflow.continue_as_new(left - 1)
        return "over"


@workflow.defn
class Wake:
    """A timer that can be moved."""

    def __init__(self) -> None:
        self._at = 0.0

    @workflow.run
    async def run(self, after: float) -> float:
        begin = workflow.time()
        self._at = begin + after
        while workflow.time() < self._at:
            until = self._at
            try:
                await workflow.wait_condition(lambda until=until: self._at != until, timeout=self._at - workflow.time())
            except asyncio.TimeoutError:
                break
        return round(workflow.time() - begin, 1)

    @workflow.signal
    def sooner_by(self, seconds: float) -> None:
        self._at -= seconds


@workflow.defn
class Race:
    @workflow.run
    async def run(self, delays: list[float]) -> int:
        runners = [asyncio.create_task(asyncio.sleep(delay), name=str(number)) for number, delay in enumerate(delays)]
        done, left = await workflow.wait(runners, return_when=asyncio.FIRST_COMPLETED)
        for each in left:
            each.cancel()
        return int(done[0].get_name())


@workflow.defn
class Limits:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(
                never_ends, start_to_close_timeout=timedelta(seconds=1), retry_policy=RetryPolicy(maximum_attempts=1)
            )
        except ActivityError as error:
            return type(error.cause).__name__
        return "in time"


@workflow.defn
class Attempts:
    @workflow.run
    async def run(self, needed: int) -> int:
        attempt = workflow.info().attempt
        if attempt < needed:
            raise ApplicationError(f"attempt {attempt}")
        return attempt


@workflow.defn
class Family:
    @workflow.run
    async def run(self, months: list[int]) -> list[list[str]]:
        return list(
            await asyncio.gather(
                *(
                    workflow.execute_child_workflow(Subscription.run, each, id=f"{workflow.info().workflow_id}-{each}")
                    for each in months
                )
            )
        )


@workflow.defn
class Strict:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_child_workflow(
                Attempts.run, 9, id=f"{workflow.info().workflow_id}-child", retry_policy=RetryPolicy(maximum_attempts=1)
            )
        except ChildWorkflowError as error:
            return f"the child: {error.cause}"
        return "the child is good"


@workflow.defn
class Boss:
    """Starts a worker and tells it something."""

    @workflow.run
    async def run(self) -> float:
        child: Any = await workflow.start_child_workflow(Wake.run, 5.0, id=f"{workflow.info().workflow_id}-wake")
        await child.signal(Wake.sooner_by, 4.0)
        return await child
