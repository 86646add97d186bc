"""Blocked consumers: who waits for which stream, and what wakes them.

A consumer is woken by a commit of this process at once, by a hint of another process, or by the clock: when the next
delayed message or lapsing lease is due, and at the latest after a pause that grows while nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

_SHORTEST_PAUSE = 0.25


class WaitingRoom:
    """Wake-ups by stream name. ``longest_pause`` in seconds bounds what a lost hint can cost."""

    def __init__(self, longest_pause: float = 5.0) -> None:
        self.longest_pause = longest_pause
        self.closed = False
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def enter(self, stream: str) -> asyncio.Event:
        """Begin to wait; the event is set by every wake-up from now on. `leave` must follow."""
        event = asyncio.Event()
        self._waiters.setdefault(stream, set()).add(event)
        return event

    def leave(self, stream: str, event: asyncio.Event) -> None:
        """Stop waiting."""
        waiters = self._waiters.get(stream, set())
        waiters.discard(event)
        if not waiters:
            self._waiters.pop(stream, None)

    def wake(self, streams: Iterable[str]) -> None:
        """Wake whoever waits for one of these."""
        for stream in streams:
            for event in self._waiters.get(stream, ()):
                event.set()

    def close(self) -> None:
        """Wake everybody for good."""
        self.closed = True
        self.wake(list(self._waiters))

    def pause(self, tries: int, next_available_in: float | None) -> float:
        """Seconds until the next look, after ``tries`` looks in vain."""
        pause = min(_SHORTEST_PAUSE * 2 ** min(tries, 16), self.longest_pause)
        return pause if next_available_in is None else min(pause, max(next_available_in, 0.0))


async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set or time is up, and clear it."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    event.clear()
