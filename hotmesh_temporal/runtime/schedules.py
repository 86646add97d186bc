"""Schedules: each is a job of the store, changed under its revision, with one timer for when it is due.

Whatever a schedule does to runs, starting them above all, is in the same commit as the change of its record. So a due
time that was started is one that is accounted for, and the other way round, whichever processes try and whenever they
die. A run that was started knows its schedule, and the end of its chain is told by a message of the engine's stream
that is part of the closing commit: nobody looks after runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, TypeVar

from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.schedule.v1 import Schedule, SchedulePatch

from ..contracts.commit import Ack, Mark, RunWrite
from ..contracts.errors import CurrentRunConflict, DuplicateMark, RevisionConflict
from ..contracts.store import StoreService
from ..engine.schedules.draft import Closed, Draft
from ..engine.schedules.ends import closed_of, schedule_of
from ..engine.schedules.state import ScheduleRecord, decode_schedule, encode_schedule
from ..errors import Code, RpcError, WorkflowCompleted, already_started, not_found, workflow_not_found
from .execution import Executions
from .history import Histories
from .keys import run_key, schedule_job, schedule_of_job
from .loaded import Loaded
from .plan import Beside
from .schedule_actions import ScheduleActions, Starts
from .schedule_documents import ID_PREFIX, document

T = TypeVar("T")

_CACHED_BYTES = 16 * 1024 * 1024
_CACHED_OVERHEAD = 200
_OPEN, _CLOSED = 1, 0
_VANISH_SECONDS = 0.001
_WAIT_SECONDS = 0.01


class _Stored(NamedTuple):
    """A record as it was read: revision 0 and no data if there was none."""

    revision: int
    data: bytes


_NOTHING = _Stored(0, b"")


class _Outcome(Enum):
    CHANGED = auto()
    UNCHANGED = auto()
    LOST = auto()
    """Somebody else has changed the schedule, or a run that was to be changed."""
    TAKEN = auto()
    """Somebody has a workflow id that was to be used."""


class _Gone(Exception):
    """There is no such schedule (any more)."""


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A valid request to create one; the spec is in its canonical form."""

    namespace: str
    schedule_id: str
    schedule: Schedule
    patch: SchedulePatch
    memo: Memo
    search_attributes: SearchAttributes
    request_id: str


