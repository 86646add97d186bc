"""When schedules are due: what the real server answered, and what is true of every spec."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import ScheduleSpec

from hotmesh_temporal.engine.schedules import CompiledSpec, canonical, compile_spec
from hotmesh_temporal.engine.schedules.spec_fingerprint import fingerprint32
from hotmesh_temporal.errors import RpcError

SECOND = 1_000_000_000


def nanoseconds(text: str) -> int:
    """The time of an ISO text, UTC if it does not say."""
    found = datetime.fromisoformat(text)
    return int(found.replace(tzinfo=found.tzinfo or timezone.utc).timestamp()) * SECOND


def times(spec: CompiledSpec, after: str, count: int) -> list[str]:
    """The next times, as ISO texts without zone."""
    found: list[str] = []
    due = spec.next_time(nanoseconds(after), "seed")
    while due and len(found) < count:
        found.append(datetime.fromtimestamp(due.nominal / SECOND, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"))
        due = spec.next_time(due.nominal, "seed")
    return found


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("thirteen byte", 3734656253),
        ("twenty-four bytes of it", 2653887844),
        ("twenty-five bytes of a text", 85029226),
        ("a text that is as long as what is hashed for one schedule of a namespace: 60 bytes and more", 512691494),
    ],
)
def test_fingerprints_are_those_of_farmhash(text: str, hashed: int) -> None:
    assert fingerprint32(text.encode()) == hashed


def test_repeated_hours_in_the_east_of_greenwich_are_those_of_the_server() -> None:
    spec = compile_spec(ScheduleSpec(cron_string=["CRON_TZ=Europe/Berlin */15 1-3 27 10 * 2024"]))
    assert times(spec, "2024-10-26T20:00:00", 9) == [
        "2024-10-26T23:00:00",
        "2024-10-26T23:15:00",
        "2024-10-26T23:30:00",
        "2024-10-26T23:45:00",
        "2024-10-27T00:00:00",
        "2024-10-27T01:15:00",
        "2024-10-27T02:30:00",
        "2024-10-27T02:45:00",
    ]


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 * * * 2001"])
def test_a_spec_that_never_matches_ends(cron: str) -> None:
    assert compile_spec(ScheduleSpec(cron_string=[cron])).next_time(nanoseconds("2026-01-01"), "") is None


def test_nothing_is_due_outside_the_time_of_the_schedule() -> None:
    start, end = Timestamp(seconds=1_800_000_000), Timestamp(seconds=1_800_000_120)
    spec = compile_spec(ScheduleSpec(cron_string=["* * * * *"], start_time=start, end_time=end))
    assert times(spec, "2026-01-01", 9) == ["2027-01-15T08:00:00", "2027-01-15T08:01:00", "2027-01-15T08:02:00"]


def test_the_spec_is_shown_as_calendars_and_intervals() -> None:
    shown = canonical(ScheduleSpec(cron_string=["@every 1h/5m"]))
    assert (shown.interval[0].interval.seconds, shown.interval[0].phase.seconds) == (3600, 300)
    shown = canonical(ScheduleSpec(cron_string=["TZ=Asia/Tokyo 5/20 4 * * 7 # tea"]))
    calendar = shown.structured_calendar[0]
    assert (shown.timezone_name, calendar.comment, list(calendar.year)) == ("Asia/Tokyo", "tea", [])
    assert [(each.start, each.end, each.step) for each in calendar.minute] == [(5, 59, 20)]
    assert [(each.start, each.end, each.step) for each in calendar.day_of_week] == [(0, 0, 1)]


def test_an_invalid_spec_is_refused_in_the_words_of_the_server() -> None:
    with pytest.raises(RpcError, match=r"^Invalid schedule spec: CronString does not have 5-7 fields$"):
        canonical(ScheduleSpec(cron_string=["1 2"]))
