"""Verify a database: every run is sound, every pointer names a run, nothing is left behind.

It may run while processes work on the database. What looks wrong at first may only have changed between two reads, so
a problem of a run counts only if the run did not change while all that belongs to it was read once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from ..contracts.backend import Backend
from ..contracts.commit import RunRecord
from ..contracts.errors import NotFound
from ..contracts.inspection import CurrentRun
from ..contracts.keys import parse_key
from ..contracts.types import KeyParams, KeyType
from ..engine.context import Namespace
from ..engine.model import ExecutionState, decode_state
from .keys import (
    APP_ID,
    ENGINE_QUEUE,
    QueueKey,
    batch_of_job,
    decode_task,
    namespace_id,
    pointer_id,
    run_key,
    schedule_of_job,
)
from .namespaces import Namespaces
from .verify_batches import wrong_batches
from .verify_run import Offer, RunCheck, Surroundings, is_left_behind
from .verify_schedules import ScheduleCheck

T = TypeVar("T")

_PAGE = 200
_LARGE_PAGE = 1000
_PARALLEL = 8
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

    ``stale_offers`` are messages of tasks that are over: whoever gets one throws it away. ``loose_timers`` belong to
    no run: they are dropped when they fire. ``unsent`` messages wait in the outbox for streams on another database.
    """

    runs: int = 0
    open_runs: int = 0
    events: int = 0
    offers: int = 0
    stale_offers: int = 0
    timers: int = 0
    loose_timers: int = 0
    unsent: int = 0
    unsettled: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])


Progress = Callable[[int], None]
"""Told how many runs were looked at so far."""


def _no_progress(runs: int) -> None:
    del runs


async def verify(backend: Backend, progress: Progress = _no_progress) -> Report:
    """Look at everything in an opened backend that has a store, a stream and a search.

    Raises errors of the contract if it cannot be read.
    """
    return await _Verification(backend, progress).run()


