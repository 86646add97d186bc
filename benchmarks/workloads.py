"""The workflows. ``BENCH_PACKAGE`` names the package that they are written with, as an application would."""

from __future__ import annotations

import asyncio
import importlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

PACKAGE = os.environ.get("BENCH_PACKAGE", "temporalio")

if TYPE_CHECKING:
    from temporalio import activity, workflow
else:
    activity = importlib.import_module(PACKAGE + ".activity")
    workflow = importlib.import_module(PACKAGE + ".workflow")

HALF_MINUTE = timedelta(seconds=30)


@activity.defn
async def say(name: str) -> str:
    return "hi " + name


@workflow.defn
class Hello:
    """One activity."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(say, name, start_to_close_timeout=HALF_MINUTE)


@workflow.defn
class InSequence:
    """Activities one after the other."""

    @workflow.run
    async def run(self, steps: int) -> int:
        for step in range(steps):
            await workflow.execute_activity(say, str(step), start_to_close_timeout=HALF_MINUTE)
        return steps


@workflow.defn
class FanOut:
    """Activities all at once."""

    @workflow.run
    async def run(self, width: int) -> int:
        calls = [workflow.execute_activity(say, str(i), start_to_close_timeout=HALF_MINUTE) for i in range(width)]
        return len(await asyncio.gather(*calls))


@workflow.defn
class Counter:
    """Signals, queries and updates."""

    def __init__(self) -> None:
        self.total = 0

    @workflow.run
    async def run(self, until: int) -> int:
        await workflow.wait_condition(lambda: self.total >= until)
        return self.total

    @workflow.signal
    def add(self, number: int) -> None:
        self.total += number

    @workflow.update
    async def add_and_get(self, number: int) -> int:
        self.total += number
        return self.total

    @workflow.query
    def get(self) -> int:
        return self.total


WORKFLOWS = [Hello, InSequence, FanOut, Counter]
ACTIVITIES = [say]
