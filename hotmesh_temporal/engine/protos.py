"""Times and durations between protobuf and the engine's nanoseconds."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from .context import MILLISECOND, SECOND


def nanos(duration: Duration) -> int:
    """Nanoseconds of a duration."""
    return duration.seconds * SECOND + duration.nanos


def duration(value: int) -> Duration:
    """The duration of that many nanoseconds; both parts have the sign of the whole."""
    seconds, rest = divmod(abs(value), SECOND)
    return Duration(seconds=seconds, nanos=rest) if value >= 0 else Duration(seconds=-seconds, nanos=-rest)


def timestamp(value: int) -> Timestamp:
    """The time that many nanoseconds after the epoch."""
    seconds, rest = divmod(value, SECOND)
    return Timestamp(seconds=seconds, nanos=rest)


def moment(value: Timestamp) -> int:
    """Nanoseconds after the epoch."""
    return value.seconds * SECOND + value.nanos


def ceil_ms(value: int) -> int:
    """Milliseconds, rounded up, so that a timer never fires early."""
    return -(-value // MILLISECOND)
