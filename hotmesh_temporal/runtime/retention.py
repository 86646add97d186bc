"""Retention: closed runs are removed when they have been closed for as long as their namespace says.

What counts is the retention that was in force when the run was closed, as on a Temporal server; the namespace's record
knows since when which one is. A step looks for runs whose time is over in the search index, and removes them page by
page, with pauses, so that it never takes more than its share of the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from ..contracts.search import All, Compare, Operator, Order, SearchDocument, SearchService
from ..engine.limits import SECOND, Limits
from .clock import Clock
from .engine_tasks import EngineTasks
from .execution import Executions
from .keys import run_key, schedule_of_job
from .namespaces import DELETED, NamespaceRecord, Namespaces
from .upkeep import Upkeep

_LOG = logging.getLogger(__name__)

KIND = "retention"
_PAGE = 40
_PARALLEL = 4
_REST = 1.0
"""Pause after a page, as a part of the time that the page took."""

_LONGEST_SPACING = 1800 * SECOND
_PARTS = 48
_MILLISECOND, _MICROSECOND = 1_000_000, 1000


@dataclass(frozen=True, slots=True)
class Span:
    """Runs that were closed from ``begin`` on and before ``end`` (0: now) are kept for ``retention`` (nanoseconds)."""

    begin: int
    end: int
    retention: int

    def limit(self, now: int) -> int:
        """Runs of the span that were closed before this are over."""
        over = now - self.retention
        return min(over, self.end) if self.end else over


def spans(record: NamespaceRecord) -> Iterator[Span]:
    """The oldest first; the last one goes on."""
    begin = 0
    for until, retention in record.past_retentions:
        yield Span(begin, until, retention)
        begin = until
    yield Span(begin, 0, record.retention)


def note_retention(record: NamespaceRecord, retention: int, now: int) -> None:
    """From now on runs are kept for ``retention``."""
    if retention != record.retention:
        record.past_retentions = [*record.past_retentions, (now, record.retention)]
        record.retention = retention


class Retention:
    """Removes what is over."""

    def __init__(
        self,
        upkeep: Upkeep,
        search: SearchService,
        namespaces: Namespaces,
        executions: Executions,
        engine_tasks: EngineTasks,
    ) -> None:
        self._upkeep = upkeep
        self._search = search
        self._namespaces = namespaces
        self._executions = executions
        self._engine_tasks = engine_tasks
        self._clock: Clock = executions.clock
        self._limits: Limits = executions.limits
        self.bury_schedule: Callable[[str], Awaitable[bool]] = None  # type: ignore[assignment]  # set by the service
        upkeep.steps[KIND] = self.sweep

    async def arm(self, record: NamespaceRecord) -> None:
        """Runs of the namespace that are closed from now on will be looked after."""
        await self._upkeep.arm(KIND, record.name, (self._clock.now() + record.retention) // _MILLISECOND)

    async def adopt(self, record: NamespaceRecord) -> None:
        """The same for a namespace that may have been forgotten; then there may be something to remove already."""
        if await self._upkeep.armed_at(KIND, record.name) is None:
            await self._upkeep.arm(KIND, record.name, self._clock.now_ms())

    async def sweep(self, namespace: str) -> int | None:
        """Remove runs whose time is over, for some seconds; when to go on. None if there is no such namespace."""
        record = await self._namespaces.find(namespace, now=True)
        if record is None or record.state == DELETED:
            return None
        until = time.monotonic() + self._upkeep.step_seconds
        for span in spans(record):
            if not await self._sweep_span(namespace, span, until):
                return self._clock.now_ms()
        return await self._next(record)

    async def _sweep_span(self, namespace: str, span: Span, until: float) -> bool:
        """True if nothing that is over is left."""
        while True:
            begin = time.monotonic()
            page = await self._oldest(namespace, span.begin, span.limit(self._clock.now()), _PAGE)
            for index in range(0, len(page), _PARALLEL):
                await asyncio.gather(*(self._remove(each) for each in page[index : index + _PARALLEL]))
            if len(page) < _PAGE:
                return True
            if time.monotonic() > until:
                return False
            await asyncio.sleep((time.monotonic() - begin) * _REST)

    async def _oldest(self, namespace: str, begin: int, end: int, size: int) -> tuple[SearchDocument, ...]:
        """Closed runs, those that were closed first; ``end`` 0: whenever."""
        parts = [Compare("CloseTime", Operator.GE, begin // _MICROSECOND)]
        if end:
            parts.append(Compare("CloseTime", Operator.LT, end // _MICROSECOND))
        order = (Order("CloseTime", descending=False),)
        return (await self._search.query(namespace, All(tuple(parts)), order=order, page_size=size)).documents

    async def _remove(self, document: SearchDocument) -> None:
        if schedule_of_job(document.doc_id) is not None:
            if await self.bury_schedule(document.doc_id):
                await self._search.delete([document.doc_id])
            return
        loaded = await self._executions.load(run_key(document.doc_id))
        if loaded is None:
            await self._search.delete([document.doc_id])
        elif loaded.state.running:
            _LOG.error("lists show the open run %s as closed", document.doc_id)
        else:
            await self._engine_tasks.remove(loaded)

    async def _next(self, record: NamespaceRecord) -> int:
        """When there may be something to remove again. A run that is closed after this is not over before that."""
        now = self._clock.now()
        due, empty = now + record.retention, set[tuple[int, int]]()
        for span in spans(record):
            oldest = await self._oldest(record.name, span.begin, span.end, 1)
            if oldest:
                closed_at = oldest[0].fields["CloseTime"]
                assert isinstance(closed_at, int)
                due = min(due, closed_at * _MICROSECOND + span.retention)
            elif span.end and span.end + span.retention < now:
                empty.add((span.end, span.retention))
        if empty:
            await self._forget(record.name, empty)
        return max(due, now + self._spacing(record)) // _MILLISECOND

    async def _forget(self, namespace: str, past: set[tuple[int, int]]) -> None:
        """Retentions of the past under which nothing is kept any more."""

        def change(record: NamespaceRecord) -> None:
            record.past_retentions = [each for each in record.past_retentions if each not in past]

        await self._namespaces.update(namespace, change)

    def _spacing(self, record: NamespaceRecord) -> int:
        """Between two sweeps: a small part of the retention, so that runs go not much later than they might."""
        return min(max(record.retention // _PARTS, self._limits.upkeep_interval // 5), _LONGEST_SPACING)
