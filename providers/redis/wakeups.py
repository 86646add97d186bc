"""Waiting for messages: who waits for which stream, and what wakes them.

A blocked consumer is woken by a publication of this process at once, by a notice of another one, and by the clock when
a delayed message or a lapsing lease is foreseen. One poll for all waiting streams covers for notices that are lost; it
is slow while the connection that hears them is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from hotmesh_temporal.contracts.errors import ContractError

from .commit import FORESEEN_MS

POLL_S = FORESEEN_MS / 1000
"""The pause between polls while notices are heard. A lease of this length is therefore seen before it lapses."""

DEAF_POLL_S = 1.0
"""The contract's bound on how late a blocked consumer may wake when no notice reaches it."""

log = logging.getLogger(__name__)

Outlook = Callable[[Sequence[str]], Awaitable[list[int]]]
"""When the next message of each stream can be delivered: 0 now, -1 there is none, else ms since the epoch."""


class Wakeups:
    """The waiting consumers of one stream service."""

    def __init__(self, outlook: Outlook, hears: Callable[[], bool]) -> None:
        self._outlook = outlook
        self._hears = hears
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._poller: asyncio.Task[None] | None = None
        self.closed = False

    def register(self, stream: str) -> asyncio.Event:
        """An event for one consumer; register before looking, so that nothing is missed between look and wait."""
        event = asyncio.Event()
        self._waiting.setdefault(stream, []).append(event)
        return event

    def unregister(self, stream: str, event: asyncio.Event) -> None:
        """End a registration."""
        events = self._waiting[stream]
        events.remove(event)
        if not events:
            del self._waiting[stream]

    def wake(self, streams: Iterable[str]) -> None:
        """Something may have arrived: let the consumers of these streams look."""
        for stream in streams:
            for event in self._waiting.get(stream, ()):
                event.set()

    def wake_all(self) -> None:
        """Notices may have been missed: let everybody look."""
        self.wake(list(self._waiting))

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until the event is set or time is up, and clear it."""
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="hotmesh-redis-poll")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(event.wait(), max(seconds, 0.001))
        event.clear()

    async def close(self) -> None:
        """Wake everybody for good and stop polling."""
        self.closed = True
        self.wake_all()
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    async def _poll(self) -> None:
        soonest = POLL_S
        while self._waiting:
            await asyncio.sleep(min(soonest, POLL_S if self._hears() else DEAF_POLL_S))
            try:
                soonest = await self._look()
            except ContractError as error:
                log.debug("streams could not be polled: %s", error)
                soonest = DEAF_POLL_S

    async def _look(self) -> float:
        """Wake the consumers of ready streams; returns in how many seconds a message is foreseen."""
        streams, soonest = list(self._waiting), POLL_S
        if not streams:
            return soonest
        now_ms = time.time() * 1000
        for stream, due in zip(streams, await self._outlook(streams), strict=True):
            if due == 0:
                self.wake([stream])
            elif due > 0:
                soonest = min(soonest, max((due - now_ms) / 1000, 0.005))
        return soonest
