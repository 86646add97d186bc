"""The workflows and activities whose lives are compared while time is skipped. All waits are long: hours and days."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, TimeoutError

HOUR = 3600.0
DAY = 24 * HOUR
MINUTE = timedelta(minutes=1)


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@activity.defn
async def fails_until(attempt: int) -> int:
    current = activity.info().attempt
    if current < attempt:
        raise ApplicationError(f"attempt {current} is too early")
    return current


@activity.defn
async def fails_with_its_own_delay() -> int:
    current = activity.info().attempt
    if current < 3:
        raise ApplicationError("ask later", next_retry_delay=timedelta(hours=7))
    return current


@activity.defn
async def takes_a_moment() -> str:
    await asyncio.sleep(0.4)
    return "done"


@activity.defn
async def stands_still() -> None:
    await asyncio.sleep(60)


@activity.defn
async def completed_by_somebody() -> str:
    activity.raise_complete_async()


@workflow.defn
class Sleeps:
    @workflow.run
    async def run(self, seconds: float) -> int:
        begin = workflow.now()
        await workflow.sleep(seconds)
        return round((workflow.now() - begin).total_seconds() / 60)


@workflow.defn
class ManyTimers:
    @workflow.run
    async def run(self) -> list[str]:
        order: list[str] = []

        async def one(name: str, hours: float) -> None:
            await asyncio.sleep(hours * HOUR)
            order.append(name)

        await asyncio.gather(one("c", 72), one("a", 1), one("b", 24), one("d", 73))
        cancelled = asyncio.create_task(asyncio.sleep(9 * DAY))
        await asyncio.sleep(HOUR)
        cancelled.cancel()
        return order


@workflow.defn
class Retries:
    @workflow.run
    async def run(self, attempts: int, maximum: int) -> str:
        policy = RetryPolicy(
            initial_interval=timedelta(hours=1),
            backoff_coefficient=3,
            maximum_interval=timedelta(hours=5),
            maximum_attempts=maximum,
        )
        try:
            reached = await workflow.execute_activity(
                fails_until, attempts, start_to_close_timeout=MINUTE, retry_policy=policy
            )
        except ActivityError as error:
            return f"{type(error.cause).__name__}: {error.cause}, {error.retry_state}"
        return f"attempt {reached}"


@workflow.defn
class OwnDelay:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(fails_with_its_own_delay, start_to_close_timeout=MINUTE)


@workflow.defn
class ActivityTimeouts:
    """Which timeout ends an activity: of all attempts together, of waiting for a worker, of its heart."""

    @workflow.run
    async def run(self, kind: str) -> str:
        try:
            await self._of(kind)
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, TimeoutError) or cause is not None
            name = cause.type.name if isinstance(cause, TimeoutError) and cause.type else type(cause).__name__
            return f"{name}, {error.retry_state}"
        return "no timeout"

    async def _of(self, kind: str) -> None:
        if kind == "schedule to close":
            policy = RetryPolicy(initial_interval=timedelta(hours=1), backoff_coefficient=1)
            await workflow.execute_activity(
                fails_until,
                99,
                schedule_to_close_timeout=timedelta(hours=3, minutes=30),
                start_to_close_timeout=MINUTE,
                retry_policy=policy,
            )
        elif kind == "schedule to start":
            await workflow.execute_activity(
                greet,
                "nobody",
                task_queue=f"{workflow.info().task_queue}-nobody-there",
                schedule_to_start_timeout=timedelta(seconds=2),
                start_to_close_timeout=MINUTE,
            )
        elif kind == "start to close":
            await workflow.execute_activity(
                stands_still, start_to_close_timeout=timedelta(seconds=1), retry_policy=RetryPolicy(maximum_attempts=1)
            )
        else:
            await workflow.execute_activity(
                stands_still,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=timedelta(seconds=1),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )


@workflow.defn
class LocalRetries:
    @workflow.run
    async def run(self) -> int:
        policy = RetryPolicy(initial_interval=timedelta(hours=2), backoff_coefficient=1)
        return await workflow.execute_local_activity(
            fails_until, 3, start_to_close_timeout=MINUTE, retry_policy=policy, local_retry_threshold=timedelta(0)
        )


@workflow.defn
class TimerBesideActivity:
    """Which is first: an activity of less than a second, or a timer of a minute?"""

    @workflow.run
    async def run(self, which: str) -> str:
        timer = asyncio.create_task(asyncio.sleep(60))
        kind = takes_a_moment if which == "moment" else completed_by_somebody
        work = asyncio.create_task(workflow.execute_activity(kind, start_to_close_timeout=timedelta(days=9)))
        done, _ = await workflow.wait([timer, work], return_when=asyncio.FIRST_COMPLETED)
        return "activity" if work in done else "timer"


@workflow.defn
class Fails:
    @workflow.run
    async def run(self, until: int) -> int:
        attempt = workflow.info().attempt
        await workflow.sleep(HOUR)
        if attempt < until:
            raise ApplicationError(f"run {attempt} is too early")
        return attempt


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, left: int) -> str:
        await workflow.sleep(DAY)
        if left:
            workflow.continue_as_new(left - 1)
        return "end of the chain"


@workflow.defn
class Cron:
    @workflow.run
    async def run(self) -> int:
        return (workflow.get_last_completion_result(int) or 0) + 1


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, days: list[int]) -> list[int]:
        own = workflow.info().workflow_id
        children = [
            workflow.execute_child_workflow(Sleeps.run, day * DAY, id=f"{own}-{number}")
            for number, day in enumerate(days)
        ]
        return list(await asyncio.gather(*children))


@workflow.defn
class ParentOfLate:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_child_workflow(
                Sleeps.run,
                9 * DAY,
                id=f"{workflow.info().workflow_id}-late",
                execution_timeout=timedelta(hours=5),
            )
        except ChildWorkflowError as error:
            return f"{type(error.cause).__name__}, {error.retry_state}"
        return "in time"


@workflow.defn
class Leaves:
    """Starts a child and does not wait for its end."""

    @workflow.run
    async def run(self, policy: int) -> None:
        await workflow.start_child_workflow(
            Sleeps.run,
            5 * DAY,
            id=f"{workflow.info().workflow_id}-left",
            parent_close_policy=workflow.ParentClosePolicy(policy),
        )


@workflow.defn
class Approval:
    """Waits for a decision; reminds every day; gives up after a week."""

    def __init__(self) -> None:
        self.decision = ""
        self.reminders = 0
        self.texts: list[str] = []

    @workflow.run
    async def run(self) -> str:
        while not self.decision and self.reminders < 7:
            try:
                await workflow.wait_condition(lambda: bool(self.decision), timeout=timedelta(days=1))
            except asyncio.TimeoutError:
                self.reminders += 1
        return f"{self.decision or 'nobody'} after {self.reminders} reminders, texts {self.texts}"

    @workflow.signal
    def say(self, text: str) -> None:
        self.texts.append(text)

    @workflow.update
    async def decide(self, decision: str) -> int:
        await workflow.sleep(6 * HOUR)
        self.decision = decision
        return self.reminders

    @decide.validator
    def _only_words(self, decision: str) -> None:
        if not decision:
            raise ValueError("a decision is needed")

    @workflow.query
    def count(self) -> int:
        return self.reminders


@workflow.defn
class CleansUp:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.sleep(30 * DAY)
        except asyncio.CancelledError:
            await workflow.sleep(HOUR)
            return "cleaned up in an hour"
        return "not cancelled"


@workflow.defn
class Signals:
    @workflow.run
    async def run(self, other: str) -> str:
        await workflow.sleep(DAY)
        handle: Any = workflow.get_external_workflow_handle(other)
        await handle.signal("say", "from afar")
        return "said"


@workflow.defn
class Letters:
    """A letter at once, and another one every thirty days, until somebody says stop."""

    def __init__(self) -> None:
        self.stopped = False

    @workflow.run
    async def run(self) -> int:
        sent = 0
        while not self.stopped:
            sent += 1
            await workflow.execute_activity(greet, f"reader {sent}", start_to_close_timeout=MINUTE)
            try:
                await workflow.wait_condition(lambda: self.stopped, timeout=timedelta(days=30))
            except asyncio.TimeoutError:
                continue
        return sent

    @workflow.signal
    def stop(self) -> None:
        self.stopped = True


@workflow.defn
class Alarm:
    """Wakes up at a time that may be moved."""

    @workflow.init
    def __init__(self, at: float) -> None:
        self.at = at

    @workflow.run
    async def run(self, at: float) -> int:
        begin = workflow.time()
        while workflow.time() < self.at:
            moved = self.at
            try:
                await workflow.wait_condition(lambda moved=moved: self.at != moved, timeout=self.at - workflow.time())
            except asyncio.TimeoutError:
                break
        return round((workflow.time() - begin) / 60)

    @workflow.signal
    def move(self, at: float) -> None:
        self.at = at

    @workflow.query
    def wakes_at(self) -> float:
        return self.at


WORKFLOWS: list[type] = [
    Sleeps, ManyTimers, Retries, OwnDelay, ActivityTimeouts, LocalRetries, TimerBesideActivity, Fails, Chain, Cron,
    Parent, ParentOfLate, Leaves, Approval, CleansUp, Signals, Letters, Alarm,
]  # fmt: skip
ACTIVITIES = [greet, fails_until, fails_with_its_own_delay, takes_a_moment, stands_still, completed_by_somebody]
