"""Timers, time limits, continue-as-new, children: a subscription whose months are seconds."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import TimeoutError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from .subscriptions import (
    Attempts,
    Boss,
    Endless,
    Family,
    Limits,
    Race,
    Strict,
    Subscription,
    Wake,
    charge,
    never_ends,
)

WORKFLOWS = [Subscription, Endless, Wake, Race, Limits, Attempts, Family, Strict, Boss]


async def execute(env: WorkflowEnvironment, run: Any, *args: Any, **options: Any) -> Any:
    queue = str(uuid.uuid4())
    async with Worker(
        env.client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=[charge, never_ends],
        graceful_shutdown_timeout=timedelta(0),
    ):
        return await env.client.execute_workflow(run, args=args, id=str(uuid.uuid4()), task_queue=queue, **options)


@pytest.mark.parametrize("months", [0, 1, 3, 6])
async def test_an_invoice_each_month(env: WorkflowEnvironment, months: int) -> None:
    assert await execute(env, Subscription.run, months) == [f"invoice {month}" for month in range(months)]


@pytest.mark.parametrize("runs", [1, 4])
async def test_a_chain_of_runs(env: WorkflowEnvironment, runs: int) -> None:
    assert await execute(env, Endless.run, runs) == "over"


async def test_a_timer_keeps_its_time(env: WorkflowEnvironment) -> None:
    assert await execute(env, Wake.run, 2.0) == pytest.approx(2, abs=0.9)


async def test_a_timer_is_moved(env: WorkflowEnvironment) -> None:
    options = {"start_signal": "sooner_by", "start_signal_args": [4.0]}
    # The signal is handled before `run` sets the time: it moves nothing.
    assert await execute(env, Wake.run, 1.0, **options) == pytest.approx(1, abs=0.9)


@pytest.mark.parametrize(("delays", "winner"), [([3.0, 1.0, 2.0], 1), ([0.5, 9.0], 0), ([60.0, 1.0], 1)])
async def test_the_fastest_wins(env: WorkflowEnvironment, delays: list[float], winner: int) -> None:
    assert await execute(env, Race.run, delays) == winner


async def test_an_activity_runs_into_its_limit(env: WorkflowEnvironment) -> None:
    assert await execute(env, Limits.run) == "TimeoutError"


async def test_a_workflow_runs_into_its_limit(env: WorkflowEnvironment) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await execute(env, Subscription.run, 50, execution_timeout=timedelta(seconds=2))
    assert isinstance(failed.value.cause, TimeoutError)


async def test_a_workflow_is_tried_again(env: WorkflowEnvironment) -> None:
    policy = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1)
    assert await execute(env, Attempts.run, 3, retry_policy=policy) == 3


async def test_a_family(env: WorkflowEnvironment) -> None:
    invoices = await execute(env, Family.run, [1, 2, 3])
    assert [len(each) for each in invoices] == [1, 2, 3]


async def test_a_failing_child(env: WorkflowEnvironment) -> None:
    assert await execute(env, Strict.run) == "the child: attempt 1"


async def test_two_at_the_same_time(env: WorkflowEnvironment) -> None:
    queue = str(uuid.uuid4())
    async with Worker(env.client, task_queue=queue, workflows=[Wake]):
        one = await env.client.start_workflow(Wake.run, 1.0, id=str(uuid.uuid4()), task_queue=queue)
        other = await env.client.start_workflow(Wake.run, 2.0, id=str(uuid.uuid4()), task_queue=queue)
        assert await one.result() == pytest.approx(1, abs=0.9)
        assert await other.result() == pytest.approx(2, abs=0.9)


async def test_a_child_is_told_to_hurry(env: WorkflowEnvironment) -> None:
    assert await execute(env, Boss.run) == pytest.approx(1, abs=0.9)