class Schedules:
    """All schedules that this process works on."""

    def __init__(self, store: StoreService, executions: Executions, histories: Histories, starts: Starts) -> None:
        self._store = store
        self._executions = executions
        self._histories = histories
        self._starts = starts
        self._cache: OrderedDict[str, _Stored] = OrderedDict()
        self._cached_bytes = 0
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    # -- for callers ------------------------------------------------------------------------------------------

    async def create(self, new: NewSchedule) -> None:
        """Make one. ALREADY_EXISTS, but not for the same request again."""
        job = schedule_job(new.namespace, new.schedule_id)
        async with self._lock(job):
            looks = False
            while True:
                stored = await self._load(job)
                if stored is not None:
                    record = (await self._draft(job, stored)).record
                    if record.gone:
                        await self._vanish(job, stored.revision)
                        await asyncio.sleep(_WAIT_SECONDS)
                        continue
                    if not record.closed_at:
                        _check_same(record, new)
                        return
                draft = await self._new_draft(new)
                draft.patch(new.patch)
                outcome = await self._commit(job, stored or _NOTHING, draft, looks=looks)
                if outcome is _Outcome.CHANGED:
                    return
                looks = looks or outcome is _Outcome.TAKEN

    async def known(self, namespace: str, schedule_id: str) -> str | None:
        """The incarnation of the schedule that has the id; None if none has it."""
        job = schedule_job(namespace, schedule_id)
        stored = await self._load(job)
        record = (await self._draft(job, stored)).record if stored is not None else None
        return record.incarnation if record is not None and not record.closed_at else None

    async def adopt(self, record: ScheduleRecord, schedule: Schedule, waiting: int) -> bool:
        """Let a schedule go on here that was begun elsewhere, with its spec in the canonical form.

        ``waiting``: how many of its past starts wait for others; they are the last ones that came due. False if there
        is one of its id already.
        """
        job = schedule_job(record.namespace, record.schedule_id)
        async with self._lock(job):
            while True:
                stored = await self._load(job)
                if stored is not None and not (await self._draft(job, stored)).record.closed_at:
                    return False
                namespace = await self._executions.namespaces.view(record.namespace)
                now = self._executions.clock.now()
                draft = Draft(now, self._executions.limits, namespace.id, decode_schedule(encode_schedule(record)))
                draft.set_schedule(schedule)
                draft.wait_again(waiting)
                if await self._commit(job, stored or _NOTHING, draft) is _Outcome.CHANGED:
                    return True

    async def tell_closed(self, namespace: str, schedule_id: str, closed: Closed) -> None:
        """A chain of runs has ended elsewhere that the schedule waits for."""
        with contextlib.suppress(_Gone):
            await self._change(schedule_job(namespace, schedule_id), lambda draft: draft.closed(closed))

    async def _new_draft(self, new: NewSchedule) -> Draft:
        now = self._executions.clock.now()
        record = ScheduleRecord(
            new.namespace,
            new.schedule_id,
            self._executions.clock.new_id(),
            request_id=new.request_id,
            memo=new.memo.SerializeToString(deterministic=True),
            search_attributes=new.search_attributes.SerializeToString(deterministic=True),
            created_at=now,
            processed=now,
        )
        namespace = await self._executions.namespaces.view(new.namespace)
        draft = Draft(now, self._executions.limits, namespace.id, record)
        draft.set_schedule(new.schedule)
        return draft

    async def find(self, namespace: str, schedule_id: str, *, ended: bool = False) -> Draft:
        """One, as it is now. NOT_FOUND, also if it has ended, unless such ones are asked for too (``ended``)."""
        job = schedule_job(namespace, schedule_id)
        stored = await self._load(job)
        if stored is None:
            raise workflow_not_found(ID_PREFIX + schedule_id)
        draft = await self._draft(job, stored)
        if draft.record.closed_at and not ended:
            raise not_found("schedule not found")
        return draft

    async def change(
        self, namespace: str, schedule_id: str, decide: Callable[[Draft], None], request_id: str = ""
    ) -> None:
        """Let ``decide`` change it, once for each request id. Raises what it raises, and NOT_FOUND."""

        def check_and_decide(draft: Draft) -> None:
            if draft.record.closed_at:
                raise WorkflowCompleted()
            decide(draft)

        try:
            with contextlib.suppress(DuplicateMark):
                await self._change(schedule_job(namespace, schedule_id), check_and_decide, request_id=request_id)
        except _Gone:
            raise workflow_not_found(ID_PREFIX + schedule_id) from None

    async def delete(self, namespace: str, schedule_id: str) -> None:
        """End one. Runs that it has started go on. NOT_FOUND."""
        await self.change(namespace, schedule_id, Draft.close)

    # -- for the engine ---------------------------------------------------------------------------------------

    async def fire(self, job: str) -> bool:
        """Its timer has come. False if there is no such schedule."""
        try:
            await self._change(job, Draft.close_if_idle, cached=True)
        except _Gone:
            return False
        except RpcError as error:
            if error.code != Code.NOT_FOUND:
                raise
            return False  # its namespace is being deleted
        return True

    async def take(self, job: str, event_id: int, ack: Ack) -> bool:
        """A message that a run has ended. False if nobody waits for that (any more)."""
        key = run_key(job)
        ended = self._executions.cached(job)
        if ended is None or ended.state.running:
            ended = await self._executions.load(key)
        return ended is not None and not ended.state.running and await self.tell(ended, event_id, [ack])

    async def tell(self, ended: Loaded, event_id: int, acks: Sequence[Ack]) -> bool:
        """Tell the schedule of the end of a run's chain. False if it does not wait for it."""
        incarnation, schedule_id = schedule_of(ended.state)
        closed = closed_of(ended.state, await self._histories.event(ended, event_id))

        def decide(draft: Draft) -> bool:
            is_same = draft.record.incarnation == incarnation and not draft.record.closed_at
            return is_same and draft.closed(closed)

        try:
            return await self._change(schedule_job(ended.state.namespace, schedule_id), decide, acks=acks, cached=True)
        except _Gone:
            return False

    async def bury(self, job: str) -> bool:
        """Remove one that was deleted. False if it was made anew."""
        async with self._lock(job):
            while (stored := await self._load(job)) is not None:
                draft = await self._draft(job, stored)
                if not draft.record.closed_at:
                    return False
                if draft.record.gone:
                    await self._vanish(job, stored.revision)
                    return True
                # Whoever wants to make it anew sees by this that it may be removed at any moment.
                draft.record.gone = True
                await self._commit(job, stored, draft)
        return True

    async def _vanish(self, job: str, revision: int) -> None:
        transaction = self._store.transaction()
        await self._store.guard(job, revision, transaction)
        await self._store.expire_job(job, _VANISH_SECONDS, transaction)
        with contextlib.suppress(RevisionConflict):  # it is a new one by now
            await transaction.exec()
        self.forget(job)

    # -- changing ---------------------------------------------------------------------------------------------

    async def _change(
        self,
        job: str,
        decide: Callable[[Draft], T],
        *,
        request_id: str = "",
        acks: Sequence[Ack] = (),
        cached: bool = False,
    ) -> T:
        """Take account of what has come due, let ``decide`` add to it, and commit that with what follows from it.

        ``cached``: what is in memory will do to begin with. Raises `_Gone`, `DuplicateMark` and what ``decide`` raises.
        """
        async with self._lock(job):
            known, looks = self._cache.get(job) if cached else None, False
            while True:
                stored = known or await self._load(job)
                if stored is None:
                    raise _Gone
                draft = await self._draft(job, stored)
                if not draft.record.closed_at:
                    draft.generate()
                result = decide(draft)
                marks = [Mark(job, f"{draft.record.incarnation}/{request_id}")] if request_id else []
                outcome = await self._commit(job, stored, draft, marks, acks, looks=looks)
                # What is in memory may be old: that nothing is to be done only counts for what was read just now.
                if outcome is _Outcome.CHANGED or (outcome is _Outcome.UNCHANGED and known is None):
                    return result
                known, looks = None, looks or outcome is _Outcome.TAKEN

    async def _commit(
        self,
        job: str,
        stored: _Stored,
        draft: Draft,
        marks: Sequence[Mark] = (),
        acks: Sequence[Ack] = (),
        *,
        looks: bool = False,
    ) -> _Outcome:
        actions = ScheduleActions(self._executions, self._starts, draft, looks=looks)
        if not draft.record.closed_at:
            draft.backfill()
            await actions.carry_out()
        draft.finish()
        record = draft.record
        record.armed_at_ms = draft.wakes_at_ms()
        data = encode_schedule(record)
        if data == stored.data and not marks:
            return _Outcome.UNCHANGED
        status, origin = _CLOSED if record.closed_at else _OPEN, None if stored.revision else b"schedule"
        write = RunWrite(job_id=job, expected_revision=stored.revision, status=status, state=data, origin=origin)
        namespace = await self._executions.namespaces.view(record.namespace)
        beside = Beside(write, document(draft, namespace), record.armed_at_ms)
        self.forget(job)
        try:
            await self._executions.commit_beside(beside, actions.opened, actions.changes, marks, acks)
        except RevisionConflict:
            return _Outcome.LOST
        except CurrentRunConflict:
            return _Outcome.TAKEN
        self._remember(job, _Stored(stored.revision + 1, data))
        return _Outcome.CHANGED

    # -- reading ----------------------------------------------------------------------------------------------

    async def _load(self, job: str) -> _Stored | None:
        """As it is now; None if there is none."""
        known = self._cache.get(job)
        record = await self._store.load_run(job, known.revision if known else 0)
        if record is None:
            self.forget(job)
            return None
        if known is not None and known.revision == record.revision:
            return known
        stored = _Stored(record.revision, record.state)
        self._remember(job, stored)
        return stored

    async def _draft(self, job: str, stored: _Stored) -> Draft:
        namespace, _ = schedule_of_job(job) or ("", "")
        view = await self._executions.namespaces.view(namespace)
        return Draft.of(stored.data, self._executions.clock.now(), self._executions.limits, view.id)

    def _remember(self, job: str, stored: _Stored) -> None:
        self.forget(job)
        self._cache[job] = stored
        self._cached_bytes += len(stored.data) + _CACHED_OVERHEAD
        while self._cached_bytes > _CACHED_BYTES and len(self._cache) > 1:
            self.forget(next(iter(self._cache)))

    def forget(self, job: str) -> None:
        """What is known of it may be old."""
        stored = self._cache.pop(job, None)
        if stored is not None:
            self._cached_bytes -= len(stored.data) + _CACHED_OVERHEAD

    def _lock(self, job: str) -> asyncio.Lock:
        """Held while this process changes it, so that its own wishes do not stand in each other's way."""
        lock = self._locks.get(job)
        if lock is None:
            lock = self._locks[job] = asyncio.Lock()
        return lock


def _check_same(record: ScheduleRecord, new: NewSchedule) -> None:
    """The schedule was made by the same request."""
    if record.request_id != new.request_id:
        message = f'schedule "{new.schedule_id}" is already registered'
        raise already_started(message, "", "", "")
