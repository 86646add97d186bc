"""Specs of schedules, made up from a seed: of every kind, and one in eight invalid."""

from __future__ import annotations

import importlib.resources
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random
from zoneinfo import ZoneInfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Pacific/Chatham",
    "Pacific/Norfolk",
)
"""With changes of the clock of half an hour, one and two hours, at midnight, in both hemispheres.

None that has left out a whole day: there the server goes back to the day before, again and again.
"""

_BOUNDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day_of_month": (1, 31),
    "month": (1, 12),
    "day_of_week": (0, 6),
    "year": (2020, 2032),
}
_NAMES = {
    "month": ("jan", "Feb", "march", "APRIL", "may", "june", "july", "aug", "sep", "octob", "nov", "december"),
    "day_of_week": ("su", "Mon", "tues", "WED", "thursday", "fri", "saturday"),
}
_NONSENSE = (
    "61",
    "-1",
    "x",
    "",
    "1-",
    "5-2",
    "1/0",
    "1/x",
    "1/2/3",
    "1-2-3",
    "*/-2",
    "ja",
    "foo",
    "1,,2",
    "99999999999999999999",
    "+4",
    " 3",
    "?",
    "L",
    "2#1",
    "*/99999999999999999999",
    "7",
    "0",
    "*-3",
    "mo-fr",
    "fr-mo",
)
_BAD_CRONS = (
    "",
    "1 2",
    "1 2 3 4",
    "1 2 3 4 5 6 7 8",
    "@never",
    "@every",
    "@every ",
    "@every 5",
    "@every 1x",
    "@every -1h",
    "@every 1h/",
    "@every 1h/2h",
    "@every 500ms",
    "@every 1h/-5m",
    "@every 1h /5m",
    "@every .h",
    "@every 1d2h",
    "@every 9999999999999h",
    "@every 1.5h/0.5m",
    "@every 1h30m10s/1m",
    "@everything 1h",
    "@every 1\u00b5s",
    '@every "1\t\u00e4',
    "CRON_TZ=Europe/Berlin",
    "CRON_TZ=Nowhere/Else 0 0 * * *",
    "TZ= 0 0 * * *",
    "TZ=../etc 0 0 * * *",
    "TZ=/etc/x 0 0 * * *",
    "# only a comment",
    " @daily # with a comment # twice ",
    "@yearly",
    "@weekly",
    "@monthly#m",
    "@Daily",
    "0\u00a00 * * *",
    "*/\u0661 * * * *",
)


