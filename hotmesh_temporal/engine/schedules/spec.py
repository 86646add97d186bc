"""When a schedule is due: its spec in the form that the server shows, and the times that match it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from temporalio.api.schedule.v1 import IntervalSpec, ScheduleSpec

from ...errors import RpcError, invalid_argument
from ..context import SECOND
from .spec_calendar import Calendar
from .spec_check import BEGINNING_OF_GO, checked, filled_in, instant, nanoseconds
from .spec_fingerprint import fingerprint32
from .spec_numbers import TextError
from .spec_zone import UnknownZone, zone

_MILLISECOND = SECOND // 1000
_LONGEST_JITTER = 2**32 - 1
"""In milliseconds."""
_LATEST = 4_133_980_800
"""2101-01-01 UTC, in seconds since 1970."""
_GO_TIME = struct.Struct(">BqiH")
"""A time as Go stores it: version, seconds, nanoseconds, minutes ahead of UTC (all ones: UTC itself)."""
_EXCLUDED = 14 * 24 * 3600
"""How many times may be excluded one after another: the server looks at so many, and gives up."""
_STEPS = 40_000
"""How many stretches of excluded times we look at (about a second): seconds, minutes, hours, a day each."""


class TooMuchExcluded(Exception):
    """The search for a time that is not excluded was given up. The text is the server's."""

    def __init__(self) -> None:
        super().__init__(
            "the schedule calendar specification has too many exclusions. Please modify the specification."
        )


@dataclass(frozen=True, slots=True)
class NextTime:
    """A time at which a schedule is due, in nanoseconds since 1970."""

    nominal: int
    """The time that matches the spec; whole seconds."""
    next: int
    """When it is done: ``nominal`` and the jitter; whole milliseconds."""


class CompiledSpec:
    """The times of a spec. Made by `compile_spec`."""

    def __init__(self, spec: ScheduleSpec) -> None:
        place = zone(spec.timezone_name, spec.timezone_data)
        self._calendars = [Calendar(each, place) for each in spec.structured_calendar]
        self._excluded = [Calendar(each, place) for each in spec.exclude_structured_calendar]
        self._intervals = [_interval(each) for each in spec.interval]
        self._start = instant(spec.start_time)
        self._end = instant(spec.end_time) if spec.HasField("end_time") else None
        self._jitter = nanoseconds(spec.jitter)
        self._last: tuple[int, int | None] = (-2, None)
        self._over_after: int | None = None
        """From where on a search has found that there is nothing more; it may have taken long."""
        self._given_up = range(0)
        """Where a search would take as long as one before, and be given up as well."""

    def next_time(self, after: int, jitter_seed: str = "") -> NextTime | None:
        """The first time after ``after`` (nanoseconds since 1970) that matches, None if there is none.

        Jitter is no accident: the same time has always the same one with the same ``jitter_seed``. It does not reach
        the time that follows. A spec that excludes too much counts as one that is over, as on the server.
        """
        try:
            return self._next_time(after, jitter_seed)
        except TooMuchExcluded:
            return None

    def times(self, start: int, end: int, jitter_seed: str = "", most: int = 1000) -> list[int]:
        """Times (with jitter) after ``start`` and not after ``end``, in nanoseconds since 1970; the first ``most``.

        Raises `TooMuchExcluded`.
        """
        found: list[int] = []
        due = self._next_time(start, jitter_seed)
        while due and due.next <= end and len(found) < most:
            found.append(due.next)
            due = self._next_time(due.next, jitter_seed) if len(found) < most else None
        return found

    def _next_time(self, after: int, seed: str) -> NextTime | None:
        begin = max(after, self._start - SECOND) // SECOND
        if self._over_after is not None and begin >= self._over_after:
            return None
        if begin in self._given_up:
            raise TooMuchExcluded()
        nominal = self._following(begin)
        steps = excluded = 0
        while nominal is not None and not self._is_over(nominal):
            until = self._excluded_until(nominal)
            if until < 0:
                due = nominal * SECOND
                return NextTime(due, due + self._delay(nominal, seed))
            steps, excluded = steps + 1, excluded + self._count(nominal, until)
            if steps >= _STEPS:
                self._given_up = range(begin, (begin + until) // 2)
            if steps >= _STEPS or excluded >= _EXCLUDED:
                raise TooMuchExcluded()
            nominal = self._following(until)
        self._over_after = begin
        return None

    def _count(self, first: int, last: int) -> int:
        """How many times are in a stretch of excluded ones; too few where calendars and intervals lie upon another."""
        return max(each.count(first, last) for each in (*self._calendars, *self._intervals))

    def _excluded_until(self, nominal: int) -> int:
        """The end of a stretch that an exclusion has; -1 if none has that time."""
        until = max((each.matches_until(nominal) for each in self._excluded if each.matches(nominal)), default=-1)
        return until if self._end is None else min(until, self._end // SECOND)

    def _is_over(self, nominal: int) -> bool:
        return nominal >= _LATEST or (self._end is not None and nominal * SECOND > self._end)

    def _following(self, second: int) -> int | None:
        """The next time after a second, even if it is excluded."""
        if second == self._last[0]:  # where the jitter of one time ends is where the next one begins
            return self._last[1]
        if second >= _LATEST:
            return None
        times = [found for each in self._calendars if (found := each.next_after(second)) is not None]
        times += [each.next_after(second) for each in self._intervals]
        self._last = (second, min(times, default=None))
        return self._last[1]

    def _delay(self, nominal: int, seed: str) -> int:
        """The jitter of a time, in nanoseconds."""
        longest = self._jitter
        if longest < _MILLISECOND:
            return 0
        following = self._following(nominal)
        if following is not None:
            longest = min(longest, (following - nominal) * SECOND)
        hashed = fingerprint32(_GO_TIME.pack(1, nominal + BEGINNING_OF_GO, 0, 0xFFFF) + seed.encode())
        return (hashed * min(longest // _MILLISECOND, _LONGEST_JITTER) >> 32) * _MILLISECOND


@dataclass(frozen=True, slots=True)
class _Interval:
    """Every ``length`` seconds since 1970, ``phase`` seconds later."""

    length: int
    phase: int

    def next_after(self, second: int) -> int:
        """The first one after a second. Before its phase has passed for the first time, the server skips one."""
        passed = second - self.phase
        whole = passed // self.length if passed >= 0 else -(-passed // self.length)
        return (whole + 1) * self.length + self.phase

    def count(self, first: int, last: int) -> int:
        """How many there are from one second to another."""
        return (last - self.phase) // self.length - (first - 1 - self.phase) // self.length


def _interval(spec: IntervalSpec) -> _Interval:
    return _Interval(max(nanoseconds(spec.interval) // SECOND, 1), nanoseconds(spec.phase) // SECOND)


def compile_spec(spec: ScheduleSpec) -> CompiledSpec:
    """The times of a spec, in any form. Raises INVALID_ARGUMENT for one that the server does not take."""
    try:
        return CompiledSpec(checked(spec))
    except (TextError, UnknownZone) as error:
        raise _invalid(error) from error


def canonical(spec: ScheduleSpec) -> ScheduleSpec:
    """The spec as DescribeSchedule shows it: texts as structured calendars and intervals, ranges with end and step.

    Raises INVALID_ARGUMENT for one that the server does not take.
    """
    try:
        found = checked(spec)
        zone(found.timezone_name, found.timezone_data)
    except (TextError, UnknownZone) as error:
        raise _invalid(error) from error
    filled_in(found)
    return found


def _invalid(error: ValueError) -> RpcError:
    return invalid_argument(f"Invalid schedule spec: {error}")
