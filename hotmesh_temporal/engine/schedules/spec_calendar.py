"""Calendars of a schedule: which times match one, and which is the next.

What matches is what the server finds, by the way it finds it: it turns a wall clock forward, from one time of the
calendar to the next, and asks then for the instant at which that clock shows this time. On all days on which clocks
are not changed that is plain. Where clocks are changed, it has consequences that differ by zone; docs/schedules.md
says which.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from temporalio.api.schedule.v1 import Range, StructuredCalendarSpec

from .spec_zone import DAY, EPOCH_DAY, HOUR, Zone

LAST_YEAR = 2100
"""The server looks no further."""

_FOREVER = 2**63
_END = date(LAST_YEAR + 1, 1, 1).toordinal()
_EVERY_YEAR = range(1, 10_000)


@dataclass(slots=True)
class _Clock:
    """A clock on the wall: its day (1 is 1 January of year 1) and time.

    Minute and second may be one too many: then the hour or minute is over. ``again``: the hour is the second of two.
    """

    day: int
    hour: int
    minute: int
    second: int
    again: bool

    def wall(self) -> int:
        """Seconds since 1970, as if the clock showed UTC."""
        return (self.day - EPOCH_DAY) * DAY + self.hour * HOUR + self.minute * 60 + self.second

    def to_day(self, day: int) -> None:
        """Turn the clock to the beginning of a day."""
        self.day, self.hour, self.minute, self.second, self.again = day, 0, 0, 0, False


class Calendar:
    """A structured calendar in a time zone."""

    def __init__(self, spec: StructuredCalendarSpec, zone: Zone) -> None:
        self._zone = zone
        self._years = _values(spec.year, LAST_YEAR) if spec.year else _EVERY_YEAR
        self._months = _values(spec.month, 12)
        self._days = frozenset(_values(spec.day_of_month, 31))
        self._weekdays = frozenset(_values(spec.day_of_week, 6))
        self._hours = _values(spec.hour, 23)
        self._minutes, self._seconds = _values(spec.minute, 59), _values(spec.second, 59)
        self._any_weekday = self._weekdays >= frozenset(range(7))
        clock = self._hours and self._minutes and self._seconds
        self._known: tuple[int, int, int | None] = (0, 0, None)
        """From the first instant up to the second, the third is next. Only kept far from changes of the clock."""
        self._never = not (clock and self._months and self._days and self._weekdays)

    def matches(self, instant: int) -> bool:
        """The calendar has that instant (in seconds since 1970)."""
        day, rest = divmod(self._zone.wall(instant), DAY)
        return (
            rest % 60 in self._seconds
            and rest // 60 % 60 in self._minutes
            and rest // HOUR in self._hours
            and self._has_day(day + EPOCH_DAY)
        )

    def _has_day(self, day: int) -> bool:
        found = date.fromordinal(day)
        return (
            found.month in self._months
            and found.day in self._days
            and found.isoweekday() % 7 in self._weekdays
            and found.year in self._years
        )

    def matches_until(self, instant: int) -> int:
        """The end of a stretch in which every second matches, as ``instant`` does. Seldom the longest one."""
        rest = self._zone.wall(instant) % DAY
        for unit, values, most in ((1, self._seconds, 60), (60, self._minutes, 60), (HOUR, self._hours, 24)):
            if len(values) < most:
                value = rest // unit % most
                length = (_run(values, value) - value) * unit - rest % unit
                break
        else:
            length = DAY - rest
        end = instant + length - 1
        return end if self._zone.offset(end) == self._zone.offset(instant) else instant

    def count(self, first: int, last: int) -> int:
        """How many times there are from one instant to another in the same stretch (see `matches_until`)."""
        day, begin = divmod(self._zone.wall(first), DAY)
        if not self._has_day(day + EPOCH_DAY):
            return 0
        return self._count_before(begin + last - first + 1) - self._count_before(begin)

    def _count_before(self, rest: int) -> int:
        """How many times of a day there are before one."""
        hour, minute, second = rest // HOUR, rest // 60 % 60, rest % 60
        total = bisect_left(self._hours, hour) * len(self._minutes) * len(self._seconds)
        if hour in self._hours:
            total += bisect_left(self._minutes, minute) * len(self._seconds)
            if minute in self._minutes:
                total += bisect_left(self._seconds, second)
        return total

    def next_after(self, instant: int) -> int | None:
        """The first time of the calendar after an instant (both in seconds since 1970), None if there is none."""
        if self._never:
            return None
        begin, end, known = self._known
        if begin <= instant < end:
            return known
        found = self._search(instant)
        if found is None:
            self._known = (instant, _FOREVER, None)
        elif self._zone.is_steady(instant - DAY, found + DAY):
            self._known = (instant, found, found)
        return found

    def _search(self, instant: int) -> int | None:
        clock = self._clock_after(instant)
        while self._to_day(clock):
            if not self._to_time(clock):
                continue
            found = self._zone.instant(clock.wall())
            due = found + HOUR if clock.again else found
            if self._zone.wall(found) // HOUR == clock.wall() // HOUR and due > instant:
                return due
            # The clock never shows this hour. (If it is a whole day, the server goes back by one, again and again.)
            clock.hour, clock.minute, clock.second = clock.hour + 1, 0, 0
        return None

    def _clock_after(self, instant: int) -> _Clock:
        day, rest = divmod(self._zone.wall(instant), DAY)
        hour = rest // HOUR
        again = self._zone.wall(instant - HOUR) % DAY // HOUR == hour
        return _Clock(day + EPOCH_DAY, hour, rest // 60 % 60, rest % 60 + 1, again)

    def _to_day(self, clock: _Clock) -> bool:
        """Turn the clock on to a day of the calendar, unless it shows one. False if there is none."""
        self._carry(clock)
        while clock.day < _END:
            follows = self._day_from(clock.day)
            if follows > clock.day:
                clock.to_day(follows)
            elif self._any_weekday or self._weekday(clock) in self._weekdays:
                return True
            else:
                clock.to_day(clock.day + 1)
        return False

    def _day_from(self, day: int) -> int:
        """The first day from that one on with a year, month and day of month of the calendar."""
        while day < _END:
            found = date.fromordinal(day)
            if found.year not in self._years:
                day = _first_of(found.year + 1, 1)
            elif found.month not in self._months:
                day = _first_of(found.year, found.month + 1)
            elif found.day not in self._days:
                day += 1
            else:
                return day
        return day

    def _weekday(self, clock: _Clock) -> int:
        return (self._zone.wall(self._zone.instant(clock.wall())) // DAY + 4) % 7

    def _to_time(self, clock: _Clock) -> bool:
        """Turn the clock on to a time of the calendar. False if something has to be carried to the next day or hour."""
        hour = _from(self._hours, clock.hour, 24)
        if hour > clock.hour:
            clock.hour, clock.minute, clock.second, clock.again = hour, 0, 0, False
            if hour == 24:
                return False
        minute = _from(self._minutes, clock.minute, 60)
        if minute > clock.minute:
            clock.minute, clock.second = minute, 0
            if minute == 60:
                return False
        clock.second = _from(self._seconds, clock.second, 60)
        return clock.second < 60

    def _carry(self, clock: _Clock) -> None:
        if clock.second >= 60:
            clock.minute, clock.second = clock.minute + 1, 0
        if clock.minute >= 60:
            self._carry_hour(clock)
        if clock.hour >= 24:
            clock.day, clock.hour = clock.day + 1, clock.hour - 24

    def _carry_hour(self, clock: _Clock) -> None:
        """On to the next hour, or to the same one once more if two hours pass until the next."""
        clock.minute = 0
        begins = clock.wall() - clock.second
        passes = self._zone.instant(begins + HOUR) - self._zone.instant(begins)
        clock.again = not clock.again and passes > HOUR
        if not clock.again:
            clock.hour += 1


def _first_of(year: int, month: int) -> int:
    return date(year + month // 13, (month - 1) % 12 + 1, 1).toordinal()


def _from(values: tuple[int, ...], value: int, otherwise: int) -> int:
    """The first of the sorted values that is not smaller."""
    at = bisect_left(values, value)
    return values[at] if at < len(values) else otherwise


def _run(values: tuple[int, ...], value: int) -> int:
    """The first number after ``value`` that is not among the sorted values."""
    at = bisect_left(values, value)
    while at < len(values) and values[at] == value:
        at, value = at + 1, value + 1
    return value


def _values(ranges: Iterable[Range], most: int) -> tuple[int, ...]:
    """The numbers of the ranges, sorted. Larger ones than ``most`` are left out: exclusions may have such."""
    found: set[int] = set()
    for each in ranges:
        found.update(range(each.start, min(max(each.start, each.end), most) + 1, each.step or 1))
    return tuple(sorted(found))
