"""The schedule on a clock that skips: weeks of reports in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from report import QUEUE, SCHEDULED_FOR, DailyReport, Reporting, Sales, every_working_day

from hotmesh_temporal.client import Client, ScheduleBackfill, ScheduleOverlapPolicy, WorkflowExecution
from hotmesh_temporal.pytest_plugin import WorkerFactory
from hotmesh_temporal.testing import WorkflowEnvironment


@pytest.fixture
def sales(tmp_path: Path) -> Sales:
    return Sales(tmp_path / "sales.sqlite3")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def runs(client: Client) -> list[WorkflowExecution]:
    return [each async for each in client.list_workflows("WorkflowType = 'DailyReport'")]


async def test_two_weeks(
    hotmesh_time_skipping: WorkflowEnvironment, hotmesh_worker: WorkerFactory, sales: Sales, threads: ThreadPoolExecutor
) -> None:
    env = hotmesh_time_skipping
    activities = [Reporting(sales).write]
    async with hotmesh_worker(DailyReport, activities=activities, activity_executor=threads, task_queue=QUEUE):
        await env.client.create_schedule("reports", every_working_day())
        await env.sleep(timedelta(days=14))
        times = [each.typed_search_attributes[SCHEDULED_FOR] for each in await runs(env.client)]
    assert len(times) == 10
    assert {each.hour for each in times} == {7}
    assert {each.isoweekday() for each in times} == {1, 2, 3, 4, 5}


async def test_a_day_in_the_past(
    hotmesh_time_skipping: WorkflowEnvironment, hotmesh_worker: WorkerFactory, sales: Sales, threads: ThreadPoolExecutor
) -> None:
    """On Monday, the report is about Friday."""
    env = hotmesh_time_skipping
    for euros in (20, 30):
        sales.sell(date(2026, 2, 27), euros)
    sales.sell(date(2026, 3, 1), 1000)
    activities = [Reporting(sales).write]
    async with hotmesh_worker(DailyReport, activities=activities, activity_executor=threads, task_queue=QUEUE):
        schedule = await env.client.create_schedule("reports", every_working_day())
        monday = datetime(2026, 3, 2, tzinfo=timezone.utc)
        await schedule.backfill(ScheduleBackfill(monday, monday + timedelta(days=1), ScheduleOverlapPolicy.ALLOW_ALL))
        while not (started := await runs(env.client)):  # noqa: ASYNC110  it is at the server
            await asyncio.sleep(0.01)
        handle = env.client.get_workflow_handle(started[0].id, result_type=str)
        assert await handle.result() == "2026-02-27: 2 sales, 50 euros"
