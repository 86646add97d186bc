"""Time zones as the server's calendars see them: which offset is in force, and which instant a wall clock shows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Protocol
from zoneinfo import ZoneInfo

HOUR = 3600
DAY = 24 * HOUR
EPOCH_DAY = datetime(1970, 1, 1).toordinal()

_REMEMBERED = 1000
_STEADY_DAYS = 370
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class UnknownZone(ValueError):
    """There is no such time zone, or its data cannot be read. The text is the server's."""


class Zone(Protocol):
    """A time zone. Times are whole seconds since 1970: instants in UTC, wall-clock times as if they were in UTC."""

    def offset(self, instant: int) -> int:
        """Seconds by which the wall clock is ahead of UTC."""
        ...

    def wall(self, instant: int) -> int:
        """What the clock on the wall shows."""
        ...

    def instant(self, wall: int) -> int:
        """When the clock shows that: one of the two instants if it does so twice, one beside the gap if it never does.

        Which one that is, is the server's choice: the offset that would be in force if the wall clock showed UTC
        counts, and if it is not in force at the instant which that gives, the one that is.
        """
        ...

    def is_steady(self, first: int, last: int) -> bool:
        """The offset is known to be the same from one instant to another."""
        ...


class Utc:
    """Coordinated Universal Time."""

    def offset(self, instant: int) -> int:
        """None."""
        return 0

    def wall(self, instant: int) -> int:
        """The instant itself."""
        return instant

    def instant(self, wall: int) -> int:
        """The wall-clock time itself."""
        return wall

    def is_steady(self, first: int, last: int) -> bool:
        """Always."""
        del first, last
        return True


class Region:
    """A zone of the IANA time zone database."""

    def __init__(self, info: ZoneInfo) -> None:
        self._info = info
        self._of_days = dict[int, int | None]()
        """The offset of a day (in UTC, counted from 1970), None if it changes then."""
        self._steady = range(0)
        """Instants between which it does not change."""

    def offset(self, instant: int) -> int:
        """See `Zone.offset`."""
        ahead = self._of_day(instant // DAY)
        return self._look_up(instant) if ahead is None else ahead

    def _of_day(self, day: int) -> int | None:
        if day not in self._of_days:
            if len(self._of_days) >= _REMEMBERED:
                self._of_days.clear()
            first, last = self._look_up(day * DAY), self._look_up(day * DAY + DAY - 1)
            self._of_days[day] = first if first == last else None
        return self._of_days[day]

    def _look_up(self, instant: int) -> int:
        ahead = (_EPOCH + timedelta(seconds=instant)).astimezone(self._info).utcoffset()
        return ahead.days * DAY + ahead.seconds if ahead else 0

    def wall(self, instant: int) -> int:
        """See `Zone.wall`."""
        return instant + self.offset(instant)

    def instant(self, wall: int) -> int:
        """See `Zone.instant`."""
        first = self.offset(wall)
        return wall - self.offset(wall - first) if first else wall

    def is_steady(self, first: int, last: int) -> bool:
        """See `Zone.is_steady`; at most about a year is known."""
        if first not in self._steady:
            day, ahead = first // DAY, self.offset(first)
            while day < first // DAY + _STEADY_DAYS and self._of_day(day) == ahead:
                day += 1
            self._steady = range(first, day * DAY)
        return last in self._steady


class _Reader:
    """What `zoneinfo` reads the given data from."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        end = len(self._data) if size < 0 else self._place + size
        taken, self._place = self._data[self._place : end], min(end, len(self._data))
        return taken

    def seek(self, size: int, whence: int = 0, /) -> None:
        """To a place, counted from the beginning (``whence`` 0) or from here (1)."""
        self._place = size + (self._place if whence else 0)


def zone(name: str, data: bytes = b"") -> Zone:
    """The zone of that name, or the one that ``data`` (in the TZif format) describes. Raises `UnknownZone`."""
    if data:
        return Region(_described(data))
    if name in ("", "UTC"):
        return Utc()
    if name == "Local":
        raise UnknownZone("time zone Local is another one on every machine: name the zone that is meant")
    if ".." in name or name[0] in "/\\":
        raise UnknownZone("time: invalid location name")
    return Region(_named(name))


def _described(data: bytes) -> ZoneInfo:
    try:
        return ZoneInfo.from_file(_Reader(data))
    except Exception as error:  # any error at all: the parser checks little, and stumbles over what is not there
        raise UnknownZone("malformed time zone information") from error


def _named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, KeyError) as error:
        raise UnknownZone(f"unknown time zone {name}") from error
    except ValueError as error:
        raise UnknownZone("malformed time zone information") from error
