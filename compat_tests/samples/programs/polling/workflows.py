"""Three ways to wait for a ferry that is not there at first."""

import asyncio
from collections import Counter
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

QUEUE = "polling"
asked = Counter[str]()


def ferry(who: str) -> str:
    """Somebody else's service: works when it is asked for the fourth time."""
    asked[who] += 1
    if asked[who] < 4:
        raise ConnectionError("no ferry yet")
    return f"{who}: the ferry is there"


@activity.defn
async def wait_at_the_pier(who: str) -> str:
    """Asks again and again, with heartbeats."""
    while True:
        try:
            return ferry(who)
        except ConnectionError:
            activity.heartbeat("waiting")
            await asyncio.sleep(0.1)


@activity.defn
async def look_once(who: str) -> str:
    """Fails if it is not there."""
    return ferry(who)


@workflow.defn
class FrequentWorkflow:
    """One activity that waits."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            wait_at_the_pier,
            "frequent",
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=20),
        )


@workflow.defn
class InfrequentWorkflow:
    """The server asks again, at even intervals."""

    @workflow.run
    async def run(self) -> str:
        policy = RetryPolicy(backoff_coefficient=1, initial_interval=timedelta(seconds=1))
        return await workflow.execute_activity(
            look_once, "infrequent", start_to_close_timeout=timedelta(seconds=30), retry_policy=policy
        )


@workflow.defn
class WatchWorkflow:
    """A child that looks twice, and goes on as a new run, so that the history of its parent stays short."""

    @workflow.run
    async def run(self) -> str:
        for _ in range(2):
            try:
                return await workflow.execute_activity(
                    look_once,
                    "periodic",
                    start_to_close_timeout=timedelta(seconds=30),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
            except ActivityError:
                await workflow.sleep(timedelta(seconds=0.7))
        workflow.continue_as_new()


@workflow.defn
class PeriodicWorkflow:
    """Leaves it to the child."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_child_workflow(WatchWorkflow.run, id="polling-child")
