"""Waiting for messages without a statement per waiter.

A blocked consumer waits for its queue's event. The event is set by a publication in this process, by a notice of
another one, or by a poll that one task makes for all waiting queues; the poll also foresees when a delayed message or
a lapsing lease makes a message ready.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from hotmesh_temporal.contracts.errors import ContractError

FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0
"""The contract's bound on how late a blocked consumer may wake when no notice reaches it."""

log = logging.getLogger(__name__)

Outlook = Callable[[list[UUID]], Awaitable[list[tuple[UUID, bool, "int | None"]]]]
"""For each queue: is a message ready, and when (ms since the epoch) is the next one, if that can be foreseen."""


class Wakeups:
    """The waiting consumers of one stream service."""

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook
        self._waiting: dict[UUID, list[asyncio.Event]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self.closed = False

    def wake(self, queues: Iterable[UUID]) -> None:
        """Something may have arrived: let the consumers of these queues look."""
        for queue in queues:
            for event in self._waiting.get(queue, ()):
                event.set()

    async def wait(self, queue: UUID, event: asyncio.Event, timeout_s: float) -> bool:
        """Wait until ``event`` (see `register`) is set. False after ``timeout_s``."""
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), name="hotmesh-stream-poll")
        self._nudge.set()
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except asyncio.TimeoutError:
            return False
        return True

    def register(self, queue: UUID) -> asyncio.Event:
        """An event for one consumer; register before looking, so that nothing is missed between look and wait."""
        event = asyncio.Event()
        self._waiting.setdefault(queue, []).append(event)
        return event

    def unregister(self, queue: UUID, event: asyncio.Event) -> None:
        """End a registration."""
        events = self._waiting[queue]
        events.remove(event)
        if not events:
            del self._waiting[queue]

    async def close(self) -> None:
        """Wake everybody and stop polling."""
        self.closed = True
        self.wake(list(self._waiting))
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    async def _poll(self) -> None:
        """Poll while somebody waits: soon after a new waiter came, then ever less often."""
        delay = FIRST_POLL_S
        while self._waiting:
            if self._nudge.is_set():
                self._nudge.clear()
                delay = FIRST_POLL_S
            await asyncio.sleep(delay)
            try:
                delay = min(await self._look(), delay * 2, LONGEST_POLL_S)
            except ContractError as error:
                log.debug("stream poll failed: %s", error)
                delay = LONGEST_POLL_S

    async def _look(self) -> float:
        """Wake the consumers of ready queues; returns in how many seconds a message is foreseen."""
        now_ms = time.time() * 1000
        soonest = LONGEST_POLL_S
        for queue, ready, next_at in await self._outlook(list(self._waiting)):
            if ready:
                self.wake([queue])
            if next_at is not None:
                soonest = min(soonest, max((next_at - now_ms) / 1000, 0.005))
        return soonest
