"""What is begun in a transaction of the application's becomes true with its rows, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.client import Client, WorkflowExecutionStatus
from hotmesh_temporal.runtime import matching
from hotmesh_temporal.worker import Worker
from tests.transactions.shop import QUEUE, Order, Shop, Undo

LONG = 60
CITY = SearchAttributeKey.for_keyword("City")


@asynccontextmanager
async def worker(client: Client, **options: Any) -> AsyncGenerator[None, None]:
    """A worker for orders."""
    async with Worker(client, task_queue=QUEUE, workflows=[Order, Paid], activities=[pay], **options):
        yield


async def result(handle: WorkflowHandle[Any, Any]) -> Any:
    """What the workflow returns, soon."""
    return await asyncio.wait_for(handle.result(), LONG)


async def test_both_or_neither(shop: Shop, client: Client, connection: Any) -> None:
    for order, end in (("kept", None), ("lost", Undo)):
        async with shop.transaction(connection):
            await shop.insert(connection, order)
            tx = client.in_transaction(connection)
            handle = await tx.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)
            await handle.signal(Order.say, "thanks")
            with pytest.raises(RPCError, match="seen after its commit"):
                await handle.describe()
            if end is not None:
                raise end
    assert await shop.rows() == await shop.workflows(client) == {"kept"}
    async with worker(client):
        assert await result(client.get_workflow_handle("kept")) == ["thanks"]
    assert await shop.problems() == []


async def test_what_commits_is_heard_of(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody finds it by looking for what was left behind.
    monkeypatch.setattr(matching, "_SWEEP_FIRST", 10 * LONG)
    client, connection = await Client.connect(connection=shop.url), await shop.connect()
    async with worker(client):
        await client.execute_workflow(Order.run, 0, id="first", task_queue=QUEUE)
        async with shop.transaction(connection):
            tx = client.in_transaction(connection)
            handle = await tx.start_workflow(Order.run, 1, id="second", task_queue=QUEUE)
        waiting = asyncio.create_task(result(handle))
        await asyncio.sleep(0)
        async with shop.transaction(connection):
            await tx.get_workflow_handle("second").signal(Order.say, "go")
        assert await waiting == ["go"]
    await client.close()
    await shop.close(connection)


async def test_a_timer_of_a_transaction_is_on_time(shop: Shop, client: Client, connection: Any) -> None:
    async with worker(client):
        async with shop.transaction(connection):
            handle = await client.in_transaction(connection).start_workflow(
                Order.run, 1, id="order", task_queue=QUEUE, run_timeout=timedelta(seconds=1)
            )
        # The scan for timers of processes that are gone finds it after 3 seconds at the earliest.
        begun = asyncio.get_running_loop().time()
        while (await handle.describe()).status != WorkflowExecutionStatus.TIMED_OUT:
            await asyncio.sleep(0.05)
            assert asyncio.get_running_loop().time() < begun + LONG


async def test_signals_cancellations_and_terminations(shop: Shop, client: Client, connection: Any) -> None:
    for order in ("a", "b", "c"):
        await client.start_workflow(Order.run, 1, id=order, task_queue=QUEUE)

    async def change(word: str) -> None:
        tx = client.in_transaction(connection)
        await shop.insert(connection, word)
        await tx.start_workflow(Order.run, 1, id="a", task_queue=QUEUE, start_signal="say", start_signal_args=[word])
        await tx.get_workflow_handle("b").cancel()
        await tx.get_workflow_handle("c").terminate(word)

    async with shop.transaction(connection):
        await change("no")
        raise Undo
    for order in ("a", "b", "c"):
        description = await client.get_workflow_handle(order).describe()
        assert (description.status, description.history_length) == (WorkflowExecutionStatus.RUNNING, 2)
    async with shop.transaction(connection):
        await change("yes")
    async with worker(client):
        assert await result(client.get_workflow_handle("a")) == ["yes"]
    assert (await client.get_workflow_handle("c").describe()).status == WorkflowExecutionStatus.TERMINATED
    assert await shop.problems() == []


async def test_an_id_that_is_taken_does_not_spoil_the_transaction(shop: Shop, client: Client, connection: Any) -> None:
    first = await client.start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
    async with shop.transaction(connection):
        tx = client.in_transaction(connection)
        with pytest.raises(WorkflowAlreadyStartedError):
            await tx.start_workflow(Order.run, 1, id="order", task_queue=QUEUE)
        again = await tx.start_workflow(
            Order.run, 1, id="order", task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
        )
        await again.signal(Order.say, "joined")
        await shop.insert(connection, "order")
    assert again.result_run_id == first.result_run_id
    async with worker(client):
        assert await result(first) == ["joined"]
    assert await shop.rows() == {"order"}


async def test_many_in_one_transaction(shop: Shop, client: Client, connection: Any) -> None:
    async with worker(client):
        async with shop.transaction(connection):
            tx = client.in_transaction(connection)
            handles = [await tx.start_workflow(Order.run, 0, id=f"order-{n}", task_queue=QUEUE) for n in range(30)]
        assert [await result(each) for each in handles] == [[]] * 30


# -- settings of the client ------------------------------------------------------------------------------------


class _Reversed(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"reversed": b"1"}, data=each.SerializeToString()[::-1]) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(each.data[::-1]) if "reversed" in each.metadata else each for each in payloads]


class _Stamp(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _StampingStarts(next)


class _StampingStarts(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.headers = {**input.headers, "stamp": Payload(data=b"from the interceptor")}
        return await super().start_workflow(input)


async def test_the_settings_of_the_client_hold(shop: Shop, connection: Any) -> None:
    converter = DataConverter(payload_codec=_Reversed())
    client = await Client.connect(connection=shop.url, data_converter=converter, interceptors=[_Stamp()])
    request = AddSearchAttributesRequest(
        namespace="default", search_attributes={"City": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
    )
    await client.operator_service.add_search_attributes(request)
    try:
        async with shop.transaction(connection):
            handle = await client.in_transaction(connection).start_workflow(
                Order.run,
                0,
                id="order",
                task_queue=QUEUE,
                memo={"by": "Ada"},
                search_attributes=TypedSearchAttributes([SearchAttributePair(CITY, "Paris")]),
            )
        history = await handle.fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        assert started.header.fields["stamp"].data == b"from the interceptor"
        assert "reversed" in started.input.payloads[0].metadata
        assert await (await handle.describe()).memo() == {"by": "Ada"}
        assert [each.id async for each in client.list_workflows("City = 'Paris'")] == ["order"]
        async with worker(client):
            assert await result(handle) == []
    finally:
        await client.close()


async def test_a_request_that_is_wrong_changes_nothing(shop: Shop, client: Client, connection: Any) -> None:
    async with shop.transaction(connection):
        tx = client.in_transaction(connection)
        with pytest.raises(RPCError) as wrong:
            await tx.start_workflow(Order.run, 1, id="x" * 2000, task_queue=QUEUE)
        with pytest.raises(RPCError) as missing:
            await tx.get_workflow_handle("nobody").signal("say")
        await shop.insert(connection, "order")
    assert (wrong.value.status, missing.value.status) == (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND)
    assert await shop.rows() == {"order"}


# -- activities ------------------------------------------------------------------------------------------------


@workflow.defn(sandboxed=False)
class Paid:
    """Has an order paid."""

    @workflow.run
    async def run(self, order: str) -> str:
        """The receipt."""
        return await workflow.execute_activity(pay, order, start_to_close_timeout=timedelta(seconds=LONG))


class _Till:
    """What the activity has at hand."""

    shop: Shop
    client: Client
    connection: Any
    failures = 0


@activity.defn
async def pay(order: str) -> str:
    """Write the payment down, and end with it. The first time, something goes wrong after the write."""
    shop, connection = _Till.shop, _Till.connection
    async with shop.transaction(connection):
        await shop.insert(connection, f"payment of {order}")
        token = activity.info().task_token
        await _Till.client.in_transaction(connection).get_async_activity_handle(task_token=token).complete("paid")
        if activity.info().attempt == 1:
            raise RuntimeError("the machine is on fire")
    activity.raise_complete_async()


async def test_an_activity_ends_with_its_rows(shop: Shop, client: Client, connection: Any) -> None:
    _Till.shop, _Till.client, _Till.connection = shop, client, connection
    async with worker(client):
        handle = await client.start_workflow(Paid.run, "book", id="order", task_queue=QUEUE)
        assert await result(handle) == "paid"
    assert await shop.rows() == {"payment of book"}


async def test_a_late_attempt_cannot_write(shop: Shop, client: Client, connection: Any) -> None:
    tokens: asyncio.Queue[bytes] = asyncio.Queue()

    @activity.defn(name="pay")
    async def slow(order: str) -> str:
        await tokens.put(activity.info().task_token)
        activity.raise_complete_async()

    async with Worker(client, task_queue=QUEUE, workflows=[Paid], activities=[slow]):
        handle = await client.start_workflow(Paid.run, "book", id="order", task_queue=QUEUE)
        token = await tokens.get()
        for word in ("first", "second"):
            with contextlib.suppress(RPCError):
                async with shop.transaction(connection):
                    await shop.insert(connection, word)
                    ended = client.in_transaction(connection).get_async_activity_handle(task_token=token)
                    await ended.complete(word)
        assert await result(handle) == "first"
    assert await shop.rows() == {"first"}
