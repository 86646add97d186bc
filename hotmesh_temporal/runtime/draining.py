"""The way out: what waits is answered empty, so that its callers go to another process before this one stops.

While it drains, a process still serves what comes in, because whoever spreads the calls over several processes needs a
moment to see that this one is leaving. A long poll that comes in then lasts no longer than that.
"""

from __future__ import annotations

import math
import time

from .matching import Matching
from .watching import Watching


class Patience:
    """How long a request may still wait. A long poll also ends when all of them are ended."""

    __slots__ = ("_draining", "_round", "_until")

    def __init__(self, seconds: float, draining: Draining | None = None) -> None:
        """With ``draining`` it is a long poll's."""
        self._draining = draining
        self._round = draining.round if draining is not None else 0
        self._until = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds; none or fewer when the time is over."""
        if self._draining is not None and self._draining.round != self._round:
            return 0.0
        return self._until - time.monotonic()


class Draining:
    """Whether this process is about to stop, and what that means for long polls."""

    def __init__(self, matching: Matching, watching: Watching) -> None:
        self._matching = matching
        self._watching = watching
        self._over = math.inf
        self.round = 0
        """How often all long polls were ended."""

    @property
    def begun(self) -> bool:
        """It is about to stop: nobody should be sent here any more."""
        return self._over != math.inf

    def begin(self, seconds: float) -> None:
        """In that many seconds no call is taken any more. Who waits in a long poll is answered now. Idempotent."""
        if not self.begun:
            self._over = time.monotonic() + seconds
            self.end_long_polls()

    def end_long_polls(self) -> None:
        """Answer everybody who waits in a long poll: with what there is, or empty."""
        self.round += 1
        self._matching.end_polls()
        self._watching.end_waits()

    def longest(self, seconds: float) -> float:
        """How long a poll for tasks may last that would otherwise last that long."""
        return min(seconds, max(self._over - time.monotonic(), 0.0)) if self.begun else seconds

    def patience(self, seconds: float) -> Patience:
        """Of a long poll that would otherwise last that long."""
        return Patience(self.longest(seconds), self)
