"""Deletion of namespaces: the name is given up at once, what is stored under it is removed in steps.

The keys of runs and queues hold the name, so nobody can have it before everything is gone. Processes may know the old
record for some seconds and go on working in the namespace; so the last look comes after that time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta, timezone

from ..contracts.search import SearchService
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.types import KeyParams, KeyType, ThrottleOptions
from ..engine.limits import SECOND
from ..engine.model import ExecutionState, decode_state
from . import batch_record
from .batch_work import drop_lists
from .execution import Executions
from .keys import QueueKey, batches_of_namespace, queue_of_topic, runs_of_namespace, schedules_of_namespace
from .namespaces import DELETED, NamespaceRecord, Namespaces
from .queue_configs import QueueConfigs
from .retention import KIND as RETENTION
from .stats import drop_days
from .upkeep import Upkeep

KIND = "deletion"
_PAGE = 40
_FIRST = "0"
_PARALLEL = 4
_REST = 0.5
_MILLISECOND = 1_000_000
_OLDEST_DAYS = 400
"""How many days back there may be counters of a namespace that does not know when it was made."""


class NamespaceRemoval:
    """Removes namespaces."""

    def __init__(
        self,
        upkeep: Upkeep,
        namespaces: Namespaces,
        executions: Executions,
        stores: tuple[StoreService, StreamService, SearchService],
        queue_configs: QueueConfigs,
    ) -> None:
        self._upkeep = upkeep
        self._namespaces = namespaces
        self._executions = executions
        self._clock = executions.clock
        self._late_work = executions.limits.namespace_fresh * 5 // 4
        """How long after the renaming another process may still write under the old name, at most."""
        self._store, self._stream, self._search = stores
        self._queue_configs = queue_configs
        upkeep.steps[KIND] = self.step

    async def begin(self, name: str, delay: int) -> NamespaceRecord:
        """Take a namespace out of use; its record, under its new name, stays for ``delay`` (nanoseconds) at least.

        NOT_FOUND if there is none. One that is being deleted is left as it is, but for the delay.
        """
        now = self._clock.now()

        def postpone(record: NamespaceRecord) -> None:
            record.removed_after = now + delay

        def give_up(record: NamespaceRecord) -> None:
            record.stored_as, record.name = record.name, f"{record.name}-deleted-{record.id[:5]}"
            record.state, record.deleted_at = DELETED, now
            postpone(record)

        found = await self._namespaces.find(name, now=True)
        if found is not None and found.stored_as:
            record = await self._namespaces.update(name, postpone)
        else:
            record = await self._namespaces.rename(name, give_up)
        await self.arm(record)
        return record

    async def arm(self, record: NamespaceRecord) -> None:
        """Have the removal begin, or go on."""
        await self._upkeep.arm(KIND, record.name, self._clock.now_ms())

    async def step(self, name: str) -> int | None:
        """Remove something of the namespace that has this name now; when to go on (None: nothing is left)."""
        record = await self._namespaces.find(name, now=True)
        if record is None or not record.stored_as:
            return None
        until, queues = time.monotonic() + self._upkeep.step_seconds, set[QueueKey]()

        async def remove_run(job_id: str) -> None:
            await self._remove_run(job_id, queues)

        finished = await self._remove_jobs(batches_of_namespace(record.stored_as), self._remove_batch, until)
        schedules = schedules_of_namespace(record.stored_as)
        finished = await self._remove_jobs(schedules, self._remove_schedule, until) and finished
        finished = await self._remove_jobs(runs_of_namespace(record.stored_as), remove_run, until) and finished
        await self._remove_queues(record.stored_as, queues)
        if not finished:
            return self._clock.now_ms()
        settled = record.deleted_at + self._late_work
        if self._clock.now() < settled:
            return settled // _MILLISECOND
        await self._remove_rest(record)
        if self._clock.now() < record.removed_after:
            return record.removed_after // _MILLISECOND
        await self._namespaces.forget(name)
        return None

    # -- runs and their queues --------------------------------------------------------------------------------

    async def _remove_jobs(self, pattern: str, remove: Callable[[str], Awaitable[None]], until: float) -> bool:
        """True if a whole walk found none: what is made behind the walk is found by the next one."""
        cursor, found = _FIRST, 0
        while True:
            begin = time.monotonic()
            cursor, job_ids = await self._store.find_jobs(pattern, _PAGE, cursor=cursor)
            for index in range(0, len(job_ids), _PARALLEL):
                await asyncio.gather(*(remove(each) for each in job_ids[index : index + _PARALLEL]))
            found += len(job_ids)
            if cursor == _FIRST:
                if not found:
                    return True
                found = 0
            if time.monotonic() > until:
                return False
            await asyncio.sleep((time.monotonic() - begin) * _REST)

    async def _remove_run(self, job_id: str, queues: set[QueueKey]) -> None:
        """Nobody has to be told of the end of the run: whoever it knows is in the same namespace.

        ``queues`` gets its task queues.
        """
        record = await self._store.load_run(job_id)
        if record is not None and record.state:
            queues.update(_queues_of(decode_state(record.state)))
        await self._store.scrub(job_id)
        self._executions.forget(job_id)
        self._executions.timers.watch(job_id, 0)
        self._executions.changed(job_id)

    async def _remove_schedule(self, job_id: str) -> None:
        await self._store.scrub(job_id)
        self._executions.timers.watch(job_id, 0)

    async def _remove_batch(self, job_id: str) -> None:
        batch = await batch_record.read(self._store, job_id)
        if batch is not None:
            await drop_lists(self._store, batch)
        await self._store.scrub(job_id)

    async def _remove_queues(self, namespace: str, queues: set[QueueKey]) -> None:
        rates = await self._store.get_throttle_rates() if queues else {}
        for queue in queues:
            await self._stream.delete_stream(self._stream.mint_key(KeyType.STREAMS, KeyParams(topic=queue.topic)))
        for topic in rates:
            queue = queue_of_topic(topic)
            if queue is not None and queue.namespace == namespace:
                await self._store.set_throttle_rate(ThrottleOptions(throttle=0, topic=topic))

    # -- what else there is -----------------------------------------------------------------------------------

    async def _remove_rest(self, record: NamespaceRecord) -> None:
        """Documents without a run, counters, upkeep; then the old name is free."""
        while documents := (await self._search.query(record.stored_as, page_size=1000)).documents:
            await self._search.delete([each.doc_id for each in documents])
        today = datetime.fromtimestamp(self._clock.now() / SECOND, timezone.utc).date()
        made = datetime.fromtimestamp(record.created_at / SECOND, timezone.utc).date()
        first = made if record.created_at else today - timedelta(days=_OLDEST_DAYS)
        await drop_days(self._store, record.stored_as, first - timedelta(days=1), today + timedelta(days=1))
        await self._upkeep.drop(RETENTION, record.stored_as)
        await self._queue_configs.remove(record.stored_as)
        if await self._namespaces.is_being_removed(record.stored_as):
            await self._namespaces.forget(record.stored_as)


def _queues_of(state: ExecutionState) -> Iterator[QueueKey]:
    for name in (state.task_queue, state.sticky_queue):
        if name:
            yield QueueKey(state.namespace, False, name)
    for name in (state.task_queue, *(each.queue for each in state.activities.values())):
        yield QueueKey(state.namespace, True, name)
