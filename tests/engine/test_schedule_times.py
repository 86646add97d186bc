"""When schedules are due: what the real server answered, and what is true of every spec."""

from __future__ import annotations

from datetime import datetime, timezone
from random import Random

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

from compat_tests.schedule_specs import SpecMaker
from hotmesh_temporal.engine.schedules import CompiledSpec, TooMuchExcluded, canonical, compile_spec
from hotmesh_temporal.engine.schedules.spec_calendar import Calendar
from hotmesh_temporal.engine.schedules.spec_fingerprint import fingerprint32
from hotmesh_temporal.engine.schedules.spec_zone import zone as region
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


@pytest.mark.parametrize("seed", range(60))
def test_made_up_specs_move_on(seed: int) -> None:
    maker = SpecMaker(seed)
    spec = maker.spec()
    try:
        compiled = compile_spec(spec)
    except RpcError:
        return
    for start, end in maker.windows(spec):
        after = int(start.timestamp()) * SECOND
        found = compiled.times(after, int(end.timestamp()) * SECOND, "seed", 50)
        assert found == sorted(set(found))
        assert all(after < each <= int(end.timestamp()) * SECOND for each in found)
        assert all(
            each <= spec.end_time.ToNanoseconds() + spec.jitter.ToNanoseconds()
            for each in found
            if spec.HasField("end_time")
        )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_is_what_matches_and_nothing_is_left_out(zone: str, seed: int) -> None:
    """Far from the days on which clocks are changed, every second can be asked whether it matches."""
    draw = Random(seed)
    calendar = StructuredCalendarSpec(
        second=[Range(start=draw.randrange(30), end=59, step=draw.randrange(1, 40))],
        minute=[Range(start=draw.randrange(60), end=59, step=7), Range(start=draw.randrange(60))],
        hour=[Range(start=draw.randrange(24), end=23, step=draw.randrange(1, 5)), Range(start=3)],
        day_of_month=[Range(start=1, end=31, step=draw.randrange(1, 3))],
        month=[Range(start=1, end=12)],
        day_of_week=[Range(start=draw.randrange(7), end=6), Range(start=1, end=3)],
    )
    compiled, asked = (
        compile_spec(ScheduleSpec(structured_calendar=[calendar], timezone_name=zone)),
        Calendar(calendar, region(zone)),
    )
    begin = nanoseconds("2026-06-08") // SECOND + draw.randrange(86400)
    expected = [each * SECOND for each in range(begin + 1, begin + 43_200) if asked.matches(each)]
    assert compiled.times(begin * SECOND, (begin + 43_200 - 1) * SECOND, "", 200_000) == expected


def test_a_whole_year_that_is_excluded_takes_no_time() -> None:
    """The server looks at every second of it."""
    all_2027 = StructuredCalendarSpec(
        second=[Range(end=59)],
        minute=[Range(end=59)],
        hour=[Range(end=23)],
        day_of_month=[Range(start=1, end=31)],
        month=[Range(start=1, end=12)],
        day_of_week=[Range(end=6)],
        year=[Range(start=2027)],
    )
    hourly = IntervalSpec(interval=Duration(seconds=3600), phase=Duration(seconds=60))
    spec = compile_spec(ScheduleSpec(interval=[hourly], exclude_structured_calendar=[all_2027]))
    assert times(spec, "2026-12-31T22:30:00", 2) == ["2026-12-31T23:01:00", "2028-01-01T00:01:00"]
    each_second = ScheduleSpec(
        interval=[IntervalSpec(interval=Duration(seconds=1))], exclude_structured_calendar=[all_2027]
    )
    with pytest.raises(TooMuchExcluded, match="too many exclusions"):
        compile_spec(each_second).times(nanoseconds("2027-01-01"), nanoseconds("2028-01-02"), "")


def test_a_day_that_a_zone_leaves_out_is_left_out() -> None:
    """The Temporal server begins with the day before again and again."""
    spec = compile_spec(ScheduleSpec(cron_string=["CRON_TZ=Pacific/Apia 0 */12 * * *"]))
    assert times(spec, "2011-12-29T00:00:00", 4) == [
        "2011-12-29T10:00:00",
        "2011-12-29T22:00:00",
        "2011-12-30T10:00:00",
        "2011-12-30T22:00:00",
    ]


def test_exclusions_with_negative_numbers_are_refused_and_with_too_large_ones_exclude_nothing() -> None:
    """The Temporal server has an internal error for the first, or no memory left."""
    for wrong in (Range(start=-1), Range(end=5, step=-1)):
        with pytest.raises(RpcError, match="Year of an exclusion has a negative St"):
            compile_spec(ScheduleSpec(exclude_structured_calendar=[StructuredCalendarSpec(year=[wrong])]))
    large = StructuredCalendarSpec(second=[Range(end=58), Range(start=60, end=2**31 - 1)])
    for name in ("minute", "hour", "day_of_month", "month", "day_of_week"):
        getattr(large, name).append(Range(start=0, end=2**31 - 1))
    hourly = IntervalSpec(interval=Duration(seconds=3600), phase=Duration(seconds=59))
    spec = compile_spec(ScheduleSpec(interval=[hourly], exclude_structured_calendar=[large]))
    assert times(spec, "2026-01-01", 1) == ["2026-01-01T00:00:59"]
