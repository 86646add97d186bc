"""When a cron workflow runs next."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from croniter import croniter

from .context import SECOND

_EVERY = re.compile(r"@every\s+-?(?P<spec>(?:\d+(?:\.\d+)?(?:h|ms|m|s))+)$")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNIT = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": SECOND // 1000}
_ZONE = re.compile(r"^(?:CRON_TZ|TZ)=(\S+)\s+(.*)$")


def is_valid(schedule: str) -> bool:
    """The schedule can be understood."""
    try:
        next_time(schedule, 0)
    except (ValueError, KeyError):  # croniter's and zoneinfo's errors are subclasses of these
        return False
    return True


def backoff(schedule: str, start: int, close: int) -> int:
    """Nanoseconds from ``close`` to the next time of the schedule counted from ``start``, in whole seconds."""
    upcoming = next_time(schedule, start)
    every = _interval(schedule)
    if every and upcoming < close:
        upcoming += -(-(close - upcoming) // every) * every
    elif upcoming < close:
        upcoming = next_time(schedule, close)
    return -(-(upcoming - close) // SECOND) * SECOND


def next_time(schedule: str, after: int) -> int:
    """The first time of the schedule after ``after``. Raises ValueError for a schedule that is not understood."""
    every = _interval(schedule)
    if every:
        return after + every - after % SECOND
    zone, spec = timezone.utc, schedule.strip()
    match = _ZONE.match(spec)
    if match:
        zone, spec = ZoneInfo(match[1]), match[2]  # type: ignore[assignment]  # both are tzinfo
    if len(spec.split()) not in (1, 5):
        raise ValueError(f"cron schedule needs five fields: {schedule!r}")
    start = datetime.fromtimestamp(after // SECOND, tz=zone)
    found: datetime = croniter(spec, start).get_next(datetime)
    return int(found.timestamp()) * SECOND


def _interval(schedule: str) -> int:
    match = _EVERY.match(schedule.strip())
    if not match:
        return 0
    total = sum(int(float(number) * _UNIT[unit]) for number, unit in _PART.findall(match["spec"]))
    return max(-total if "-" in match[0] else total, SECOND)
