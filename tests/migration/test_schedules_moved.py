"""Schedules move: what comes due around that moment is started once, here or there; pauses and notes stay."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    WorkflowExecution,
)
from temporalio.common import SearchAttributeKey

from hotmesh_temporal.migration.migrate import Plan
from tests.migration import kinds
from tests.migration.support import QUEUE, migrate, problems_of, worker_on
from tests.support.temporal_server import TemporalServer

EVERY = timedelta(seconds=1)
PATIENCE = 60.0
_DUE = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def schedule(action_id: str, *, paused: bool = False, long: bool = False) -> Schedule:
    """Every second a workflow that does nothing, or one that waits for a number; then the next ones wait for it."""
    action = ScheduleActionStartWorkflow(kinds.Tick.run, id=action_id, task_queue=QUEUE)
    if long:
        action = ScheduleActionStartWorkflow(kinds.Inbox.run, args=[1], id=action_id, task_queue=QUEUE)
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.BUFFER_ONE if long else ScheduleOverlapPolicy.ALLOW_ALL,
        ),
        state=ScheduleState(paused=paused, note="as it was"),
    )


async def started_by(client: Client, schedule_id: str) -> list[WorkflowExecution]:
    """The workflows that the schedule has started there."""
    return [each async for each in client.list_workflows(f"TemporalScheduledById = '{schedule_id}'")]


def due_times(runs: list[WorkflowExecution]) -> list[datetime]:
    """When they were due, each in order."""
    times = (each.typed_search_attributes.get(_DUE) for each in runs)
    return sorted(each for each in times if each is not None)


async def until_started(client: Client, schedule_id: str, count: int) -> list[WorkflowExecution]:
    """Wait until so many were started there."""
    deadline = time.monotonic() + PATIENCE
    while len(found := await started_by(client, schedule_id)) < count:
        assert time.monotonic() < deadline, f"{schedule_id}: {len(found)} of {count} in {PATIENCE} s"
        await asyncio.sleep(0.1)
    return found


async def test_each_due_time_is_started_once(
    temporal_server: TemporalServer, target_url: str, target_client: Client
) -> None:
    source = await Client.connect(temporal_server.address)
    async with worker_on(source), worker_on(target_client):
        await source.create_schedule("ticks", schedule("tick"))
        await source.create_schedule("long", schedule("long", long=True))
        await source.create_schedule("paused", schedule("never", paused=True))
        await until_started(source, "ticks", 2)
        await until_started(source, "long", 1)
        report = await migrate(temporal_server, source, target_url, Plan(namespaces=["default"]))
        assert not report.problems
        assert report.schedules == {"default": 3}
        # The run that was moved still holds the next one back, until it ends here.
        (running,) = await started_by(target_client, "long")
        await target_client.get_workflow_handle(running.id).signal("number", 1)
        await until_started(target_client, "long", 2)
        there = await started_by(source, "ticks")
        here = await until_started(target_client, "ticks", 3)
        moved = {each.run_id for each in here} & {each.run_id for each in there}
        times = due_times([*there, *(each for each in here if each.run_id not in moved)])
        assert {later - earlier for earlier, later in pairwise(times)} == {EVERY}
        for schedule_id in ("ticks", "long", "paused"):
            await check_schedule(source, target_client, schedule_id)
    assert not await problems_of(target_url)


async def check_schedule(source: Client, target: Client, schedule_id: str) -> None:
    """Paused on the source with a note that says where it is, and on the target as it was."""
    there = (await source.get_schedule_handle(schedule_id).describe()).schedule.state
    assert there.paused
    assert there.note is not None
    assert there.note.startswith("moved to sqlite:")
    here = (await target.get_schedule_handle(schedule_id).describe()).schedule.state
    assert (here.paused, here.note) == (schedule_id == "paused", "as it was")
    await target.get_schedule_handle(schedule_id).delete()
