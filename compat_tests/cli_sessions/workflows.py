"""What the sessions start."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError


@activity.defn
async def greet(name: str) -> str:
    """Says hello."""
    return f"Hello, {name}!"


@activity.defn
async def never_works() -> None:
    """Fails at each attempt."""
    raise ApplicationError("out of order", type="Broken")


@activity.defn
async def ends_elsewhere() -> str:
    """Is completed by somebody else."""
    activity.raise_complete_async()


@workflow.defn
class Greet:
    """Ends at once, with a result."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class Fail:
    """Ends at once, with a failure."""

    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("no luck", {"tries": 3}, type="Unlucky")


@workflow.defn
class Cart:
    """Collects what signals and updates bring until it is told to check out."""

    def __init__(self) -> None:
        self._items: list[str] = []
        self._open = True

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: not self._open)
        return self._items

    @workflow.signal
    def add(self, item: str) -> None:
        """Put something in."""
        self._items.append(item)

    @workflow.signal
    def check_out(self) -> None:
        """End."""
        self._open = False

    @workflow.query
    def items(self) -> list[str]:
        """What is in."""
        return self._items

    @workflow.update
    def replace(self, item: str) -> int:
        """Throw everything out and put something else in."""
        if item == "bomb":
            raise ApplicationError("not delivered", type="Forbidden")
        self._items = [item]
        return len(self._items)

    @replace.validator
    def check(self, item: str) -> None:
        """Refuses what is nothing."""
        if not item:
            raise ValueError("an item has a name")


@workflow.defn
class Call:
    """One activity, by its name, under the id ``call``."""

    @workflow.run
    async def run(self, name: str) -> str:
        result: str = await workflow.execute_activity(
            name,
            activity_id="call",
            start_to_close_timeout=timedelta(minutes=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(hours=1)),
            result_type=str,
        )
        return result


@workflow.defn
class Family:
    """Has a child that greets and one that stays in the shop."""

    @workflow.run
    async def run(self) -> str:
        prefix = workflow.info().workflow_id
        cart = await workflow.start_child_workflow(Cart.run, id=f"{prefix}-cart")
        greeting = await workflow.execute_child_workflow(Greet.run, "child", id=f"{prefix}-greet")
        await cart
        return greeting


@workflow.defn
class Sleep:
    """Waits."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


WORKFLOWS = [Greet, Fail, Cart, Call, Family, Sleep]
ACTIVITIES = [greet, never_works, ends_elsewhere]
