"""A clock for tests that can be put forward: to the next thing that is due, when nobody is at work.

It goes at the pace of the real one. While time skipping is not locked and nothing is going on (no workflow task and no
activity waits for a worker or is with one, the engine has nothing to do for other runs), it jumps to the next deadline
of a run or schedule, or to the end of somebody's sleep. The requests for it are those of the package
``temporal.api.testservice.v1``. For one engine on a database of its own; others would not know of the jumps.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from itertools import count

from ..engine.model import ExecutionState

_SETTLE_SECONDS = 0.002
"""How long nothing must go on before a jump: an answer that is on its way to a client may be followed by a request."""

_HOLD_SECONDS = 0.1
"""How long nothing is skipped after the end of a run that somebody waits for: whoever awaits the result locks the clock
when it is there, and shall find the time at which the workflow ended."""

_MILLISECOND = 1_000_000


class VirtualTime:
    """The clock, and the lock on skipping, which is taken once at the start."""

    def __init__(self) -> None:
        self._ahead = 0
        self._locks = 1
        self._held_until = 0.0
        self._busy: set[str] = set()
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._numbers = count()
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self.next_timer_ms: Callable[[], int] = lambda: 0
        """When the next deadline is, in milliseconds since the epoch (0: there is none)."""
        self.jumped: Callable[[], None] = lambda: None
        """Called when the clock has been put forward."""
        self.is_idle: Callable[[], Awaitable[bool]] = _always
        """The engine has nothing to do."""

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns() + self._ahead

    def start(self) -> None:
        """Begin to skip, once it is not locked any more."""
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop. Who sleeps is not woken."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    # -- requests ---------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """One more who does not want time to be skipped."""
        self._locks += 1
        self._held_until = 0.0
        self._changed.set()

    def unlock(self) -> None:
        """One less; below none, too: each of those who wait at the same time takes one away and gives it back."""
        self._locks -= 1
        self._changed.set()

    async def sleep_until(self, at: int) -> None:
        """Return when the clock says so (nanoseconds since the epoch)."""
        if at <= self.now():
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (at, next(self._numbers), woken))
        self._changed.set()
        await woken.wait()

    def saw(self, job_id: str, state: ExecutionState | None, *, awaited: bool) -> None:
        """A run has changed (None: it is not known what to); ``awaited``: somebody waits for changes of it."""
        if awaited and state is not None and not state.running and not state.new_run_id:
            self._held_until = time.monotonic() + _HOLD_SECONDS
        if state is not None and is_at_work(state):
            self._busy.add(job_id)
        else:
            self._busy.discard(job_id)
            self._changed.set()

    # -- skipping ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._wake_sleepers()
            if self._may_skip() and await self._stays_idle():
                self._jump()
                continue
            try:
                await asyncio.wait_for(self._changed.wait(), self._pause())
            except asyncio.TimeoutError:
                continue

    def _pause(self) -> float | None:
        """Seconds after which to look again, if nothing happens."""
        pauses = [max(self._sleepers[0][0] - self.now(), 0) / 1e9] if self._sleepers else []
        if self._may_skip():
            pauses.append(_SETTLE_SECONDS * 5)
        held = self._held_until - time.monotonic()
        if held > 0:
            pauses.append(held)
        return min(pauses, default=None)

    def _may_skip(self) -> bool:
        return (
            self._locks <= 0 and time.monotonic() >= self._held_until and not self._busy and self._next() > self.now()
        )

    async def _stays_idle(self) -> bool:
        await asyncio.sleep(_SETTLE_SECONDS)
        # Nothing may come between what is looked at here and the jump: so what waits is first.
        idle = await self.is_idle()
        return idle and not self._changed.is_set() and self._may_skip()

    def _jump(self) -> None:
        self._ahead += max(self._next() - self.now(), 0)
        self._wake_sleepers()
        self.jumped()

    def _next(self) -> int:
        """What is due next, in nanoseconds; 0 if nothing is."""
        timer = self.next_timer_ms() * _MILLISECOND
        sleeper = self._sleepers[0][0] if self._sleepers else 0
        return min(timer, sleeper) if timer and sleeper else timer or sleeper

    def _wake_sleepers(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self.now():
            heapq.heappop(self._sleepers)[2].set()


def is_at_work(state: ExecutionState) -> bool:
    """A worker has something to do for the run, or will have at once."""
    if not state.running:
        return False
    return state.task is not None or any(not each.paused and not each.retry_at for each in state.activities.values())


async def _always() -> bool:
    return True
