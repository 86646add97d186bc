"""Workflows whose results depend on all that happens to them and what they do: a lost or doubled thing shows.

Steps are activities that fail, hang or are canceled, timers, local activities, and children that fail, continue as new
or are canceled, and that signal their parent. From outside come signals and updates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, ChildWorkflowError
from temporalio.workflow import ActivityCancellationType, ParentClosePolicy

QUEUE = "crowd"
SIGNALS = 3
UPDATES = 2
STEPS = 4

_SECOND = timedelta(seconds=1)
_SOON = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_interval=_SECOND)
_TWICE = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=2)
_TASK = 2 * _SECOND
"""Timeout of workflow tasks: those of a killed worker come back soon."""


@dataclass
class Task:
    """What one workflow has to do, and what it has done before it continued as new."""

    number: int
    got: list[int] = field(default_factory=list[int])
    changes: list[int] = field(default_factory=list[int])
    results: list[int] = field(default_factory=list[int])
    step: int = 0


@dataclass
class Outcome:
    """The numbers of the signals and updates in the order in which they came, and the result of each step."""

    got: list[int]
    changes: list[int]
    results: list[int]


def workflow_id(number: int) -> str:
    """Id of the workflow with that number."""
    return f"crowd-{number}"


def continues(number: int) -> bool:
    """This workflow continues as new half-way."""
    return number % 6 == 0


def begins_with_update(number: int) -> bool:
    """This workflow is started together with its first update."""
    return number % 5 == 4 and not continues(number)


def left_child(number: int) -> ParentClosePolicy | None:
    """How the child ends that this workflow leaves behind; None if it leaves none."""
    policies = {3: ParentClosePolicy.TERMINATE, 8: ParentClosePolicy.REQUEST_CANCEL}
    return policies.get(number % 10)


def expected_results(number: int) -> list[int]:
    """What the steps must give."""
    return [2 * (100 * number + step) for step in range(STEPS)]


def change_result(place: int, number: int) -> int:
    """What update ``number`` must give if it is the ``place``-th that its workflow gets (from 1)."""
    return 100 * place + 2 * number


# -- activities --------------------------------------------------------------------------------------------------------


@activity.defn
async def double(value: int) -> int:
    return 2 * value


@activity.defn
async def flaky(value: int) -> int:
    if activity.info().attempt == 1:
        raise ConnectionError("the first attempt fails")
    return 2 * value


@activity.defn
async def slow(value: int) -> int:
    for _ in range(4):
        await asyncio.sleep(0.1)
        activity.heartbeat()
    return 2 * value


@activity.defn
async def endless(value: int) -> int:
    """Ends by being canceled only."""
    while True:
        await asyncio.sleep(0.1)
        activity.heartbeat(value)


ACTIVITIES = [double, flaky, slow, endless]


# -- workflows ---------------------------------------------------------------------------------------------------------


@workflow.defn
class Crowd:
    """Takes its steps, each of another kind, then waits until it has all signals and updates."""

    @workflow.init
    def __init__(self, task: Task) -> None:
        self._task = task
        self._heard: list[int] = []
        self._steps = (
            self._ask_child,
            self._retry,
            self._take_time,
            self._at_once,
            self._heartbeat,
            self._cancel_child,
            self._cancel_activity,
        )

    @workflow.run
    async def run(self, task: Task) -> Outcome:
        while task.step < STEPS:
            if continues(task.number) and task.step == STEPS // 2 and not workflow.info().continued_run_id:
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(task)
            step = self._steps[(task.number + task.number // 6 + task.step) % len(self._steps)]
            task.results.append(await step(100 * task.number + task.step))
            task.step += 1
        await workflow.wait_condition(self._has_everything)
        await asyncio.sleep(0.2)  # a signal or an update too many would come now
        await self._leave_child(task.number)
        return Outcome(task.got, task.changes, task.results)

    def _has_everything(self) -> bool:
        complete = len(set(self._task.got)) >= SIGNALS and len(set(self._task.changes)) >= UPDATES
        return complete and workflow.all_handlers_finished()

    @workflow.signal
    def add(self, number: int) -> None:
        self._task.got.append(number)

    @workflow.signal
    def hear(self, value: int) -> None:
        self._heard.append(value)

    # One that comes in with the task that closes the run is accepted, and cut off; no warning is due.
    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def change(self, number: int) -> int:
        """Its result tells the place among the updates, and depends on an activity."""
        self._task.changes.append(number)
        place = len(self._task.changes)
        doubled = await _execute(double, number)
        return change_result(place, doubled // 2)

    @change.validator
    def check_change(self, number: int) -> None:
        if number < 0:
            raise ValueError("negative")

    # Steps: each gives twice the value.

    async def _retry(self, value: int) -> int:
        return await _execute(flaky, value)

    async def _take_time(self, value: int) -> int:
        await asyncio.sleep(0.3)
        return await workflow.execute_local_activity(double, value, start_to_close_timeout=5 * _SECOND)

    async def _at_once(self, value: int) -> int:
        one, other, _ = await asyncio.gather(_execute(double, value), _execute(flaky, 1), asyncio.sleep(0.1))
        return one + other - 2

    async def _heartbeat(self, value: int) -> int:
        return await _execute(slow, value)

    async def _ask_child(self, value: int) -> int:
        """A child gives the result and, beside it, the value by a signal: exactly one."""
        result = await workflow.execute_child_workflow(
            Doubles.run,
            args=[value, workflow.info().workflow_id],
            id=_child_id(value),
            task_timeout=_TASK,
            retry_policy=_TWICE,
        )
        return result + await self._hear(value) - 1

    async def _cancel_child(self, value: int) -> int:
        """A child that is canceled, by its handle or as any other workflow, says so by a signal before it ends."""
        child = await workflow.start_child_workflow(
            Patient.run, args=[value, workflow.info().workflow_id], id=_child_id(value), task_timeout=_TASK
        )
        if value % 2:
            child.cancel()
        else:
            await workflow.get_external_workflow_handle(child.id).cancel()
        try:
            await child
        except ChildWorkflowError as error:
            if isinstance(error.cause, CancelledError):
                return 2 * value + await self._hear(value) - 1
        raise ApplicationError("the child was not canceled")

    async def _hear(self, value: int) -> int:
        """How often the signal with that value comes."""
        await workflow.wait_condition(lambda: value in self._heard)
        await asyncio.sleep(0.1)  # one signal too many would come now
        return self._heard.count(value)

    async def _cancel_activity(self, value: int) -> int:
        """The activity hears of it by its heartbeat, or its worker is dead and it times out."""
        running = workflow.start_activity(
            endless,
            value,
            start_to_close_timeout=30 * _SECOND,
            heartbeat_timeout=2 * _SECOND,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            retry_policy=_SOON,
        )
        await asyncio.sleep(0.2)
        running.cancel()
        try:
            return await running
        except ActivityError:
            return 2 * value

    async def _leave_child(self, number: int) -> None:
        policy = left_child(number)
        if policy is not None:
            await workflow.start_child_workflow(
                Patient.run, args=[0, ""], id=_child_id(0), task_timeout=_TASK, parent_close_policy=policy
            )


@workflow.defn
class Doubles:
    """A child. Some fail at the first attempt, some continue as new."""

    @workflow.run
    async def run(self, value: int, asker: str) -> int:
        info = workflow.info()
        if value % 3 == 0 and info.attempt == 1:
            raise ApplicationError("the first attempt fails")
        if value % 3 == 1 and not info.continued_run_id:
            workflow.continue_as_new(args=[value, asker])
        await workflow.get_external_workflow_handle(asker).signal(Crowd.hear, value)
        return await _execute(double, value)


@workflow.defn
class Patient:
    """A child that waits until it is canceled."""

    @workflow.run
    async def run(self, value: int, asker: str) -> None:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            if asker:
                await workflow.get_external_workflow_handle(asker).signal(Crowd.hear, value)
            raise


@workflow.defn
class Moment:
    """Not of the crowd: something to try whether a worker is at work."""

    @workflow.run
    async def run(self) -> None:
        await asyncio.sleep(0.1)


WORKFLOWS = [Crowd, Doubles, Patient, Moment]


def _child_id(value: int) -> str:
    return f"{workflow.info().workflow_id}-{value}"


async def _execute(function: Callable[[int], Awaitable[int]], value: int) -> int:
    return await workflow.execute_activity(
        function,
        value,
        start_to_close_timeout=3 * _SECOND,
        heartbeat_timeout=2 * _SECOND if function is slow else None,
        retry_policy=_SOON,
    )