class _Verification:
    def __init__(self, backend: Backend, progress: Progress) -> None:
        if backend.store is None or backend.stream is None or backend.search is None:
            raise ValueError(f"{type(backend).__name__} does not offer all of store, stream and search")
        self._store, self._stream, self._search = backend.store, backend.stream, backend.search
        self._joined = backend.stream_joins_store
        self._namespaces = Namespaces(self._store, self._search)
        self._progress = progress
        self._report = Report()
        self._limit = asyncio.Semaphore(_PARALLEL)

    async def run(self) -> Report:
        await self._settle([job_id async for job_id in self._check_runs()])
        await self._check_pointers()
        await self._check_documents()
        await self._check_outbox()
        await self._check_batches()
        await self._check_schedules()
        self._report.problems.sort(key=str)
        return self._report

    # -- runs -------------------------------------------------------------------------------------------------

    async def _check_runs(self) -> AsyncIterator[str]:
        """Look at every run once; gives the ids of those that do not look sound."""
        report, surroundings = self._report, await self._surroundings()
        loose, wanted = {each for each in surroundings.timers if schedule_of_job(each) is None}, 0
        async for records in _pages(self._store.list_runs, lambda record: record.job_id, _PAGE):
            page = [record for record in records if is_run(record.job_id)]
            for record, check in await self._check_page(page, surroundings):
                loose.discard(record.job_id)
                wanted += check.offers
                report.events += check.events
                report.open_runs += record.status == 1
                if check.problems:
                    yield record.job_id
            report.runs += len(page)
            self._progress(report.runs)
        report.offers, report.stale_offers = len(surroundings.offers), len(surroundings.offers) - wanted
        report.timers, report.loose_timers = len(surroundings.timers), len(loose)

    async def _settle(self, suspects: Sequence[str]) -> None:
        """Look again at what did not look sound, until each run has kept still for the time of a look."""
        for _ in range(_LOOKS):
            if not suspects:
                return
            before = await self._load(suspects)
            surroundings = await self._surroundings()
            checks = await self._check_page(list(before.values()), surroundings)
            after = await self._load(suspects)
            suspects = []
            for record, check in checks:
                if not check.problems or record.job_id not in after:
                    continue
                if after[record.job_id].revision == record.revision:
                    where = _describe(record.job_id)
                    self._report.problems += [Problem(where, what) for what in check.problems]
                else:
                    suspects.append(record.job_id)
            await asyncio.sleep(_PAUSE_SECONDS if suspects else 0)
        self._report.unsettled += len(suspects)

    async def _load(self, job_ids: Sequence[str]) -> dict[str, RunRecord]:
        found = await asyncio.gather(*(self._limited(self._store.load_run(job_id)) for job_id in job_ids))
        return {record.job_id: record for record in found if record is not None}

    async def _check_page(
        self, page: Sequence[RunRecord], surroundings: Surroundings
    ) -> list[tuple[RunRecord, RunCheck]]:
        checks = await asyncio.gather(*(self._limited(self._check(record, surroundings)) for record in page))
        return list(zip(page, checks, strict=True))

    async def _check(self, record: RunRecord, surroundings: Surroundings) -> RunCheck:
        check, first = RunCheck(record), 1
        while batches := await self._store.get_events(record.job_id, first, limit=_PAGE):
            for batch in batches:
                check.feed(batch)
            if len(batches) < _PAGE:
                break
            first = batches[-1].next_event_id
        check.finish(surroundings, await self._search.get(record.job_id), await self._namespace(record.job_id))
        if record.status == 1:
            await self._check_current(record.job_id, check.problems)
        if check.state is not None:
            await self._check_children(record.job_id, check.state, surroundings, check.problems)
        return check

    async def _namespace(self, job_id: str) -> Namespace:
        name = run_key(job_id).namespace
        await self._namespaces.find(name)
        return self._namespaces.known(name) or Namespace(name, namespace_id(name))

    async def _check_children(
        self, job_id: str, state: ExecutionState, surroundings: Surroundings, problems: list[str]
    ) -> None:
        """An open parent hears of each child that ended; a closed one leaves none behind that it should not.

        One that was made by a reset may have been denied what became of its children before.
        """
        stream = self._stream_of(ENGINE_QUEUE)
        for child in state.children.values():
            if not child.run_id or (stream, job_id, child.initiated_event_id, 0) in surroundings.offers:
                continue
            record = await self._store.load_current_run(pointer_id(state.namespace, child.workflow_id))
            last = decode_state(record.state) if record is not None else None
            if last is not None and last.first_run_id != child.run_id:
                last = None
            if state.running and not state.reset_at and (last is None or not last.running):
                if not await self._is_on_its_way(child.workflow_id):
                    problems.append(f"the child {child.workflow_id!r} has ended, but its parent will not hear of it")
            elif not state.running and last is not None and is_left_behind(child, last, state):
                problems.append(f"the child {child.workflow_id!r} goes on against its parent close policy")

    async def _is_on_its_way(self, workflow_id: str) -> bool:
        """Word of the end of such a workflow lies in the engine's queue, now that it has ended."""
        stream, now = self._stream_of(ENGINE_QUEUE), await self._surroundings()
        return any(offer[0] == stream and run_key(offer[1]).workflow_id == workflow_id for offer in now.offers)

    async def _check_current(self, job_id: str, problems: list[str]) -> None:
        key = run_key(job_id)
        current = await self._store.load_current_run(pointer_id(key.namespace, key.workflow_id))
        if current is None or current.job_id != job_id:
            problems.append(f"the run is open, but the current run is {current.job_id if current else 'none'}")

    async def _limited(self, work: Awaitable[T]) -> T:
        async with self._limit:
            return await work

    # -- what surrounds them ----------------------------------------------------------------------------------

    async def _surroundings(self) -> Surroundings:
        found = Surroundings(self._stream_of)
        # A message goes from the outbox to its stream, so who looks in this order sees it in one of them.
        async for entries in _pages(self._store.list_outbox, lambda entry: entry.outbox_id, _LARGE_PAGE):
            found.offers.update(_offers((self._now_called(each.stream), each.message) for each in entries))
        async for messages in _pages(self._stream.list_messages, lambda message: message.message_id, _LARGE_PAGE):
            found.offers.update(_offers((each.stream, each.data) for each in messages))
        async for timers in _pages(self._store.list_timers, lambda timer: timer.timer_id, _LARGE_PAGE):
            found.timers.update((timer.timer_id, timer.fire_at_ms) for timer in timers)
        return found

    def _now_called(self, stream: str) -> str:
        """The name that a message in the outbox will be published to."""
        return self._stream.mint_key(KeyType.STREAMS, KeyParams(topic=parse_key(stream).id))

    def _stream_of(self, queue: QueueKey) -> str:
        return self._stream.mint_key(KeyType.STREAMS, KeyParams(topic=queue.topic))

    async def _check_pointers(self) -> None:
        """A run may be deleted between two reads, so what looks wrong is looked at twice."""
        wrong = await self._wrong_pointers()
        if wrong:
            wrong &= await self._wrong_pointers()
        for pointer in wrong:
            self._say(f"pointer {pointer.pointer_id}", f"it names {pointer.run_id}, which is no run of that workflow")

    async def _wrong_pointers(self) -> set[CurrentRun]:
        wrong: set[CurrentRun] = set()
        async for page in _pages(self._store.list_current_runs, lambda pointer: pointer.pointer_id, _PAGE):
            right = await asyncio.gather(*(self._limited(self._is_right(pointer)) for pointer in page))
            wrong.update(pointer for pointer, good in zip(page, right, strict=True) if not good)
        return wrong

    async def _is_right(self, pointer: CurrentRun) -> bool:
        if not is_run(pointer.run_id):
            return False
        key = run_key(pointer.run_id)
        if pointer_id(key.namespace, key.workflow_id) != pointer.pointer_id:
            return False
        return await self._store.load_run(pointer.run_id) is not None

    async def _check_documents(self) -> None:
        """Lists show no run that is not there. A run may be deleted between two reads, so each is looked at twice."""
        async for record in self._namespaces.all():
            for name in filter(None, (record.name, record.stored_as)):
                stray = await self._stray_documents(name)
                stray &= await self._stray_documents(name) if stray else set()
                for job_id in stray:
                    self._say(_describe(job_id), "lists show the run, but it is not there")

    async def _stray_documents(self, namespace: str) -> set[str]:
        found, token = set[str](), b""
        while True:
            page = await self._search.query(namespace, page_size=_LARGE_PAGE, page_token=token)
            runs = [each.doc_id for each in page.documents if is_run(each.doc_id)]
            loaded = await asyncio.gather(*(self._limited(self._exists(job_id)) for job_id in runs))
            found.update(job_id for job_id, there in zip(runs, loaded, strict=True) if not there)
            token = page.next_page_token
            if not token:
                return found

    async def _exists(self, job_id: str) -> bool:
        try:
            await self._store.get_status(job_id, APP_ID)
        except NotFound:
            return False
        return True

    async def _check_outbox(self) -> None:
        """An entry on its way is gone after a moment."""
        before = await self._store.list_outbox()
        if before:
            await asyncio.sleep(_LOOKS * _PAUSE_SECONDS)
        left = {entry.outbox_id for entry in before} & {entry.outbox_id for entry in await self._store.list_outbox()}
        if not self._joined:
            # A process that works publishes them; without one, that is where they belong.
            self._report.unsent = len(left)
            return
        for entry in before:
            if entry.outbox_id in left:
                self._say(f"outbox {entry.outbox_id}", f"a message for {entry.stream} was not sent")

    async def _check_batches(self) -> None:
        """Batch operations; see `verify_batches`."""
        wrong = await wrong_batches(self._store, self._stream)
        if wrong:
            wrong &= await wrong_batches(self._store, self._stream)
        for job, what in wrong:
            namespace, batch_id = batch_of_job(job)
            self._say(f"batch {batch_id!r}, namespace {namespace!r}", what)

    async def _check_schedules(self) -> None:
        """See `verify_schedules`."""
        check = ScheduleCheck(self._store, self._search, self._namespaces, self._surroundings)
        wrong = await check.wrong()
        if wrong:
            wrong &= await check.wrong()
        for job, what in wrong:
            namespace, schedule_id = schedule_of_job(job) or ("", "")
            self._say(f"schedule {schedule_id!r}, namespace {namespace!r}", what)

    def _say(self, where: str, what: str) -> None:
        self._report.problems.append(Problem(where, what))


async def _pages(
    read: Callable[[str, int], Awaitable[list[T]]], key: Callable[[T], str], size: int
) -> AsyncIterator[list[T]]:
    after = ""
    while page := await read(after, size):
        yield page
        if len(page) < size:
            return
        after = key(page[-1])


def _offers(messages: Iterable[tuple[str, str]]) -> Iterator[Offer]:
    """The tasks of runs among the messages; queries and answers to them are no tasks."""
    for stream, data in messages:
        try:
            message = decode_task(data)
        except msgspec.DecodeError:
            continue
        if not message.query and is_run(message.job):
            yield stream, message.job, message.event, message.stamp


def is_run(job_id: str) -> bool:
    """The job id is one that `RunKey` made."""
    return job_id.startswith("r/") and job_id.count("/") >= 3


def _describe(job_id: str) -> str:
    key = run_key(job_id)
    return f"workflow {key.workflow_id!r}, run {key.run_id}, namespace {key.namespace!r}"
