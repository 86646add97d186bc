"""Requests that are part of a transaction of the user's.

Such a request is decided on and committed as any other, but by runs of its own, read and written over the user's
connection: whether it ever becomes true is decided later, by the user. So nothing of it may reach what this process has
in memory, and no poller may be given its tasks, before the transaction has committed. How do we hear of that? Where
notices are sent by the database itself, one that is part of the transaction says so, to all processes. Where they are
not, the process that took part looks until it sees the change, or that the transaction is over without it. If it dies
before that, the sweeps of the other processes find what there is to do.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from ..contracts.commit import Ack
from ..contracts.errors import ContractError, TransactionError
from ..contracts.joining import JoinedTransaction, UsersConnection
from ..engine.model import ExecutionState
from ..errors import RpcError
from .execution import Executions
from .keys import APP_ID, QueueKey
from .matching import Matching, Offer, Started, Waiter
from .registry import TypeRegistry

if TYPE_CHECKING:
    from .service import Runtime

_LOG = logging.getLogger(__name__)

_T = TypeVar("_T")

_FIRST_LOOK, _LONGEST_PAUSE = 0.002, 0.25
LOOK_SECONDS = 60.0
"""For how long a process looks whether a transaction has committed. One that takes longer is found by the sweeps."""

GONE_SECONDS = 5.0
"""What cannot be seen when a transaction has been over for so long was rolled back."""

_REMEMBERED = 10_000
"""How many transactions may be open at once without any of them being found by the sweeps only."""


@dataclass(slots=True)
class _Aftermath:
    """What this process has to do once the transaction has committed."""

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    runs: dict[str, int] = field(default_factory=dict[str, int])
    """The revisions that the changed runs have then, by job id."""
    streams: set[str] = field(default_factory=set[str])
    steps: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    @property
    def topics(self) -> list[str]:
        """What others are to be told of."""
        return [*self.runs, *sorted(self.streams)]


class _Surroundings:
    """Stands in for queues, timers, counters and outbox, and notes what is to be done there later."""

    def __init__(self, runtime: Runtime, after: _Aftermath) -> None:
        self._runtime, self._after = runtime, after
        self._matching: Matching = runtime.matching

    # -- queues: nobody is given anything now ---------------------------------------------------------------------

    def reserve(self, key: QueueKey) -> Waiter | None:
        return None

    def give(self, waiter: Waiter, started: Started) -> None:
        raise AssertionError("no poller was reserved")

    def free(self, waiter: Waiter) -> None:
        raise AssertionError("no poller was reserved")

    def offer(self, key: QueueKey, message: str) -> Offer:
        return Offer(key, self._matching.stream_of(key), message)

    def published(self, offer: Offer, message_id: str) -> None:
        self._after.streams.add(offer.stream)
        self._after.steps.append(lambda: self._matching.added(offer.stream))

    def withdraw(self, offer: Offer) -> None:
        """Nothing was reserved for it."""

    def is_gone(self, key: QueueKey) -> bool:
        return self._matching.is_gone(key)

    def discard(self, key: QueueKey, age_ms: int) -> None:
        self._after.steps.append(lambda: self._matching.discard(key, age_ms))

    # -- outbox, timers, counters, types --------------------------------------------------------------------------

    def send(self, offers: Sequence[tuple[Offer, str]]) -> None:
        outbox = self._runtime.outbox
        self._after.steps.append(lambda: outbox.send(offers))

    def settle(self, acks: Sequence[Ack]) -> None:
        """No message is consumed in a request of a client."""

    def watch(self, job_id: str, at_ms: int) -> None:
        self._after.steps.append(lambda: self._runtime.timers.watch(job_id, at_ms))

    def opened(self, state: ExecutionState) -> None:
        self._after.steps.append(lambda: self._runtime.counters.opened(state))

    def closed(self, state: ExecutionState) -> None:
        self._after.steps.append(lambda: self._runtime.counters.closed(state))

    def started(self, namespace: str, queue: str, workflow_type: str) -> None:
        self._after.steps.append(lambda: self._runtime.registry.started(namespace, queue, workflow_type))


class Joining:
    """The transactions of users that this process takes part in."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._open: dict[str, _Aftermath] = {}
        self._waiting: dict[int, list[_Aftermath]] = {}
        """What was done over a connection, the oldest first, and is not known to be committed."""
        self._watchers: set[asyncio.Task[None]] = set()

    async def within(self, way: UsersConnection, answer: Callable[[Runtime], Awaitable[_T]]) -> _T:
        """Answer a request in the transaction that is open on the connection.

        Raises what ``answer`` does, and `TransactionUnusable` and `TransactionAborted`.
        """
        transaction = await self._runtime.backend.join(way)
        after = _Aftermath()
        try:
            result = await answer(self._view(transaction, after))
        except RpcError:
            # A refusal may have been written down, too: a run that grew too large was ended.
            await self._announce(way, transaction, after)
            raise
        await self._announce(way, transaction, after)
        return result

    def _view(self, transaction: JoinedTransaction, after: _Aftermath) -> Runtime:
        """This runtime, with other runs: those of the transaction."""
        real, around = self._runtime, _Surroundings(self._runtime, after)
        runs = Executions(transaction, real.clock, real.limits, real.namespaces)
        runs.matching = runs.timers = runs.counters = around
        runs.outbox = around if real.executions.outbox is not None else None

        def changed(job_id: str) -> None:
            loaded = runs.cached(job_id)
            if loaded is not None:
                after.runs[job_id] = loaded.revision

        runs.changed = changed
        view = copy.copy(real)
        view.executions = runs
        view.registry = cast(TypeRegistry, around)  # requests ask nothing else of it than `started`
        return view

    async def _announce(self, way: UsersConnection, transaction: JoinedTransaction, after: _Aftermath) -> None:
        """See to it that this process, and the others, hear of the commit."""
        if not after.runs:
            return
        if not self._runtime.backend.sub_joins_store:
            self._watch(id(way.connection), transaction, after)
            return
        self._open[after.name] = after
        while len(self._open) > _REMEMBERED:
            del self._open[next(iter(self._open))]
        try:
            await transaction.say({"transaction": after.name, "topics": after.topics}, APP_ID)
        except TransactionError:
            self._open.pop(after.name, None)
            raise

    def committed(self, name: str) -> None:
        """The database says so. Most often it is a transaction of another process."""
        after = self._open.pop(name, None)
        if after is not None:
            self._take_steps(after)

    def _watch(self, key: int, transaction: JoinedTransaction, after: _Aftermath) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(after)
            return
        self._waiting[key] = waiting = [after]
        watcher = asyncio.get_running_loop().create_task(self._look(key, transaction, waiting))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _look(self, key: int, transaction: JoinedTransaction, waiting: list[_Aftermath]) -> None:
        """Look until all that was done over a connection is there, or will not come; ever less often."""
        pause, known = _FIRST_LOOK, len(waiting)
        begun = time.monotonic()
        over_since = math.inf
        try:
            while waiting and time.monotonic() - begun < LOOK_SECONDS:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
                over_since = min(over_since, time.monotonic()) if transaction.is_over() else math.inf
                try:
                    # A connection may say that it is over while its commit is being written.
                    await self._settle(waiting, over=time.monotonic() - over_since > GONE_SECONDS)
                except ContractError as error:
                    _LOG.debug("whether a transaction has committed is not known yet: %s", error)
                if len(waiting) != known:
                    pause, known, begun = _FIRST_LOOK, len(waiting), time.monotonic()
        finally:
            del self._waiting[key]

    async def _settle(self, waiting: list[_Aftermath], *, over: bool) -> None:
        if not over and not await self._is_there(waiting[0]) and not await self._is_there(waiting[-1]):
            return
        for after in list(waiting):
            there = await self._is_there(after)
            if there:
                self._tell_all(after)
            if there or over:
                waiting.remove(after)

    async def _is_there(self, after: _Aftermath) -> bool:
        (job_id, revision), *_ = after.runs.items()
        record = await self._runtime.store.load_run(job_id, revision)
        return record is not None and record.revision >= revision

    def _tell_all(self, after: _Aftermath) -> None:
        self._take_steps(after)
        for topic in after.topics:
            self._runtime.hinted(topic)
            self._runtime.hints.say(topic)

    @staticmethod
    def _take_steps(after: _Aftermath) -> None:
        for step in after.steps:
            step()

    async def close(self) -> None:
        """Stop looking."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
