"""Throttles: how fast a process may hand out the tasks of a queue, and whether at all.

Rates are stored, so that processes which start later honour them too. Whoever changes one tells the others through the
quorum; a process that did not hear of it finds out when it looks again, within `REFRESH_SECONDS`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping

from ..contracts.errors import ContractError
from ..contracts.store_routing import ThrottleStore
from ..contracts.types import MAX_DELAY_MS
from .keys import QueueKey

_LOG = logging.getLogger(__name__)

REFRESH_SECONDS = 120.0
"""How often a process looks at the stored rates, in case that it was not told of a change."""

EVERYTHING = ":"
"""The topic under which the store has the rate of all queues."""

PAUSED = -1
"""The rate of a queue that gives nothing to anybody."""


class Pace:
    """How fast this process may hand out tasks of one queue. ``delay``: seconds after each; 0: at once, inf: never."""

    __slots__ = ("_last", "delay")

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self._last = 0.0

    def remaining(self) -> float:
        """Seconds until the next task may be handed out."""
        if not self.delay or self.delay == math.inf:
            return self.delay
        return max(self._last + self.delay - time.monotonic(), 0.0)

    def note(self) -> None:
        """A task is handed out."""
        self._last = time.monotonic()


class Throttle:
    """The rates in force in this process, in milliseconds between two tasks of a queue; `PAUSED` for none at all.

    A queue has its own rate, else that of all queues, else none. A rate that was given to this process alone counts
    more than a stored one, and ends with the process.
    """

    def __init__(self, store: ThrottleStore) -> None:
        self._store = store
        self._stored: dict[str, int] = {}
        self._own: dict[str, int] = {}
        self._limits: dict[str, float] = {}
        self._paces: dict[str, Pace] = {}
        self._refresher: asyncio.Task[None] | None = None
        self.changed: Callable[[], None] = lambda: None
        """Called when the pace of a queue may have changed."""

    async def start(self) -> None:
        """Read the rates, and again from time to time."""
        await self.refresh()
        self._refresher = asyncio.get_running_loop().create_task(self._refresh_for_ever())

    async def close(self) -> None:
        """Stop looking."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)

    async def refresh(self) -> None:
        """Read the stored rates."""
        self._stored = _numbers(await self._store.get_throttle_rates())
        self._apply()

    def set_own(self, topic: str | None, rate: int) -> None:
        """A rate for this process alone: of one queue's topic, or of all queues, which replaces all such rates.

        0 takes it back: the stored ones are in force again.
        """
        if topic is None:
            self._own.clear()
        self._own[topic or EVERYTHING] = rate
        if not rate:
            del self._own[topic or EVERYTHING]
        self._apply()

    def set_limit(self, topic: str, delay: float) -> None:
        """This process's share of the rate that a queue as a whole may have: seconds between two tasks (0: none).

        Of it and the rate in milliseconds the slower one counts.
        """
        self._limits[topic] = delay
        if not delay:
            del self._limits[topic]
        self._apply()

    def rate(self, topic: str) -> int:
        """Of a queue's topic (`EVERYTHING`: of queues without a rate of their own)."""
        for rates in (self._own, self._stored):
            for name in (topic, EVERYTHING):
                if name in rates:
                    return rates[name]
        return 0

    def pace(self, key: QueueKey) -> Pace:
        """Of a queue; the same object for as long as the process lives, and always up to date."""
        pace = self._paces.get(key.topic)
        if pace is None:
            pace = self._paces[key.topic] = Pace(self._delay_of(key.topic))
        return pace

    def restrains(self, key: QueueKey) -> bool:
        """Tasks of the queue are not handed out as fast as possible."""
        return bool((self._own or self._stored or self._limits) and self._delay_of(key.topic))

    def _delay_of(self, topic: str) -> float:
        return max(_delay(self.rate(topic)), self._limits.get(topic, 0.0))

    def _apply(self) -> None:
        changed = False
        for topic, pace in self._paces.items():
            before, pace.delay = pace.delay, self._delay_of(topic)
            changed = changed or pace.delay != before
        if changed:
            self.changed()

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except ContractError as error:
                _LOG.debug("the throttle rates could not be read: %s", error)
            except Exception:
                # Rates that were changed unheard of are found here only: it must not end.
                _LOG.exception("the throttle rates could not be read")


def _delay(rate: int) -> float:
    return math.inf if rate < 0 or rate >= MAX_DELAY_MS else rate / 1000


def _numbers(rates: Mapping[str, str]) -> dict[str, int]:
    """Rates of other writers than this package may be no numbers: they are none."""
    found: dict[str, int] = {}
    for topic, rate in rates.items():
        try:
            found[topic] = int(rate)
        except ValueError:
            _LOG.warning("the throttle rate %r of %r is not a number and is not used", rate, topic)
    return found
