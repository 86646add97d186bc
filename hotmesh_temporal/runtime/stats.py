"""How many workflows were started and closed, by namespace, day, type and status.

Counting adds nothing to a commit: each process counts what it has committed and adds that to the stored counters every
few seconds, in one statement per namespace and day. So they are close, not exact: what a process has counted is lost if
it is killed, and counted twice if the database applied an addition and could not say so. Nothing of the engine depends
on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from ..contracts.errors import ContractError
from ..contracts.store import StoreService
from ..contracts.types import AppVersion, KeyParams, KeyType, Stats
from ..engine.context import SECOND
from ..engine.model import ExecutionState
from .keys import APP_ID
from .versions import EngineVersion
from .visibility import STATUS_NAMES

_LOG = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
"""How long what is counted stays in memory."""

STARTED = "Started"
_DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1)


class Counters:
    """Counts in this process."""

    def __init__(self, store: StoreService, version: EngineVersion) -> None:
        self._store = store
        self._version = version
        self._pending: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self.ended: Callable[[ExecutionState], None] = lambda state: None
        """Called with each run that was committed as closed."""

    def opened(self, state: ExecutionState) -> None:
        """A run was committed for the first time."""
        self._count(state, state.started_at, STARTED)

    def closed(self, state: ExecutionState) -> None:
        """A run was committed as closed for the first time."""
        self._count(state, state.closed_at, STATUS_NAMES[state.status])
        self.ended(state)

    def _count(self, state: ExecutionState, at: int, what: str) -> None:
        self._pending[state.namespace, at // _DAY][f"{what}/{state.workflow_type}"] += 1
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush_soon())

    @property
    def waiting(self) -> int:
        """How many workflows' starts and ends are counted here and not stored yet."""
        return sum(counts.total() for counts in self._pending.values())

    async def _flush_soon(self) -> None:
        while self._pending:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_SECONDS)
            while self._pending and await self._flush():
                pass
            if self._closing.is_set():
                return

    async def _flush(self) -> bool:
        """Add what was counted for one namespace and day. False if that failed; it is kept."""
        (namespace, day), counts = self._pending.popitem()
        stats = Stats(general=tuple(counts.items()))
        app = AppVersion(APP_ID, self._version.active)
        try:
            await self._store.set_stats(_job_key(namespace), "", _date_time(day), stats, app)
        except ContractError as error:
            _LOG.debug("counters could not be stored: %s", error)
            self._pending[namespace, day].update(counts)
            return False
        return True

    async def close(self) -> None:
        """Add what is left; what the database does not take now is lost."""
        self._closing.set()
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)


@dataclass(frozen=True)
class DayCount:
    """Workflows of one type on one day (UTC). ``closed`` is by status, as ``Completed``; chains count run by run."""

    day: date
    workflow_type: str
    started: int
    closed: dict[str, int]


async def read_days(store: StoreService, namespace: str, last: date, days: int) -> list[DayCount]:
    """The counters of ``days`` days up to ``last``, the newest first, then by type; days without any are left out."""
    wanted = [last - timedelta(days=back) for back in range(days)]
    keys = {_key(store, namespace, day): day for day in wanted}
    stored = await store.get_job_stats(list(keys))
    return [count for key, day in keys.items() for count in _by_type(day, stored[key])]


async def drop_days(store: StoreService, namespace: str, first: date, last: date) -> None:
    """Remove the counters of a namespace from ``first`` to ``last``.

    The store drops the counters of a bucket at the end of a work item that belongs to it, so each day gets one.
    """
    keys = [_key(store, namespace, first + timedelta(days=number)) for number in range((last - first).days + 1)]
    stored = await store.get_job_stats(keys)
    for key in keys:
        if stored[key]:
            await store.add_task_queues([key])
            await store.delete_processed_task_queue(key, key, f"{key}:processed", scrub=True)


def _by_type(day: date, counters: dict[str, float]) -> list[DayCount]:
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for facet, value in counters.items():
        what, _, workflow_type = facet.partition("/")
        types[workflow_type][what] += int(value)
    return [
        DayCount(day, name, counts[STARTED], {what: count for what, count in sorted(counts.items()) if what != STARTED})
        for name, counts in sorted(types.items())
    ]


def _key(store: StoreService, namespace: str, day: date) -> str:
    params = KeyParams(job_key=_job_key(namespace), date_time=_date_time((day - _EPOCH).days))
    return store.mint_key(KeyType.JOB_STATS_GENERAL, params)


def _job_key(namespace: str) -> str:
    return f"workflows/{namespace}"


def _date_time(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y%m%d")
