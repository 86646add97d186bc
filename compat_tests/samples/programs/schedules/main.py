"""The whole life of a schedule."""

import asyncio
from datetime import datetime, timedelta, timezone

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

QUEUE = "schedules"
NOON = datetime(2021, 5, 1, 12, tzinfo=timezone.utc)


@workflow.defn
class ReportWorkflow:
    """What is done each day."""

    @workflow.run
    async def run(self, title: str) -> str:
        return f"report: {title}"


async def actions(handle: ScheduleHandle, count: int) -> None:
    """Wait until it has started so many workflows and all have ended."""
    while True:
        info = (await handle.describe()).info
        if info.num_actions == count and not info.running_actions:
            return
        await asyncio.sleep(0.1)


def pause_with_note(input: ScheduleUpdateInput) -> ScheduleUpdate:
    """Other days, another title."""
    schedule = input.description.schedule
    schedule.spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=7))])
    if isinstance(schedule.action, ScheduleActionStartWorkflow):
        schedule.action.args = ["weekly"]
    return ScheduleUpdate(schedule)


async def main() -> None:
    """From its creation to its end."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(ReportWorkflow.run, "daily", id="report", task_queue=QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1), offset=timedelta(hours=12))]),
        state=ScheduleState(note="at noon", paused=True),
    )
    handle = await client.create_schedule("reports", schedule)
    described = (await handle.describe()).schedule
    print("created:", described.state.note, described.spec.intervals)

    async with Worker(client, task_queue=QUEUE, workflows=[ReportWorkflow]):
        await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        await actions(handle, 1)
        await handle.backfill(
            ScheduleBackfill(NOON, NOON + timedelta(days=2), overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        )
        await actions(handle, 4)
        await handle.update(pause_with_note)
        await handle.trigger()
        await actions(handle, 5)

    await handle.unpause(note="every week")
    state = (await handle.describe()).schedule.state
    print("state:", state.note, state.paused)
    await handle.pause(note="holidays")
    state = (await handle.describe()).schedule.state
    print("state:", state.note, state.paused)
    while [each.id async for each in await client.list_schedules()] != ["reports"]:
        await asyncio.sleep(0.1)
    await handle.delete()
    try:
        await handle.describe()
    except RPCError as error:
        print("deleted:", error.status.name)


if __name__ == "__main__":
    asyncio.run(main())
