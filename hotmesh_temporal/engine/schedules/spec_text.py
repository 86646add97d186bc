"""Calendars and intervals that are written as text: cron strings, and the fields of a `CalendarSpec`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, Range, StructuredCalendarSpec

from .spec_numbers import NUMBER, TextError, duration, integer

FIRST_YEAR = 2000
LAST_YEAR = 2100

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_FIELD = re.compile(f"[^{_SPACE}]+")
_MARGIN = re.compile(f"^[{_SPACE}]+|[{_SPACE}]+\\Z")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_CRON_FIELDS = ("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a calendar: its name in messages, what it is if it is empty, its bounds, and names of its values."""

    title: str
    default: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    shortest: int = 0
    """Of how many letters an abbreviated name consists at least."""

    @property
    def bounds(self) -> str:
        """As messages say them."""
        return f"[{self.least}-{self.most}]"


_FIELDS = {
    "second": _Field("Second", "0", 0, 59),
    "minute": _Field("Minute", "0", 0, 59),
    "hour": _Field("Hour", "0", 0, 23),
    "day_of_week": _Field("DayOfWeek", "*", 0, 7, _WEEKDAYS, 2),
    "day_of_month": _Field("DayOfMonth", "*", 1, 31),
    "month": _Field("Month", "*", 1, 12, _MONTHS, 3),
    "year": _Field("Year", "*", FIRST_YEAR, LAST_YEAR),
}


@dataclass(frozen=True, slots=True)
class Cron:
    """What a cron string says: a calendar or an interval, and the name of the time zone, if it has one."""

    calendar: StructuredCalendarSpec | None = None
    interval: IntervalSpec | None = None
    zone: str = ""


def cron(text: str) -> Cron:
    """The meaning of a cron string. Raises `TextError`."""
    text, zone = _MARGIN.sub("", text), ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        named, found, text = text.partition(" ")
        if not found:
            raise TextError("CronString has time zone but missing fields")
        zone = named.partition("=")[2]
    text, _, comment = text.partition("#")
    text, comment = _MARGIN.sub("", text), _MARGIN.sub("", comment)
    if text.startswith("@every"):
        return Cron(interval=_every(text))
    fields = _FIELD.findall(_SHORTHANDS.get(text, text))
    if len(fields) not in (5, 6, 7):
        raise TextError("CronString does not have 5-7 fields")
    names = _CRON_FIELDS if len(fields) == 7 else _CRON_FIELDS[1 : len(fields) + 1]
    named_fields = dict(zip(names, fields, strict=True))
    return Cron(calendar=structured(CalendarSpec(comment=comment, **named_fields)), zone=zone)


def _every(text: str) -> IntervalSpec:
    _, found, rest = text.partition(" ")
    if not found:
        raise TextError("CronString does not have interval after @every")
    interval, _, phase = rest.partition("/")
    spec = IntervalSpec(interval=duration(interval))
    if phase:
        spec.phase.CopyFrom(duration(phase))
    return spec


def structured(calendar: CalendarSpec) -> StructuredCalendarSpec:
    """The calendar with its texts as ranges. Raises `TextError`, with all that is wrong."""
    found, wrong = StructuredCalendarSpec(comment=calendar.comment), list[str]()
    for name, field in _FIELDS.items():
        try:
            getattr(found, name).extend(_ranges(getattr(calendar, name), field))
        except TextError as error:
            wrong.append(str(error))
    if wrong:
        raise TextError(", ".join(wrong))
    return found


def _ranges(text: str, field: _Field) -> Iterator[Range]:
    text = _MARGIN.sub("", text) or field.default
    if text == "*" and field.title == "Year":
        return  # no range means every year
    for part in text.split(","):
        yield from _part(part, field)


def _part(part: str, field: _Field) -> Iterator[Range]:
    part, *steps = part.split("/")
    if len(steps) > 1:
        raise TextError(f"{field.title} has too many slashes")
    step = _step(steps[0], field) if steps else 1
    start, end = _span(part, field, open_end=bool(steps))
    if field.names is _WEEKDAYS and end == 7:
        yield from _until_sunday(start, step)
    else:
        yield _range(start, end, step)


def _until_sunday(start: int, step: int) -> Iterator[Range]:
    """Sunday is day 0 and day 7; the structured form has only the first."""
    if (7 - start) % step == 0 and (step > 1 or start > 1):
        yield Range(start=0)
    if start < 7:
        yield _range(start, 6, step)


def _range(start: int, end: int, step: int) -> Range:
    return Range(start=start, end=0 if start == end else end, step=0 if step == 1 else step)


def _step(text: str, field: _Field) -> int:
    step = integer(text)
    if step < 1:
        raise TextError(f"{field.title} has invalid Step")
    return step


def _span(text: str, field: _Field, *, open_end: bool) -> tuple[int, int]:
    if text == "*":
        return field.least, field.most
    first, *others = text.split("-")
    if len(others) > 1:
        raise TextError(f"{field.title} has too many dashes")
    if not others:
        start = _value(first, field, field.least, f"{field.title} is not in range {field.bounds}")
        return start, field.most if open_end else start
    start = _value(first, field, field.least, f"{field.title} Start is not in range {field.bounds}")
    end = _value(others[0], field, start, f"{field.title} End is before Start or not in range {field.bounds}")
    return start, end


def _value(text: str, field: _Field, least: int, message: str) -> int:
    value = _named(text, field)
    if value is None:
        value = int(text) if NUMBER.fullmatch(text) else -1
    if not least <= value <= field.most:
        raise TextError(message)
    return value


def _named(text: str, field: _Field) -> int | None:
    """The value with a name that begins like this: of two, the first."""
    if not field.names or len(text.encode()) < field.shortest:
        return None
    text, first = text.lower(), 0 if field.names is _WEEKDAYS else 1
    return next((at for at, name in enumerate(field.names, first) if name.startswith(text)), None)
