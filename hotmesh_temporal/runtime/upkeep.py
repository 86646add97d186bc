"""Upkeep: what has to be done for a namespace at some time, by one process, whichever is there.

Each kind of work of each namespace is a job of the store with one time hook. Whoever holds the scout role ``time``
asks for hooks that are due, does a step of the work, and arms the hook for the next one. A hook is acked after that, so
a step that was cut off is done again by whoever comes next. The step says when the next one is due; so the work itself
is bounded, and can be done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable

from ..contracts.errors import ContractError
from ..contracts.store import StoreService
from ..contracts.types import TimeHookTask
from ..engine.limits import SECOND, Limits
from ..errors import RpcError
from .clock import Clock
from .keys import APP_ID, upkeep_job

_LOG = logging.getLogger(__name__)

Step = Callable[[str], Awaitable["int | None"]]
"""Does a step of the work for a namespace; when the next one is due, in milliseconds since the epoch (None: never)."""

TOPIC = "upkeep"
"""The hint that something was armed for now."""

ROLE = "time"

_LONGEST_LEASE_SECONDS = 60.0
_STEPS_PER_LEASE = 6
_RETRY_SECONDS = 5.0
_AT_ONCE_MS = 1000
_DUE, _TYPE = "due", "expire"


class Upkeep:
    """One loop in each process."""

    def __init__(self, store: StoreService, clock: Clock, limits: Limits, engine_id: str) -> None:
        self._store = store
        self._clock = clock
        self._interval = limits.upkeep_interval / SECOND
        self._lease_seconds = min(self._interval, _LONGEST_LEASE_SECONDS)
        """How long a step is lost when its process dies."""
        self.step_seconds = self._lease_seconds / _STEPS_PER_LEASE
        """How long a step may take, about: so much shorter than the lease that it is over in time."""
        self._engine_id = engine_id
        self._wake = asyncio.Event()
        self._held_until = 0.0
        self._due: dict[str, int] = {}
        """When the steps are due that this process knows of, by job."""
        self._adopted = self._closing = False
        self._loop: asyncio.Task[None] | None = None
        self.steps: dict[str, Step] = {}
        """By kind of work."""
        self.adopt: Callable[[], Awaitable[None]] | None = None
        """Arms what should have been armed by a process that died, or by one that did not know of it yet."""
        self.say: Callable[[str], None] = lambda topic: None

    async def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop, and let another process have the role."""
        self._closing = True
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._holds_role():
            with contextlib.suppress(ContractError):
                await self._store.release_scout_role(ROLE, self._engine_id)
            self.say(TOPIC)

    # -- arming -----------------------------------------------------------------------------------------------

    async def armed_at(self, kind: str, namespace: str) -> int | None:
        """When the next step is due, in milliseconds since the epoch; None if there is none."""
        job_id = upkeep_job(kind, namespace)
        due = (await self._store.get_query_state(job_id, [_DUE]))[_DUE]
        return None if due is None else int(due)

    async def arm(self, kind: str, namespace: str, at_ms: int) -> None:
        """Have a step done at ``at_ms``, unless one is due before that anyway.

        The note of the time and the hook are one transaction. A hook of an earlier note stays: it does a step too many.
        """
        now, armed = self._clock.now_ms(), await self.armed_at(kind, namespace)
        job_id = upkeep_job(kind, namespace)
        if armed is None:
            await self._store.set_state_nx(job_id, APP_ID)
        if armed is None or not now <= armed <= at_ms:
            transaction = self._store.transaction()
            await self._store.set_query_state(job_id, {_DUE: str(at_ms)}, transaction)
            await self._store.register_time_hook(job_id, namespace, kind, _TYPE, at_ms, "", transaction)
            await transaction.exec()
        self._due[job_id] = at_ms
        if at_ms <= now + _AT_ONCE_MS:
            self.say(TOPIC)
            self._wake.set()

    async def drop(self, kind: str, namespace: str) -> None:
        """There is nothing to do any more."""
        self._due.pop(upkeep_job(kind, namespace), None)
        await self._store.scrub(upkeep_job(kind, namespace))

    def hinted(self, topic: str) -> None:
        """Another process has said something."""
        if topic == TOPIC:
            self._wake.set()

    # -- working ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        # What has just started has better things to do, and many processes may start at once.
        pause = min(random.uniform(1, 3), self._interval)
        # Before Python 3.12 `wait_for` may lose a cancellation; then this is the end.
        while not self._closing:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            self._wake.clear()
            try:
                pause = await self._look()
            except ContractError as error:
                _LOG.debug("upkeep is tried again: %s", error)
                pause = min(_RETRY_SECONDS, self._interval)
            except Exception:
                # Nobody else removes anything: it must not end.
                _LOG.exception("upkeep is tried again")
                pause = self._interval

    async def _look(self) -> float:
        """Do what is due; how long to wait for the next look, in seconds."""
        if not await self._has_role():
            return self._interval * random.uniform(1.0, 1.1)
        if not self._adopted and self.adopt is not None:
            await self.adopt()
            self._adopted = True
        while await self._has_role():
            task = await self._store.get_next_task(lease_ms=round(self._lease_seconds * 1000))
            if not isinstance(task, TimeHookTask):
                break
            self._due.pop(task.job_id, None)
            await self._do(task)
        until_next = (min(self._due.values(), default=0) - self._clock.now_ms()) / 1000
        return min(max(until_next, 0.0), self._interval) if self._due else self._interval

    async def _do(self, task: TimeHookTask) -> None:
        kind, namespace = task.activity_id, task.gid
        step = self.steps.get(kind)
        if step is None:
            _LOG.error("a time hook that nobody knows is dropped: %s", task)
            await self._store.ack_time_hook(task)
            return
        try:
            following = await step(namespace)
        except (ContractError, RpcError) as error:
            _LOG.debug("%s of namespace %r is tried again: %s", kind, namespace, error)
            return
        except Exception:
            _LOG.exception("%s of namespace %r is tried again", kind, namespace)
            return
        if following is None:
            await self._store.scrub(task.job_id)
        else:
            await self.arm(kind, namespace, following)
        await self._store.ack_time_hook(task)

    def _holds_role(self) -> bool:
        return time.monotonic() < self._held_until

    async def _has_role(self) -> bool:
        """This process is the one that looks; the role is taken if nobody has it."""
        if self._holds_role():
            return True
        seconds = max(round(self._interval), 2)
        begin = time.monotonic()
        if not await self._store.reserve_scout_role(ROLE, seconds, self._engine_id):
            return False
        # The role lapses a second before ``seconds`` are over.
        self._held_until = begin + seconds - 1
        return True