class SpecMaker:
    """Makes one spec, and the time windows in which it is looked at."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._bad = self._random.random() < 0.12

    def spec(self) -> ScheduleSpec:
        """A spec of one to three parts, in a time zone, with or without exclusions, start, end and jitter."""
        spec, draw = ScheduleSpec(), self._random
        parts: list[Callable[[ScheduleSpec], None]] = [self._cron, self._calendar, self._structured, self._interval]
        for part in draw.choices(parts, k=draw.choice((1, 1, 1, 2, 3))):
            part(spec)
        for _ in range(draw.choice((0, 0, 0, 1, 2))):
            self._exclusion(spec)
        self._zone(spec)
        self._limits(spec)
        return spec

    def windows(self, spec: ScheduleSpec) -> list[tuple[datetime, datetime]]:
        """From when to when: about a change of the clock, about any time, and about the last times there are."""
        draw, name = self._random, spec.timezone_name
        anywhere = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=draw.randrange(5 * 365 * 86400))
        starts = [anywhere, draw.choice(_EDGES)]
        if name in ZONES:
            starts += [change - timedelta(hours=draw.choice((1, 3, 30))) for change in _changes(name, draw)]
        return [(start, start + timedelta(hours=draw.choice((6, 48, 24 * 60)))) for start in starts]

    def _number(self, name: str) -> int:
        return self._random.randint(*_BOUNDS[name])

    def _text(self, name: str) -> str:
        """The text of one field of a calendar."""
        draw = self._random
        if self._bad and draw.random() < 0.25:
            return draw.choice(_NONSENSE)
        if draw.random() < 0.4:
            return "*"
        return ",".join(self._text_part(name) for _ in range(draw.choice((1, 1, 1, 2, 3))))

    def _text_part(self, name: str) -> str:
        draw = self._random
        least, most = sorted((self._number(name), self._number(name)))
        step = draw.choice((1, 2, 3, 5, 7, 15))
        if name in _NAMES and draw.random() < 0.4:
            return _NAMES[name][least - _BOUNDS[name][0]]
        if name == "day_of_week" and draw.random() < 0.2:
            return draw.choice(("7", f"{least}-7", f"{least}-7/{step}", f"{least}/{step}"))
        return draw.choice(
            (f"{least}", f"{least}", f"{least}-{most}", f"{least}-{most}/{step}", f"{least}/{step}", f"*/{step}")
        )

    def _cron(self, spec: ScheduleSpec) -> None:
        draw = self._random
        if self._bad and draw.random() < 0.5:
            spec.cron_string.append(draw.choice(_BAD_CRONS))
            return
        if draw.random() < 0.2:
            spec.cron_string.append(draw.choice(("@daily", "@hourly", "@every 90m", "@every 1h/5m", "@every 2d/3h5s")))
            return
        fields = ["minute", "hour", "day_of_month", "month", "day_of_week"]
        fields = draw.choice((fields, fields, [*fields, "year"], ["second", *fields, "year"]))
        text = draw.choice((" ", "  ", "\t")).join(self._text(name) for name in fields)
        prefix = f"{draw.choice(('CRON_TZ', 'TZ'))}={draw.choice(ZONES)} " if draw.random() < 0.3 else ""
        spec.cron_string.append(f"{prefix}{text}{draw.choice(('', '', ' # a comment'))}")

    def _calendar(self, spec: ScheduleSpec) -> None:
        spec.calendar.append(self._written())

    def _written(self) -> CalendarSpec:
        draw = self._random
        chosen = draw.sample(sorted(_BOUNDS), k=draw.randrange(6))
        comment = draw.choice(("", "why", "\u00e4" * 101 if self._bad else "\u00e4" * 100))
        return CalendarSpec(comment=comment, **{name: self._text(name) for name in chosen})

    def _structured(self, spec: ScheduleSpec) -> None:
        spec.structured_calendar.append(self._ranges())

    def _ranges(self) -> StructuredCalendarSpec:
        draw = self._random
        calendar = StructuredCalendarSpec()
        for name, (least, most) in _BOUNDS.items():
            if name == "year" and draw.random() < 0.7:
                continue
            whole = draw.random() < (0.1 if name == "second" else 0.4)
            ranges = (
                [Range(start=least, end=most)] if whole else [self._range(name) for _ in range(draw.choice((1, 1, 2)))]
            )
            getattr(calendar, name).extend(ranges)
        return calendar

    def _range(self, name: str) -> Range:
        draw = self._random
        if self._bad and draw.random() < 0.3:
            return Range(start=draw.randint(-2, 70), end=draw.randint(-2, 70), step=draw.randint(-1, 3))
        least, most = sorted((self._number(name), self._number(name)))
        return Range(start=least, end=draw.choice((0, most, least)), step=draw.choice((0, 0, 1, 2, 5, 100)))

    def _interval(self, spec: ScheduleSpec) -> None:
        draw = self._random
        length = draw.choice((1, 7, 60, 90, 1800, 3600, 86400, 7 * 86400, 100_000, 60 * 365 * 86400))
        interval = IntervalSpec(interval=Duration(seconds=length, nanos=draw.choice((0, 0, 500_000_000))))
        if draw.random() < 0.5:
            interval.phase.CopyFrom(Duration(seconds=draw.randrange(length), nanos=draw.choice((0, 999_999_999))))
        if self._bad:
            interval.phase.seconds, interval.interval.seconds = draw.choice(((-1, 5), (5, 5), (0, 0), (9, 3), (0, -3)))
        spec.interval.append(interval)

    def _exclusion(self, spec: ScheduleSpec) -> None:
        if self._random.random() < 0.5:
            spec.exclude_calendar.append(self._written())
        else:
            calendar = self._ranges()
            for name in _BOUNDS:
                for each in getattr(calendar, name):  # the server counts down from there until it has no memory left
                    each.start, each.step = abs(each.start), abs(each.step)
            spec.exclude_structured_calendar.append(calendar)

    def _zone(self, spec: ScheduleSpec) -> None:
        draw = self._random
        chance = draw.random()
        if self._bad and chance < 0.2:
            spec.timezone_name = draw.choice(("Mars/Base", "../up", "/etc/localtime", "\\x", "europe/berlin ", "UTC+1"))
        elif chance < 0.6:
            spec.timezone_name = draw.choice(ZONES)
        elif chance < 0.65:
            name = draw.choice(ZONES)
            spec.timezone_name = draw.choice((name, "mine", ""))
            spec.timezone_data = importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
            if self._bad:
                spec.timezone_data = spec.timezone_data[: draw.randrange(60)]

    def _limits(self, spec: ScheduleSpec) -> None:
        draw = self._random
        middle = int(datetime(2026, 6, 1, tzinfo=timezone.utc).timestamp())
        if draw.random() < 0.25:
            spec.start_time.CopyFrom(
                Timestamp(seconds=middle - draw.randrange(2 * 365 * 86400), nanos=draw.choice((0, 5)))
            )
        # The server may search for minutes, through all times that are excluded, until a spec is over.
        if draw.random() < 0.25 or spec.exclude_calendar or spec.exclude_structured_calendar:
            spec.end_time.CopyFrom(
                Timestamp(seconds=middle + draw.randrange(2 * 365 * 86400), nanos=draw.choice((0, 5)))
            )
        if draw.random() < 0.4:
            jitter = draw.choice((-1, 1, 10, 59, 3600, 86400, 60 * 86400))
            spec.jitter.CopyFrom(Duration(seconds=jitter, nanos=0 if jitter < 0 else draw.choice((0, 1_500_000))))


_EDGES = tuple(
    datetime(year, month, day, hour, tzinfo=timezone.utc)
    for year, month, day, hour in (
        (1970, 1, 1, 0),
        (2000, 2, 28, 12),
        (2038, 1, 18, 0),
        (2100, 12, 30, 20),
    )
)


def _changes(name: str, draw: Random) -> list[datetime]:
    """When the clocks of a zone are changed in a year, to the day."""
    zone = ZoneInfo(name)
    begin = datetime(draw.choice((2018, 2024, 2026, 2027, 2045)), 1, 1, tzinfo=timezone.utc)
    days = [begin + timedelta(days=day) for day in range(366)]
    return [
        day
        for day, after in itertools.pairwise(days)
        if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    ][:2]
