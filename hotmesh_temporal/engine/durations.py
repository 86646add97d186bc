"""Durations that come from outside: which make no sense, and which are cut down."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from .limits import SECOND

LONGEST = 100 * 365 * 24 * 3600
"""Seconds (100 years). The server cuts down what is longer, without an error."""


def cut_down(given: Duration) -> str | None:
    """What is wrong with a duration, in the server's words; None if nothing is. One that is too long is changed."""
    if given.seconds * given.nanos < 0:
        return "duration has seconds and nanos with different signs"
    if given.seconds < 0 or given.nanos < 0:
        return "negative duration"
    if given.seconds > LONGEST or (given.seconds == LONGEST and given.nanos):
        given.seconds, given.nanos = LONGEST, 0
    return None


def product(given: Duration, factor: int) -> Duration:
    """A multiple, as the server computes it: in 64 bits, where the sign may change."""
    value = min(given.seconds * SECOND + given.nanos, 2**63 - 1) * factor
    seconds, rest = divmod((value + 2**63) % 2**64 - 2**63, SECOND)
    if seconds < 0 and rest:
        seconds, rest = seconds + 1, rest - SECOND
    return Duration(seconds=seconds, nanos=rest)
