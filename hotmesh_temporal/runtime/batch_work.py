"""Carrying out one batch operation: choose executions, do it to each, and note what came of it.

Any process may do this, one at a time while nothing goes wrong. Whatever is done can be done again: an operation has
the same request id each time, and each step that was committed is skipped. A process that dies leaves executions that
it had taken from the list and not marked; whoever comes to the end of the list looks for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from ..contracts.errors import AlreadyDone, NotFound
from ..contracts.search import Condition, SearchService
from ..contracts.store import StoreService
from ..contracts.types import AppVersion, InterruptOptions, Stats
from ..engine.limits import Limits
from ..errors import Code, RpcError
from . import batch_record as record
from .batch_record import Batch, Item
from .keys import APP_ID, run_key, schedule_of_job
from .namespaces import Namespaces

_LOG = logging.getLogger(__name__)

_PAGE = 500
_COMPLETED, _FAILED = 1, 1_000_000
"""What a mark counts: how often the operation was completed, and in steps of a million how often it failed."""

_FRESH_SECONDS = 0.5
"""How long after the last look at the status the batch counts as wanted."""

_ATTEMPTS = 14
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0
_TRY_AGAIN = (Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL, Code.DEADLINE_EXCEEDED)
_SECOND = 1_000_000_000


class Operations(Protocol):
    """What can be done to an execution, and how to find executions."""

    async def condition(self, request: StartBatchOperationRequest) -> Condition:
        """Which executions its query means. Raises `RpcError` if that makes no sense."""
        ...

    async def apply(self, request: StartBatchOperationRequest, item: Item, request_id: str) -> None:
        """Do it to one execution, once for each request id. Raises `RpcError`."""
        ...


class Pace:
    """Lets through so many per second; after a quiet time, as many at once."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._burst = max(per_second, 1.0) * self._interval
        self._next = 0.0

    async def wait(self) -> None:
        """Until the next one may go."""
        now = time.monotonic()
        self._next = max(self._next, now - self._burst) + self._interval
        await asyncio.sleep(max(self._next - now, 0.0))


