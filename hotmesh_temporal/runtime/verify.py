"""Verify a database: every run is sound, every pointer names a run, nothing is left behind.

It may run while processes work on the database. What looks wrong at first may only have changed between two reads, so
a problem counts once it is seen on a run that did not change while it and all that belongs to it were read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from ..contracts.backend import Backend
from ..contracts.commit import RunRecord
from ..contracts.inspection import CurrentRun, StoredMessage
from ..contracts.types import KeyParams, KeyType
from .keys import QueueKey, decode_task, pointer_id, run_key
from .service import services
from .verify_run import Offer, RunCheck, Surroundings

T = TypeVar("T")

_PAGE = 200
_BATCHES = 500
_PARALLEL = 4
_LOOKS = 6
_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not be. ``where`` names the run, pointer or entry."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was seen. ``unsettled`` runs changed all the time, so that nothing can be said of them.

    ``stale_messages`` stand for tasks that are over: whoever gets one throws it away. ``loose_timers`` belong to no
    run: they are dropped when they fire.
    """

    runs: int = 0
    open_runs: int = 0
    events: int = 0
    messages: int = 0
    stale_messages: int = 0
    timers: int = 0
    loose_timers: int = 0
    unsettled: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])


class Progress(Protocol):
    """Told how many runs were looked at so far."""

    def __call__(self, runs: int) -> None: ...


async def verify(backend: Backend, progress: Progress = lambda runs: None) -> Report:
    """Look at everything in an opened backend. Raises errors of the contract if it cannot be read."""
    return await _Verification(backend, progress).run()


class _Verification:
    def __init__(self, backend: Backend, progress: Progress) -> None:
        self._store, self._stream, _, self._search = services(backend)
        self._progress = progress
        self._report = Report()
        self._streams: dict[str, QueueKey] = {}
        self._limit = asyncio.Semaphore(_PARALLEL)

    async def run(self) -> Report:
        report = self._report
        surroundings = await self._surroundings()
        report.messages, report.timers = len(surroundings.offers), len(surroundings.timers)
        suspects = [record.job_id async for record in self._sound_runs(surroundings)]
        await self._settle(suspects)
        await self._check_pointers()
        await self._check_outbox()
        report.problems.sort(key=str)
        return report

    # -- runs -------------------------------------------------------------------------------------------------

    async def _sound_runs(self, surroundings: Surroundings) -> AsyncIterator[RunRecord]:
        """Look at each run; yields those with problems."""
        unclaimed, loose = set(surroundings.offers), set(surroundings.timers)
        async for page in self._pages(self._store.list_runs, lambda record: record.job_id):
            found = await asyncio.gather(*(self._check(record, surroundings, count=True) for record in page))
            for record, problems in zip(page, found, strict=True):
                loose.discard(record.job_id)
                if problems:
                    yield record
            self._report.runs += len(page)
            self._report.open_runs += sum(record.status == 1 for record in page)
            self._progress(self._report.runs)
        self._report.loose_timers = len(loose)
        self._report.stale_messages = len(unclaimed - self._wanted)
