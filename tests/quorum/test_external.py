"""Activities that are ended from elsewhere by an id of the outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import temporalio.client
from temporalio.client import WorkflowFailureError

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.common import RetryPolicy
from hotmesh_temporal.exceptions import ActivityError, ApplicationError
from hotmesh_temporal.external import AlreadyExpected, ExternalIds, NobodyExpects
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.support.temporal_server import TemporalServer

_PATIENCE = 20.0


@workflow.defn
class Order:
    @workflow.run
    async def run(self, payment: str) -> str:
        return await workflow.execute_activity(
            "wait_for_payment",
            payment,
            result_type=str,
            schedule_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10)),
        )


@asynccontextmanager
async def _shop(database: str) -> AsyncGenerator[tuple[Client, ExternalIds], None]:
    """A worker whose activities wait for payments, and whoever reports them: a client of its own."""
    client = await Client.connect(connection=database)
    async with await ExternalIds.connect(client) as ids:

        @activity.defn
        async def wait_for_payment(payment: str) -> str:
            try:
                await ids.expect(payment)
            except AlreadyExpected as error:
                raise ApplicationError(str(error), non_retryable=True) from error
            activity.raise_complete_async()

        runner = UnsandboxedWorkflowRunner()
        async with Worker(
            client, task_queue="q", workflows=[Order], activities=[wait_for_payment], workflow_runner=runner
        ):
            yield client, ids
    await client.close()


async def _reported(report: Callable[[], Awaitable[None]]) -> None:
    """As who reports it does it: again until somebody waits."""
    for _ in range(200):
        try:
            return await report()
        except NobodyExpects:
            await asyncio.sleep(_PATIENCE / 200)
    raise AssertionError("nobody came to wait")


async def test_a_report_ends_the_activity_that_waits_for_its_id(database: str) -> None:
    async with _shop(database) as (client, ids):
        with pytest.raises(NobodyExpects, match="no activity waits for 'payment 1'"):
            await ids.complete("payment 1", "early")
        handles = [
            await client.start_workflow(Order.run, f"payment {number}", id=str(number), task_queue="q")
            for number in range(3)
        ]
        for number in (2, 0, 1):
            await _reported(lambda number=number: ids.complete(f"payment {number}", f"paid {number}"))
        assert [await handle.result() for handle in handles] == ["paid 0", "paid 1", "paid 2"]
        with pytest.raises(NobodyExpects):
            await ids.complete("payment 1", "twice")


async def test_of_two_reports_at_once_one_counts(database: str) -> None:
    async with _shop(database) as (client, ids):
        handle = await client.start_workflow(Order.run, "p", id="w", task_queue="q")
        await _reported(lambda: _found(ids, "p"))
        reports = await asyncio.gather(ids.complete("p", "one"), ids.complete("p", "two"), return_exceptions=True)
        assert sorted(type(report).__name__ for report in reports) == ["NobodyExpects", "NoneType"]
        assert await handle.result() == ("one" if reports[0] is None else "two")


async def _found(ids: ExternalIds, external_id: str) -> None:
    if await ids._find(external_id) is None:  # pyright: ignore[reportPrivateUsage]  # looking must not end it
        raise NobodyExpects(external_id)


async def test_a_failed_attempt_waits_again_and_the_last_one_fails_the_activity(database: str) -> None:
    async with _shop(database) as (client, ids):
        handle = await client.start_workflow(Order.run, "p", id="w", task_queue="q")
        for reason in ("first", "second"):
            await _reported(lambda reason=reason: ids.fail("p", ApplicationError(reason)))
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, ActivityError)
        assert str(failed.value.cause.cause) == "second"


async def test_an_id_that_another_workflow_waits_for_is_refused(database: str) -> None:
    async with _shop(database) as (client, ids):
        first = await client.start_workflow(Order.run, "p", id="first", task_queue="q")
        await _reported(lambda: _found(ids, "p"))
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(Order.run, "p", id="second", task_queue="q")
        assert isinstance(failed.value.cause, ActivityError)
        assert "workflow 'first' waits for 'p' already" in str(failed.value.cause.cause)
        await ids.complete("p", "paid")
        assert await first.result() == "paid"


async def test_an_activity_that_has_ended_is_told_apart(tmp_path: Path) -> None:
    async with _shop(f"sqlite:///{tmp_path / 'one.sqlite3'}") as (client, ids):
        handle = await client.start_workflow(Order.run, "p", id="w", task_queue="q")
        await _reported(lambda: _found(ids, "p"))
        await handle.terminate()
        with pytest.raises(NobodyExpects, match="has ended"):
            await ids.complete("p", "late")


async def test_a_client_of_a_temporal_server_is_refused() -> None:
    server = TemporalServer()
    await server.start()
    try:
        client = await temporalio.client.Client.connect(server.address)
        with pytest.raises(ValueError, match="connect the client with HotMeshPlugin"):
            await ExternalIds.connect(client)
    finally:
        server.stop()
