"""How often something happens: a count over the last seconds, for whoever asks."""

from __future__ import annotations

import time

WINDOW_SECONDS = 30.0


class Meter:
    """Events per second, over the last `WINDOW_SECONDS` or a little less."""

    __slots__ = ("_before", "_begun_at", "_counted")

    def __init__(self) -> None:
        self._before = 0
        self._counted = 0
        self._begun_at = time.monotonic()

    def note(self) -> None:
        """One more."""
        self._turn(time.monotonic())
        self._counted += 1

    def rate(self) -> float:
        """Events per second: what the window before this one still counts for, and what was counted since."""
        now = time.monotonic()
        self._turn(now)
        share = (now - self._begun_at) / WINDOW_SECONDS
        return (self._before * (1 - share) + self._counted) / WINDOW_SECONDS

    def _turn(self, now: float) -> None:
        elapsed = now - self._begun_at
        if elapsed >= WINDOW_SECONDS:
            self._before = self._counted if elapsed < 2 * WINDOW_SECONDS else 0
            self._counted = 0
            self._begun_at = now if elapsed >= 2 * WINDOW_SECONDS else self._begun_at + WINDOW_SECONDS
