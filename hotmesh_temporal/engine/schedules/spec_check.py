"""What the server makes of a schedule's spec: one form for all ways of writing it, or an error."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

from ..context import SECOND
from .spec_numbers import TextError
from .spec_text import FIRST_YEAR, LAST_YEAR, cron, structured

BEGINNING_OF_GO = 62_135_596_800
"""Seconds from the year 1, where the times of Go begin, to 1970."""

_COMMENT_BYTES = 200
_LARGEST = 2**63 - 1
_LONGEST = 315_576_000_000
"""Seconds: 10,000 years."""
_CONFLICT = "conflicting timezone names"
_BOUNDS = {
    "second": ("Second", 0, 59),
    "minute": ("Minute", 0, 59),
    "hour": ("Hour", 0, 23),
    "day_of_month": ("DayOfMonth", 1, 31),
    "month": ("Month", 1, 12),
    "year": ("Year", FIRST_YEAR, LAST_YEAR),
    "day_of_week": ("DayOfWeek", 0, 6),
}


def nanoseconds(duration: Duration) -> int:
    """The length of a duration, at most what 64 bits hold."""
    return max(min(duration.seconds * SECOND + duration.nanos, _LARGEST), -_LARGEST - 1)


def instant(time: Timestamp) -> int:
    """Nanoseconds since 1970. Far from there, the server's seconds since the year 1 overflow."""
    seconds = (time.seconds + BEGINNING_OF_GO + 2**63) % 2**64 - 2**63 - BEGINNING_OF_GO
    return seconds * SECOND + time.nanos


def checked(spec: ScheduleSpec) -> ScheduleSpec:
    """The spec with structured calendars and intervals only. Raises `TextError`."""
    for interval in spec.interval:
        _check_duration("interval", interval.interval)
        _check_duration("phase", interval.phase)
    found = ScheduleSpec()
    found.CopyFrom(spec)
    for written in ("calendar", "exclude_calendar", "cron_string"):
        found.ClearField(written)  # type: ignore[arg-type]  # the stubs want a literal
    found.structured_calendar.extend(structured(each) for each in spec.calendar)
    found.exclude_structured_calendar.extend(structured(each) for each in spec.exclude_calendar)
    _add_crons(spec, found)
    for calendar in found.structured_calendar:
        _check_calendar(calendar)
    for calendar in found.exclude_structured_calendar:
        _check_excluded(calendar)
    for interval in found.interval:
        _check_interval(interval)
    return found


def _check_duration(name: str, value: Duration) -> None:
    problem = _duration_problem(value)
    if problem:
        parts = [f"{part}:{number}" for part, number in (("seconds", value.seconds), ("nanos", value.nanos)) if number]
        raise TextError(f"{name} is not a valid duration: proto:\xa0duration ({'  '.join(parts)}) {problem}")


def _duration_problem(value: Duration) -> str:
    if abs(value.seconds) > _LONGEST:
        return f"exceeds {'+' if value.seconds > 0 else '-'}10000 years"
    if abs(value.nanos) >= SECOND:
        return "has out-of-range nanos"
    return "has seconds and nanos with different signs" if value.seconds * value.nanos < 0 else ""


def _add_crons(spec: ScheduleSpec, found: ScheduleSpec) -> None:
    zone: str | None = None
    for each in map(cron, spec.cron_string):
        if zone not in (None, each.zone):
            raise TextError(_CONFLICT)
        zone = each.zone
        if each.calendar:
            found.structured_calendar.append(each.calendar)
        if each.interval:
            found.interval.append(each.interval)
    if zone:
        if spec.timezone_name not in ("", zone) or spec.timezone_data:
            raise TextError(_CONFLICT)
        found.timezone_name = zone


def _check_calendar(calendar: StructuredCalendarSpec) -> None:
    wrong = [
        problem
        for name, (title, least, most) in _BOUNDS.items()
        for each in getattr(calendar, name)
        for problem in _range_problems(each, title, least, most)
    ]
    if len(calendar.comment.encode()) > _COMMENT_BYTES:
        wrong.append("comment is too long")
    if wrong:
        raise TextError(f"invalid calendar spec: {', '.join(wrong)}")


def _check_excluded(calendar: StructuredCalendarSpec) -> None:
    """The server takes what is too large, which excludes nothing, and has an internal error for what is negative."""
    for name, (title, _, _) in _BOUNDS.items():
        for each in getattr(calendar, name):
            if each.start < 0 or each.step < 0:
                part = "Start" if each.start < 0 else "Step"
                raise TextError(f"invalid calendar spec: {title} of an exclusion has a negative {part}")


def _range_problems(each: Range, title: str, least: int, most: int) -> Iterator[str]:
    if not least <= each.start <= most:
        yield f"{title} Start is not in range [{least}-{most}]"
    if each.end and not each.start <= each.end <= most:
        yield f"{title} End is before Start or not in range [{least}-{most}]"
    if each.step < 0:
        yield f"{title} has invalid Step"


def _check_interval(interval: IntervalSpec) -> None:
    length, phase = nanoseconds(interval.interval), nanoseconds(interval.phase)
    if length < SECOND:
        raise TextError("interval is too small")
    if phase < 0:
        raise TextError("phase is negative")
    if phase >= length:
        raise TextError("phase cannot be greater than Interval")


def filled_in(spec: ScheduleSpec) -> None:
    """Write into every range its end and step, as the server shows them."""
    for calendar in (*spec.structured_calendar, *spec.exclude_structured_calendar):
        for name in _BOUNDS:
            for each in getattr(calendar, name):
                each.end, each.step = max(each.start, each.end), each.step or 1
