"""Taking messages of a stream."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hotmesh_temporal.contracts.errors import ContractError

from . import upkeep
from .log import Log
from .queues import Queue
from .records import Record

log = logging.getLogger(__name__)

_PAGE = 32
_LARGEST_PAGE = 1000
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants how many messages, and for how long."""

    group: str
    consumer: str
    limit: int
    lease_ms: int
    auto_ack: bool = False


@dataclass(slots=True)
class Taken:
    """What was taken; ``next_at``: when something else becomes ready, as far as it was seen (0: nothing)."""

    taken: list[Record] = field(default_factory=list[Record])
    next_at: int = 0


class Claims:
    """Takes messages; remembers which record is the lease of each, so that disposing of it is one request."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._leases: dict[str, tuple[str, int, int]] = {}
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._background: set[asyncio.Task[Any]] = set()

    # -- memory -------------------------------------------------------------------------------------------------

    def keep(self, record: Record) -> None:
        """This process holds it."""
        self.remember(record.message_id, record.state.consumer, record.state.attempt, record.seq)

    def remember(self, message_id: str, consumer: str, attempt: int, seq: int) -> None:
        """The lease of this delivery is the record ``seq``."""
        self._leases.pop(message_id, None)
        self._leases[message_id] = (consumer, attempt, seq)
        if len(self._leases) > _REMEMBERED:
            del self._leases[next(iter(self._leases))]

    def forget(self, message_id: str, consumer: str | None, attempt: int | None) -> int | None:
        """The record of that delivery, if it is known and the delivery is the one that is meant."""
        lease = self._leases.get(message_id)
        if lease is None or consumer not in (None, lease[0]) or attempt not in (None, lease[1]):
            return None
        del self._leases[message_id]
        return lease[2]

    # -- taking -------------------------------------------------------------------------------------------------

    async def take(self, queue: Queue, claim: Claim) -> Taken:
        """Take what is ready. What a cancelled caller would have got is given back."""
        task = asyncio.get_running_loop().create_task(self._take(queue, claim))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._begin(self._give_back(task))
            raise

    async def _take(self, queue: Queue, claim: Claim) -> Taken:
        lock = self._locks.get(queue.token)
        if lock is None:
            lock = self._locks[queue.token] = asyncio.Lock()
        # Two calls of one process would only take the same messages away from each other.
        async with lock:
            found = Taken()
            while True:
                wanted = claim.limit - len(found.taken)
                ready, found.next_at = await self._find_ready(queue, wanted)
                claimed = await asyncio.gather(*(self._claim(record, claim) for record in ready))
                found.taken += [record for record in claimed if record is not None]
                # Somebody else took some of them: maybe there is more.
                if len(found.taken) >= claim.limit or None not in claimed:
                    return found

    async def _find_ready(self, queue: Queue, wanted: int) -> tuple[list[Record], int]:
        ready: list[Record] = []
        next_at, after, left = 0, 0, 1
        while left and len(ready) < wanted:
            page, left = await self._log.page(queue.all, min(max(4 * wanted, _PAGE), _LARGEST_PAGE), after)
            if not page:
                break
            after = page[-1].seq
            next_at = self._sort_out(queue, page, ready, next_at)
        if left:
            await self._add_prioritized(queue, ready)
        return sorted(ready, key=lambda record: record.rank)[:wanted], next_at

    def _sort_out(self, queue: Queue, page: Sequence[Record], ready: list[Record], next_at: int) -> int:
        now = self._log.now_ms()
        for record in page:
            if record.is_ready(now):
                ready.append(record)
            elif record.state.dead:
                # Who set it aside died half-way.
                self._begin(upkeep.move_aside(self._log, queue, record))
            elif not next_at or record.state.at < next_at:
                next_at = record.state.at
        return next_at

    async def _add_prioritized(self, queue: Queue, ready: list[Record]) -> None:
        """The stream is longer than what was looked at: those with a priority may be anywhere in it."""
        seen, now = {record.token for record in ready}, self._log.now_ms()
        async for page in self._log.pages(queue.prioritized):
            ready += [record for record in page if record.is_ready(now) and record.token not in seen]

    async def _claim(self, record: Record, claim: Claim) -> Record | None:
        now = self._log.now_ms()
        state = record.state.with_changes(
            at=now + claim.lease_ms,
            group=claim.group,
            consumer=claim.consumer,
            attempt=record.state.attempt + 1,
            taken=now,
        )
        if claim.auto_ack:
            return upkeep.changed(record, state, record.seq) if await self._log.delete(record.seq) else None
        stored = await self._log.put(record.subject, record.data, state, record.seq)
        if stored is None:
            return None
        claimed = upkeep.changed(record, state, stored[0])
        self.keep(claimed)
        return claimed

    # -- giving back --------------------------------------------------------------------------------------------

    async def _give_back(self, task: asyncio.Task[Taken]) -> None:
        try:
            for record in (await task).taken:
                await upkeep.release(self._log, record, 0)
        except ContractError as error:
            log.debug("a message is given back when its lease lapses: %s", error)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
