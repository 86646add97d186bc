"""Signals, queries, updates, cancellation: an order in a shop, with time limits of seconds."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import CancelledError, TerminatedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from .orders import Order, Shipment


@asynccontextmanager
async def started(env: WorkflowEnvironment, run: Any = Order.run, **options: Any) -> AsyncGenerator[Any]:
    queue = str(uuid.uuid4())
    async with Worker(env.client, task_queue=queue, workflows=[Order, Shipment]):
        yield await env.client.start_workflow(run, id=str(uuid.uuid4()), task_queue=queue, **options)


async def test_nobody_pays(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        assert await order.result() == "given up"
        assert await order.query(Order.reminders) == 3


async def test_paid_at_once(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        await order.signal(Order.add, "a book")
        assert await order.execute_update(Order.pay, 0.0) == "thank you"
        assert await order.result() == "paid: a book"


async def test_paid_late(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        await order.signal(Order.add, "a pen")
        await env.sleep(1.5)
        assert await order.query(Order.reminders) == 1
        await order.execute_update(Order.pay, 0.0)
        assert await order.result() == "paid: a pen"


@pytest.mark.parametrize("count", [1, 5, 20])
async def test_signals_come_in_order(env: WorkflowEnvironment, count: int) -> None:
    async with started(env) as order:
        for number in range(count):
            await order.signal(Order.add, f"item {number}")
        assert (await order.query(Order.cart)).items == [f"item {number}" for number in range(count)]
        await order.terminate()


async def test_an_item_is_removed(env: WorkflowEnvironment) -> None:
    async with started(env, start_signal="add", start_signal_args=["a book"]) as order:
        await order.signal(Order.add, "a pen")
        assert await order.execute_update(Order.remove, "a book") == 1
        assert (await order.query(Order.cart)).items == ["a pen"]
        await order.terminate()


async def test_what_is_not_there_is_not_removed(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await order.execute_update(Order.remove, "an elephant")
        assert "there is no an elephant" in str(refused.value.cause)
        assert await order.query(Order.reminders) == 0
        await order.terminate()


async def test_closed_after_a_while(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        await order.signal(Order.close_in, 1.5)
        assert await order.result() == "closed: "


async def test_a_failing_signal_fails_the_order(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        await order.signal(Order.break_down)
        with pytest.raises(WorkflowFailureError) as failed:
            await order.result()
        assert str(failed.value.cause) == "broken"


async def test_a_failing_query_fails_alone(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        with pytest.raises(WorkflowQueryFailedError, match="nobody knows"):
            await order.query(Order.impossible)
        assert await order.query(Order.reminders) == 0
        await order.terminate()


async def test_a_query_after_the_end(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        await order.execute_update(Order.pay, 0.0)
        await order.result()
        assert (await order.query(Order.cart)).paid


async def test_states(env: WorkflowEnvironment) -> None:
    async with started(env) as order:
        assert (await order.describe()).status == WorkflowExecutionStatus.RUNNING
        await order.execute_update(Order.pay, 0.0)
        await order.result()
        assert (await order.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_cancelled_with_a_clean_up(env: WorkflowEnvironment) -> None:
    async with started(env, Shipment.run) as shipment:
        await env.sleep(0.5)
        await shipment.cancel()
        with pytest.raises(WorkflowFailureError) as cancelled:
            await shipment.result()
        assert isinstance(cancelled.value.cause, CancelledError)
        assert (await shipment.describe()).status == WorkflowExecutionStatus.CANCELED


async def test_terminated(env: WorkflowEnvironment) -> None:
    async with started(env, Shipment.run) as shipment:
        await shipment.terminate(reason="out of stock")
        with pytest.raises(WorkflowFailureError) as terminated:
            await shipment.result()
        assert isinstance(terminated.value.cause, TerminatedError)
        assert "out of stock" in str(terminated.value.cause)
