"""Make the schedule, and let it write the reports of a week that is over.

python examples/daily_report/main.py
HOTMESH_CONNECTION=postgresql://localhost/mydatabase python examples/daily_report/main.py
"""

import asyncio
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from report import QUEUE, DailyReport, Reporting, Sales, every_working_day

from hotmesh_temporal.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)
from hotmesh_temporal.worker import Worker

WEEK = datetime(2026, 3, 2, tzinfo=timezone.utc)
"""A Monday."""


async def reports(client: Client, schedule: ScheduleHandle, count: int) -> list[str]:
    """What the runs of the schedule have written, as soon as there are so many."""
    actions = (await schedule.describe()).info.recent_actions
    while len(actions) < count:
        await asyncio.sleep(0.1)
        actions = (await schedule.describe()).info.recent_actions
    ids = [each.action.workflow_id for each in actions if isinstance(each.action, ScheduleActionExecutionStartWorkflow)]
    return [await client.get_workflow_handle(id, result_type=str).result() for id in ids]


async def main(folder: Path) -> None:
    sales = Sales(folder / "sales.sqlite3")
    for number in range(20):
        sales.sell(date(2026, 2, 26) + timedelta(days=number % 8), 10 + number)
    client = await Client.connect()
    with ThreadPoolExecutor(4) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[DailyReport],
            activities=[Reporting(sales).write],
            activity_executor=threads,
        ):
            schedule = await client.create_schedule(f"daily-report-{uuid.uuid4()}", every_working_day())
            next_times = (await schedule.describe()).info.next_action_times[:5]
            print(
                "the next reports are due at", *sorted({f"{each:%H:%M}" for each in next_times}), "UTC, on working days"
            )
            await schedule.backfill(ScheduleBackfill(WEEK, WEEK + timedelta(days=7), ScheduleOverlapPolicy.ALLOW_ALL))
            print("the week of", f"{WEEK:%d %B %Y}:")
            print(*sorted(await reports(client, schedule, 5)), sep="\n")
            await schedule.delete()
    await client.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
