"""Environments for tests of workflows: in memory, in real time or with skipped time."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from temporalio import activity, workflow
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    WorkflowFailureError,
)
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.testing import ActivityEnvironment, WorkflowEnvironment

MONTH = timedelta(days=30)
SKIPPED_SECONDS = 10.0
"""What a test with skipped time may take, at most; none of them waits that long in fact."""


@activity.defn
async def fails_thrice() -> str:
    attempt = activity.info().attempt
    if attempt <= 3:
        raise ApplicationError("not yet")
    return f"attempt {attempt}"


@activity.defn
async def takes_a_moment() -> float:
    await asyncio.sleep(0.3)
    return time.time()


@activity.defn
async def never_beats() -> None:
    await asyncio.sleep(3)


@workflow.defn
class Sleeper:
    def __init__(self) -> None:
        self._woken = False

    @workflow.run
    async def run(self, seconds: float) -> float:
        begin = workflow.now()
        await workflow.sleep(seconds)
        return (workflow.now() - begin).total_seconds()


@workflow.defn
class Retrier:
    @workflow.run
    async def run(self) -> str:
        policy = RetryPolicy(initial_interval=timedelta(hours=5), backoff_coefficient=10)
        return await workflow.execute_activity(
            fails_thrice, start_to_close_timeout=timedelta(minutes=1), retry_policy=policy
        )


@workflow.defn
class Busy:
    """A timer of an hour beside an activity: time is not skipped while that runs."""

    @workflow.run
    async def run(self) -> float:
        timer = asyncio.create_task(asyncio.sleep(3600))
        await workflow.execute_activity(takes_a_moment, start_to_close_timeout=timedelta(minutes=1))
        done = workflow.now()
        timer.cancel()
        return done.timestamp()


@workflow.defn
class Waiter:
    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: self._approved, timeout=MONTH)
        except asyncio.TimeoutError:
            return "nobody came"
        return "approved"

    @workflow.update
    async def approve(self) -> str:
        await workflow.sleep(24 * 3600)
        self._approved = True
        return "a day later"


@workflow.defn
class Parent:
    @workflow.run
    async def run(self) -> list[float]:
        children = [
            workflow.execute_child_workflow(Sleeper.run, days * 24 * 3600.0, id=f"{workflow.info().workflow_id}-{days}")
            for days in (3, 1, 2)
        ]
        return list(await asyncio.gather(*children))


@workflow.defn
class Counter:
    @workflow.run
    async def run(self, left: int) -> str:
        await workflow.sleep(3600)
        if left:
            workflow.continue_as_new(left - 1)
        return "done"


@workflow.defn
class Asserts:
    @workflow.run
    async def run(self) -> None:
        assert 1 + 1 == 3, "wrong sum"


WORKFLOWS = [Sleeper, Retrier, Busy, Waiter, Parent, Counter, Asserts]
ACTIVITIES = [fails_thrice, takes_a_moment, never_beats]


@pytest_asyncio.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping() as environment:
        yield environment


def worker(environment: WorkflowEnvironment) -> Worker:
    return Worker(
        environment.client,
        task_queue="tests",
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def some_id() -> str:
    return f"run-{uuid.uuid4()}"


async def test_a_month_passes_at_once(env: WorkflowEnvironment) -> None:
    begin, before = time.monotonic(), await env.get_current_time()
    async with worker(env):
        slept = await env.client.execute_workflow(Sleeper.run, MONTH.total_seconds(), id=some_id(), task_queue="tests")
    assert slept >= MONTH.total_seconds()
    assert await env.get_current_time() - before >= MONTH
    assert time.monotonic() - begin < SKIPPED_SECONDS


async def test_retries_children_and_chains_skip(env: WorkflowEnvironment) -> None:
    begin = time.monotonic()
    async with worker(env):
        assert await env.client.execute_workflow(Retrier.run, id=some_id(), task_queue="tests") == "attempt 4"
        days = await env.client.execute_workflow(Parent.run, id=some_id(), task_queue="tests")
        assert [round(each / 86400) for each in days] == [3, 1, 2]
        assert await env.client.execute_workflow(Counter.run, 5, id=some_id(), task_queue="tests") == "done"
    assert time.monotonic() - begin < SKIPPED_SECONDS


async def test_time_is_not_skipped_over_an_activity(env: WorkflowEnvironment) -> None:
    async with worker(env):
        before = await env.get_current_time()
        done = await env.client.execute_workflow(Busy.run, id=some_id(), task_queue="tests")
    assert done - before.timestamp() < 60


async def test_time_stands_still_without_a_wish(env: WorkflowEnvironment) -> None:
    async with worker(env):
        handle = await env.client.start_workflow(Sleeper.run, 3600.0, id=some_id(), task_queue="tests")
        before = await env.get_current_time()
        await asyncio.sleep(0.5)
        assert await env.get_current_time() - before < timedelta(seconds=5)
        await env.sleep(timedelta(minutes=59))
        assert (await handle.describe()).status is not None
        assert (await handle.describe()).close_time is None
        await env.sleep(120)
        assert (await handle.describe()).close_time is not None
        with env.auto_time_skipping_disabled():
            another = await env.client.start_workflow(Sleeper.run, 3600.0, id=some_id(), task_queue="tests")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(another.result(), 1)
        assert await another.result() >= 3600


async def test_updates_and_timeouts_skip(env: WorkflowEnvironment) -> None:
    async with worker(env):
        forgotten = await env.client.execute_workflow(Waiter.run, id=some_id(), task_queue="tests")
        assert forgotten == "nobody came"
        handle = await env.client.start_workflow(Waiter.run, id=some_id(), task_queue="tests")
        # A generic that the checker cannot follow.
        update = asyncio.create_task(cast("Any", handle).execute_update(Waiter.approve))
        assert await handle.result() == "approved"
        assert await update == "a day later"
        with pytest.raises(WorkflowFailureError) as timed_out:
            await env.client.execute_workflow(
                Sleeper.run, 7200.0, id=some_id(), task_queue="tests", execution_timeout=timedelta(hours=1)
            )
        assert isinstance(timed_out.value.cause, TimeoutError)


async def test_cron_and_schedules_skip(env: WorkflowEnvironment) -> None:
    schedule_id = some_id()
    action = ScheduleActionStartWorkflow(Sleeper.run, 60.0, id=schedule_id, task_queue="tests")
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=6))])
    async with worker(env):
        schedule = await env.client.create_schedule(schedule_id, Schedule(action=action, spec=spec))
        await env.sleep(timedelta(days=2))
        described = await schedule.describe()
        assert described.info.num_actions == 8
        await schedule.delete()
        await env.client.start_workflow(Sleeper.run, 1.0, id="cron", task_queue="tests", cron_schedule="0 * * * *")
        await env.sleep(timedelta(hours=5))
        runs = [each async for each in env.client.list_workflows("WorkflowId = 'cron'")]
        assert 5 <= len(runs) <= 7


async def test_two_environments_do_not_meet(env: WorkflowEnvironment) -> None:
    async with await WorkflowEnvironment.start_time_skipping() as other, worker(other):
        await env.sleep(timedelta(days=400))
        assert await env.get_current_time() - await other.get_current_time() > timedelta(days=399)
        workflow_id = some_id()
        await other.client.execute_workflow(Sleeper.run, 1.0, id=workflow_id, task_queue="tests")
        with pytest.raises(RPCError, match="not found"):
            await env.client.get_workflow_handle(workflow_id).describe()
        second = await other.connect_client()
        assert (await second.get_workflow_handle(workflow_id).describe()).close_time is not None


async def test_failing_assertions_fail_workflows(env: WorkflowEnvironment) -> None:
    async with worker(env):
        with pytest.raises(WorkflowFailureError) as failed:
            await env.client.execute_workflow(Asserts.run, id=some_id(), task_queue="tests")
    assert str(failed.value.cause).startswith("AssertionError: wrong sum")


async def test_who_waits_at_the_same_time(env: WorkflowEnvironment) -> None:
    """Each unlocks the clock for itself, and locks it again."""
    before = await env.get_current_time()
    async with worker(env):
        handles = [
            await env.client.start_workflow(Sleeper.run, 86400.0 * days, id=some_id(), task_queue="tests")
            for days in (5, 1, 9)
        ]
        slept = await asyncio.gather(*(handle.result() for handle in handles))
    assert [round(each / 86400) for each in slept] == [5, 1, 9]
    await asyncio.gather(env.sleep(timedelta(days=1)), env.sleep(timedelta(days=3)))
    assert timedelta(days=12) <= await env.get_current_time() - before < timedelta(days=12, minutes=5)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(env.client.test_service.sleep(SleepRequest(duration=Duration(seconds=3600))), 0.5)


async def test_a_local_environment_is_there_at_once() -> None:
    number = SearchAttributeKey.for_int("Number")
    begin = time.monotonic()
    async with await WorkflowEnvironment.start_local(namespace="mine", search_attributes=[number]) as environment:
        started = time.monotonic() - begin
        assert not environment.supports_time_skipping
        async with worker(environment):
            given = TypedSearchAttributes([SearchAttributePair(number, 7)])
            await environment.client.execute_workflow(
                Sleeper.run, 0.01, id=some_id(), task_queue="tests", search_attributes=given
            )
        assert (await environment.client.count_workflows("Number = 7")).count == 1
        with pytest.raises(RPCError, match="keeps real time"):
            await environment.client.test_service.get_current_time(Empty())
    assert started < 1.5


async def test_what_cannot_be_honoured_is_said() -> None:
    wrong: dict[str, Any] = {"ui": True, "port": 7233, "dev_server_extra_args": ["--x"]}
    for option, value in wrong.items():
        with pytest.raises(ValueError, match=option):
            await WorkflowEnvironment.start_local(**{option: value})
    settings = ["--dynamic-config-value", "frontend.enableExecuteMultiOperation=true"]
    with pytest.raises(ValueError, match=r"--dynamic-config-value limit\.blobSize\.error=1000 cannot"):
        await WorkflowEnvironment.start_local(
            dev_server_extra_args=[*settings, "--dynamic-config-value", "limit.blobSize.error=1000"]
        )
    async with await WorkflowEnvironment.start_local(dev_server_extra_args=settings):
        pass  # it asks for what is so here
    with pytest.raises(NotImplementedError, match="start_time_skipping"):
        await WorkflowEnvironment.start_time_skipping_v2()


async def test_from_client_and_activity_environment() -> None:
    async with await WorkflowEnvironment.start_local(dev_server_log_level="debug") as environment:
        again = WorkflowEnvironment.from_client(environment.client)
        assert isinstance(again, WorkflowEnvironment)
        await again.sleep(0)
    assert await ActivityEnvironment().run(takes_a_moment) > 0
    assert issubclass(ActivityError, Exception)
