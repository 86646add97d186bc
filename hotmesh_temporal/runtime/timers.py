"""Deadlines of runs, in time.

Every process fires the timers that it has armed itself, directly: the run's revision decides if two do. A scan with
leases takes up what belonged to processes that are gone. It runs in every process, not under a leader, because a
leader's own death would delay all timers by its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import math
import time
from collections.abc import Awaitable, Callable

from ..contracts.errors import ContractError
from ..contracts.store import StoreService
from ..errors import Code, RpcError
from .clock import Clock

_LOG = logging.getLogger(__name__)

SCAN_SECONDS = 20.0
"""How often a process looks for orphaned timers, at least."""

BUSY_SCAN_SECONDS = 5.0
"""The same while others work: what one of them has armed for soon, it may have armed just before it was killed."""

TOPIC = "timers"
"""The hint that a process leaves timers to the others."""

_GRACE_MS = 2000
_CLAIM_LEASE_MS = 15_000
_CLAIM_LIMIT = 200
_RETRY_SECONDS = 1.0
_PARALLEL = 20


class Timers:
    """Calls ``fire(job_id)`` for each run when its time has come; it must re-arm or disarm the run's timer."""

    def __init__(self, store: StoreService, clock: Clock, fire: Callable[[str], Awaitable[bool]]) -> None:
        """``fire`` returns False if there is no such run."""
        self._store = store
        self._clock = clock
        self._fire = fire
        self._armed: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._wake = asyncio.Event()
        self._limit = asyncio.Semaphore(_PARALLEL)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()
        self._closing = False
        self._heard_at = -math.inf
        self.say: Callable[[str], None] = lambda topic: None

    async def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._loops = [loop.create_task(self._run_own()), loop.create_task(self._run_scan())]

    async def close(self) -> None:
        """Stop; others take over what is armed, and are told so."""
        self._closing = True
        for task in (*self._loops, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._loops, *self._tasks, return_exceptions=True)
        if self._armed:
            self.say(TOPIC)

    def hinted(self, topic: str) -> None:
        """Another process has said something: it is at work."""
        at_rest = time.monotonic() - self._heard_at > SCAN_SECONDS
        self._heard_at = time.monotonic()
        if topic == TOPIC or at_rest:
            self._look.set()

    def watch(self, job_id: str, at_ms: int) -> None:
        """This process has armed the run's timer for ``at_ms`` (0: disarmed it)."""
        if not at_ms:
            self._armed.pop(job_id, None)
        elif self._armed.get(job_id) != at_ms:
            self._armed[job_id] = at_ms
            heapq.heappush(self._heap, (at_ms, job_id))
            if self._heap[0] == (at_ms, job_id):
                self._wake.set()

    def next_at_ms(self) -> int:
        """When the next timer of this process fires, in milliseconds since the epoch (0: there is none)."""
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else 0

    @property
    def firing(self) -> bool:
        """Timers are being fired."""
        return bool(self._tasks)

    def time_changed(self) -> None:
        """The clock was put forward."""
        self._wake.set()

    async def _run_own(self) -> None:
        while not self._closing:
            self._wake.clear()
            now = self._clock.now_ms()
            while self._heap and self._heap[0][0] <= now:
                at_ms, job_id = heapq.heappop(self._heap)
                if self._armed.get(job_id) == at_ms:
                    del self._armed[job_id]
                    self._spawn(self._fire_own(job_id))
            pause = (self._heap[0][0] - now) / 1000 if self._heap else None
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except asyncio.TimeoutError:
                continue

    async def _fire_own(self, job_id: str) -> None:
        async with self._limit:
            try:
                await self._fire(job_id)
            except RpcError as error:
                if error.code != Code.UNAVAILABLE:
                    raise
                _LOG.debug("timer of %s is tried again: %s", job_id, error)
                self.watch(job_id, self._clock.now_ms() + int(_RETRY_SECONDS * 1000))
            except ContractError as error:
                _LOG.debug("timer of %s is tried again: %s", job_id, error)
                self.watch(job_id, self._clock.now_ms() + int(_RETRY_SECONDS * 1000))

    async def _run_scan(self) -> None:
        # Before Python 3.12 `wait_for` may lose a cancellation; then this is the end.
        while not self._closing:
            try:
                pause = await self._scan()
            except ContractError as error:
                _LOG.debug("timers could not be scanned: %s", error)
                pause = _RETRY_SECONDS
            except Exception:
                # The scan is what covers for processes that died: it must not end.
                _LOG.exception("timers could not be scanned")
                pause = SCAN_SECONDS
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)
            self._look.clear()

    async def _scan(self) -> float:
        """Take up overdue timers; how long to wait for the next look, in seconds."""
        overdue = self._clock.now_ms() - _GRACE_MS
        due = await self._store.claim_due_timers(overdue, _CLAIM_LIMIT, _CLAIM_LEASE_MS)
        for timer in due.timers:
            self._spawn(self._take_up(timer.timer_id, timer.fence))
        longest = BUSY_SCAN_SECONDS if time.monotonic() - self._heard_at < SCAN_SECONDS else SCAN_SECONDS
        if due.next_fire_at_ms is None:
            return longest
        until_next = (due.next_fire_at_ms + _GRACE_MS - self._clock.now_ms()) / 1000
        return min(max(until_next, 0.5), longest)

    async def _take_up(self, timer_id: str, fence: int) -> None:
        async with self._limit:
            try:
                if not await self._fire(timer_id):
                    await self._store.ack_timer(timer_id, fence)
            except (RpcError, ContractError) as error:
                _LOG.debug("timer %s comes due again: %s", timer_id, error)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a timer could not be fired", exc_info=error)
