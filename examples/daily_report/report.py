"""A report of the day before, on every working day at seven."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from hotmesh_temporal.common import SearchAttributeKey

QUEUE = "reports"
MONDAY, FRIDAY = 1, 5
SCHEDULED_FOR = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


class Sales:
    """What was sold, in a SQLite file; stands for the database of your business."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE IF NOT EXISTS sales (day TEXT, euros INTEGER)")

    def sell(self, day: date, euros: int) -> None:
        with sqlite3.connect(self._path) as database:
            database.execute("INSERT INTO sales VALUES (?, ?)", (day.isoformat(), euros))

    def of(self, day: date) -> tuple[int, int]:
        """How many there were, and how many euros."""
        with sqlite3.connect(self._path) as database:
            query = "SELECT count(*), coalesce(sum(euros), 0) FROM sales WHERE day = ?"
            count, euros = database.execute(query, (day.isoformat(),)).fetchone()
        return int(count), int(euros)


class Reporting:
    """The activity."""

    def __init__(self, sales: Sales) -> None:
        self._sales = sales

    @activity.defn
    def write(self, day: str) -> str:
        count, euros = self._sales.of(date.fromisoformat(day))
        return f"{day}: {count} sales, {euros} euros"


@workflow.defn
class DailyReport:
    @workflow.run
    async def run(self) -> str:
        # The time that the schedule names, not that of now: a report that was late is still about the right day.
        at = workflow.info().typed_search_attributes.get(SCHEDULED_FOR) or workflow.now()
        # On Mondays that of Friday.
        day = at.date() - timedelta(days=3 if at.isoweekday() == MONDAY else 1)
        return await workflow.execute_activity_method(
            Reporting.write, day.isoformat(), start_to_close_timeout=timedelta(minutes=5)
        )


def every_working_day() -> Schedule:
    at_seven = ScheduleCalendarSpec(hour=[ScheduleRange(7)], day_of_week=[ScheduleRange(MONDAY, FRIDAY)])
    return Schedule(
        action=ScheduleActionStartWorkflow(DailyReport.run, id="daily-report", task_queue=QUEUE),
        spec=ScheduleSpec(calendars=[at_seven]),
        policy=SchedulePolicy(
            # A report that takes longer than a day does not keep back the next one.
            overlap=ScheduleOverlapPolicy.ALLOW_ALL,
            # If nobody was there at seven, it is made up for within the day.
            catchup_window=timedelta(days=1),
        ),
    )
