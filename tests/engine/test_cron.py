"""When a cron workflow runs next."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from hotmesh_temporal.engine import cron
from hotmesh_temporal.engine.context import SECOND


def at(text: str) -> int:
    """Nanoseconds since the epoch of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * SECOND)


@pytest.mark.parametrize(
    ("schedule", "after", "upcoming"),
    [
        ("* * * * *", "2024-01-01T10:00:30", "2024-01-01T10:01:00"),
        ("* * * * *", "2024-01-01T10:00:00", "2024-01-01T10:01:00"),
        ("0 12 * * *", "2024-01-01T12:00:00", "2024-01-02T12:00:00"),
        ("30 4 1 1 *", "2024-02-01T00:00:00", "2025-01-01T04:30:00"),
        ("0 0 29 2 *", "2023-01-01T00:00:00", "2024-02-29T00:00:00"),
        ("0 0 * * MON", "2024-01-02T00:00:00", "2024-01-08T00:00:00"),
        ("*/15 9-17 * * 1-5", "2024-01-05T17:50:00", "2024-01-08T09:00:00"),
        ("@hourly", "2024-01-01T10:00:30", "2024-01-01T11:00:00"),
        ("@daily", "2024-01-01T10:00:30", "2024-01-02T00:00:00"),
        ("@weekly", "2024-01-02T00:00:00", "2024-01-07T00:00:00"),
        ("@monthly", "2024-01-02T00:00:00", "2024-02-01T00:00:00"),
        ("@every 1h30m", "2024-01-01T10:00:00", "2024-01-01T11:30:00"),
        ("@every 10s", "2024-01-01T10:00:00.700000", "2024-01-01T10:00:10"),
        ("@every 1ms", "2024-01-01T10:00:00", "2024-01-01T10:00:01"),
        ("CRON_TZ=Europe/Berlin 0 12 * * *", "2024-07-01T00:00:00", "2024-07-01T10:00:00"),
        ("TZ=Europe/Berlin 0 12 * * *", "2024-01-01T00:00:00", "2024-01-01T11:00:00"),
    ],
)
def test_the_next_time(schedule: str, after: str, upcoming: str) -> None:
    assert cron.next_time(schedule, at(after)) == at(upcoming)


@pytest.mark.parametrize(
    ("schedule", "valid"),
    [
        ("* * * * *", True),
        ("@every 5s", True),
        ("@daily", True),
        ("", False),
        ("nonsense", False),
        ("* * * *", False),
        ("* * * * * *", False),
        ("61 * * * *", False),
        ("@every soon", False),
        ("CRON_TZ=Nowhere/City * * * * *", False),
    ],
)
def test_what_is_understood(schedule: str, valid: bool) -> None:
    assert cron.is_valid(schedule) == valid


@pytest.mark.parametrize(
    ("schedule", "begun", "closed", "wait"),
    [
        ("@every 10s", "2024-01-01T10:00:00", "2024-01-01T10:00:03", 7),
        ("@every 10s", "2024-01-01T10:00:00", "2024-01-01T10:00:25", 5),
        ("@every 10s", "2024-01-01T10:00:00", "2024-01-01T10:00:20", 0),
        ("* * * * *", "2024-01-01T10:00:00", "2024-01-01T10:00:20", 40),
        ("* * * * *", "2024-01-01T10:00:00", "2024-01-01T10:05:20", 40),
        ("* * * * *", "2024-01-01T10:00:00", "2024-01-01T10:00:20.500000", 40),
    ],
)
def test_the_wait_after_a_run(schedule: str, begun: str, closed: str, wait: int) -> None:
    assert cron.backoff(schedule, at(begun), at(closed)) == wait * SECOND