class BatchWork:
    """One batch operation, carried out by this process."""

    def __init__(
        self,
        store: StoreService,
        search: SearchService,
        namespaces: Namespaces,
        operations: Operations,
        limits: Limits,
        version: str,
        batch: Batch,
    ) -> None:
        self._store = store
        self._search = search
        self._namespaces = namespaces
        self._operations = operations
        self._limits = limits
        self._app: AppVersion = record.app_version(version)
        self._batch = batch
        self._status_at = time.monotonic()
        asked, most = batch.request.max_operations_per_second, limits.batch_rate
        self._pace = Pace(min(asked, most) if asked > 0 else most)

    async def run(self) -> None:
        """Carry it out from wherever it is to its end. May be repeated."""
        batch = self._batch
        if not batch.closed:
            try:
                await self._choose()
                await self._store.add_task_queues([batch.work_item])
                await self._work_off()
            except RpcError as error:
                if error.code == Code.UNAVAILABLE:
                    raise
                await self._give_up(error.message)
            except NotFound:
                return  # its retention is over
            await self.close()
        await self._tidy()

    # -- choosing ---------------------------------------------------------------------------------------------

    async def _choose(self) -> None:
        """Write the list, page by page; the place where to go on is written with each page."""
        batch = self._batch
        while not batch.chosen and not self._is_stopped():
            found, cursor = await self._page()
            items = [Item(batch.total + offset, *ids) for offset, ids in enumerate(found)]
            total, chosen = batch.total + len(items), not cursor
            job_key, date_time = batch.bucket
            transaction = self._store.transaction()
            for item in items:
                stats = Stats(index=((record.LIST_FACET, ""),))
                await self._store.set_stats(job_key, item.text(), date_time, stats, self._app, transaction)
            fields = record.state_of(cursor=cursor, chosen=chosen, total=total)
            await self._store.set_state(fields, None, batch.job, [record.SYMBOLS], {}, transaction)
            await self._store.set_status(len(items), batch.job, APP_ID, transaction)
            self._know_status((await transaction.exec())[-1])
            batch.cursor, batch.chosen, batch.total = cursor, chosen, total

    async def _page(self) -> tuple[list[tuple[str, str]], str]:
        """The next executions (workflow id, run id), and the cursor behind them ("": these were the last)."""
        request, cursor = self._batch.request, self._batch.cursor
        if not request.visibility_query:
            given, first = _given(request), int(cursor or "0")
            rest = first + _PAGE
            return given[first:rest], str(rest) if rest < len(given) else ""
        condition = await self._operations.condition(request)
        token = bytes.fromhex(cursor)
        page = await self._search.query(self._batch.namespace, condition, page_size=_PAGE, page_token=token)
        # A query may be about schedules: they are no executions here.
        runs = [run_key(each.doc_id) for each in page.documents if schedule_of_job(each.doc_id) is None]
        return [(run.workflow_id, run.run_id) for run in runs], page.next_page_token.hex()

    # -- working ----------------------------------------------------------------------------------------------

    async def _work_off(self) -> None:
        """Do it to all of the list, then to those that were taken from it and forgotten."""
        await self._pass_over(self._take())
        while not self._is_stopped():
            complete, failed, forgotten = await self._look_over()
            self._batch.complete, self._batch.failed = complete, failed
            if not forgotten:
                return
            await self._pass_over(_each(forgotten))

    def _is_stopped(self) -> bool:
        return self._batch.status <= 0

    async def _take(self) -> AsyncIterator[Item]:
        source, taken = record.list_key(self._store, self._batch), record.taken_key(self._store, self._batch)
        while True:
            text = await self._store.process_task_queue(source, taken)
            if text is None:
                return
            yield record.item_of(text)

    async def _pass_over(self, items: AsyncIterator[Item]) -> None:
        """A few at a time, until there are no more or the batch is stopped."""
        turn = asyncio.Lock()
        workers = [
            asyncio.get_running_loop().create_task(self._work(items, turn))
            for _ in range(max(self._limits.batch_concurrency, 1))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, items: AsyncIterator[Item], turn: asyncio.Lock) -> None:
        while True:
            async with turn:
                await self._pace.wait()
                item = await anext(items, None) if await self._is_wanted() else None
            if item is None:
                return
            await self._note(item, await self._do(item))

    async def _is_wanted(self) -> bool:
        """It was not stopped, as far as a moment ago."""
        if time.monotonic() - self._status_at > _FRESH_SECONDS:
            self._know_status(await self._store.get_status(self._batch.job, APP_ID))
        return not self._is_stopped()

    def _know_status(self, status: int) -> None:
        self._batch.status, self._status_at = status, time.monotonic()

    async def _do(self, item: Item) -> int:
        """`_COMPLETED` or `_FAILED`. An execution that is not there or closed already needs nothing more."""
        batch, pause = self._batch, _FIRST_PAUSE
        # As on a Temporal server, an execution that is named twice gets a signal once.
        request_id = batch.request_id((item.workflow_id, item.run_id))
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._operations.apply(batch.request, item, request_id)
            except RpcError as error:
                if error.code == Code.UNAVAILABLE:
                    raise
                if error.code == Code.NOT_FOUND:
                    break
                if error.code not in _TRY_AGAIN or attempt == _ATTEMPTS or self._is_stopped():
                    _LOG.info("batch %s: %s of %s: %s", batch.batch_id, batch.operation, item.workflow_id, error)
                    return _FAILED
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
            else:
                break
        return _COMPLETED

    async def _note(self, item: Item, outcome: int) -> None:
        """Mark it, and count; the new status says whether the batch is still wanted."""
        facet = record.COMPLETE_FACET if outcome == _COMPLETED else record.FAILED_FACET
        ledger = await self._count(item, outcome, facet, 1)
        if ledger != outcome:
            # Another process that was thought dead has done it as well: it counts once.
            await self._count(item, 0, facet, -1)

    async def _count(self, item: Item, outcome: int, facet: str, sign: int) -> int:
        batch = self._batch
        job_key, date_time = batch.bucket
        transaction = self._store.transaction()
        stats = Stats(general=((facet, sign),))
        await self._store.collate_synthetic(batch.job, str(item.number), outcome, transaction)
        await self._store.set_stats(job_key, "", date_time, stats, self._app, transaction)
        await self._store.set_status(-sign, batch.job, APP_ID, transaction)
        ledger, _, status = await transaction.exec()
        self._know_status(status)
        return ledger

    async def _look_over(self) -> tuple[int, int, list[Item]]:
        """What the marks say of all that was taken: how many completed and failed, and those without a mark."""
        complete, failed, forgotten, first = 0, 0, list[Item](), 0
        key = record.taken_key(self._store, self._batch)
        while True:
            texts = (await self._store.get_job_ids([key], (first, first + _PAGE - 1)))[key]
            if not texts:
                return complete, failed, forgotten
            items, first = [record.item_of(text) for text in texts], first + len(texts)
            for item, mark in zip(items, await self._marks(items), strict=True):
                if not mark:
                    forgotten.append(item)
                elif mark % _FAILED:
                    complete += 1
                else:
                    failed += 1

    async def _marks(self, items: Iterable[Item]) -> list[int]:
        transaction = self._store.transaction()
        for item in items:
            await self._store.collate_synthetic(self._batch.job, str(item.number), 0, transaction)
        return await transaction.exec()

    # -- ending -----------------------------------------------------------------------------------------------

    async def _give_up(self, reason: str) -> None:
        """It cannot be carried out: the same as if somebody had stopped it."""
        _LOG.warning("batch %s failed: %s", self._batch.batch_id, reason)
        try:
            await self._store.interrupt(record.TOPIC, self._batch.job, InterruptOptions(reason=reason))
        except (AlreadyDone, NotFound) as error:
            _LOG.debug("batch %s had ended: %s", self._batch.batch_id, error)

    async def close(self) -> None:
        """Note that it is over, whether completed or stopped, and let it vanish when its retention is over."""
        batch, is_written = self._batch, False
        found = await record.read(self._store, batch.job)
        while found is not None and not found.closed and not is_written:
            found.complete, found.failed = batch.complete, batch.failed
            if found.status < 0:
                found.complete, found.failed = await record.counts(self._store, found)
            found.closed, found.outcome = time.time_ns(), record.FAILED if found.status < 0 else record.COMPLETED
            batch.status = await self._write_end(found)
            is_written = (batch.status < 0) == (found.status < 0)
            # Else it was stopped in the last moment, and what was written of it is wrong.
            found.status, found.closed = batch.status, 0

    async def _write_end(self, batch: Batch) -> int:
        found = await self._namespaces.find(batch.namespace)
        retention = found.retention if found is not None else _SECOND  # of a namespace that is gone nothing is kept
        left = -batch.status if batch.status > 0 else 0
        fields = record.state_of(
            closed=batch.closed, outcome=batch.outcome, complete=batch.complete, failed=batch.failed
        )
        transaction = self._store.transaction()
        await self._store.set_state(fields, None, batch.job, [record.SYMBOLS], {}, transaction)
        await self._search.upsert([record.document(batch)], transaction)
        await self._store.expire_job(batch.job, retention / _SECOND, transaction)
        await self._store.set_status(left, batch.job, APP_ID, transaction)
        return (await transaction.exec())[-1]

    async def _tidy(self) -> None:
        """Drop the lists and counters, and the work item with them."""
        await drop_lists(self._store, self._batch)


async def drop_lists(store: StoreService, batch: Batch) -> None:
    """Drop the lists and counters of a batch that nobody works on any more, and its work item with them."""
    source, taken = record.list_key(store, batch), record.taken_key(store, batch)
    for leftover in (source, taken):
        await store.add_task_queues([batch.work_item])
        await store.delete_processed_task_queue(batch.work_item, source, leftover, scrub=True)


def _given(request: StartBatchOperationRequest) -> list[tuple[str, str]]:
    targets = [(each.business_id, each.run_id) for each in request.target_executions]
    return targets or [(each.workflow_id, each.run_id) for each in request.executions]


async def _each(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
