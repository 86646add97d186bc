"""Load a run, let the engine decide, commit, and tell who waits for it.

Runs are cached under the revision they have; a commit is conditional on that revision, so a stale cache costs a retry
and never a wrong result. A decision that refuses or changes nothing is repeated on a run that was read anew first.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.api.history.v1 import History, HistoryEvent

from ..contracts.commit import (
    Ack,
    Commit,
    CurrentRunWrite,
    EventBatch,
    Mark,
    Publish,
    RunRecord,
    RunWrite,
    TimerWrite,
)
from ..contracts.errors import CurrentRunConflict, DuplicateMark, RevisionConflict, Unavailable
from ..contracts.search import SearchDocument
from ..contracts.store import StoreService
from ..engine.context import Context, Limits
from ..engine.deadlines import next_deadline
from ..engine.effects import TaskDispatch
from ..engine.model import ExecutionState, decode_state, encode_state
from ..engine.protos import ceil_ms
from ..engine.turn import Turn
from ..errors import RpcError, TaskFailed, unavailable
from .clock import Clock
from .keys import QueueKey, RunKey, TaskMessage, encode_task, pointer_id
from .visibility import document

if TYPE_CHECKING:
    from .matching import Matching, Offer
    from .timers import Timers

_LOG = logging.getLogger(__name__)

_T = TypeVar("_T")

_CACHED_BYTES = 64 * 1024 * 1024
_CACHED_HISTORY_BYTES = 256 * 1024
_LOADED_BYTES = 4096
"""About what a run in memory takes beside its own bytes."""

_OPEN, _CLOSED = 1, 0


@dataclass(slots=True)
class Loaded:
    """A run as it is at ``revision``. ``tail`` are its last batches of events, without a gap up to the end."""

    job_id: str
    revision: int
    state: ExecutionState
    data: bytes
    origin: HistoryEvent
    tail: list[EventBatch] = field(default_factory=list[EventBatch])
    size: int = 0
    """About how many bytes it takes in memory; set when it is cached."""


class Executions:
    """All runs that this process works on."""

    def __init__(self, store: StoreService, clock: Clock, limits: Limits) -> None:
        self.store = store
        self.clock = clock
        self.limits = limits
        self.matching: Matching = None  # type: ignore[assignment]  # set by the service that owns both
        self.timers: Timers = None  # type: ignore[assignment]  # set by the service that owns both
        self._cache: dict[str, Loaded] = {}
        """The runs that were used last, in order of use."""
        self._cached_bytes = 0
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._unfinished: set[asyncio.Task[Any]] = set()
        self.changed: Callable[[str], None] = lambda job_id: None

    def context(self) -> Context:
        """What a decision made now may know."""
        return self.clock.context(self.limits)

    # -- reading ----------------------------------------------------------------------------------------------

    def cached(self, job_id: str) -> Loaded | None:
        """The run as this process last saw it."""
        return self._cache.get(job_id)

    async def load(self, key: RunKey) -> Loaded | None:
        """The run as it is now, or None."""
        job_id = key.job_id
        known = self._cache.get(job_id)
        record = await self.store.load_run(job_id, known.revision if known else 0)
        return self._accept(record, known)

    async def load_current(self, namespace: str, workflow_id: str) -> Loaded | None:
        """The current run of a workflow id as it is now, or None."""
        return self._accept(await self.store.load_current_run(pointer_id(namespace, workflow_id)), None)

    def _accept(self, record: RunRecord | None, asked_with: Loaded | None) -> Loaded | None:
        """``asked_with``: the store left out what this one has. It may have gone from the cache meanwhile."""
        if record is None:
            return None
        known = self._cache.get(record.job_id, asked_with)
        if known is not None and known.revision >= record.revision:
            return known
        loaded = Loaded(
            record.job_id,
            record.revision,
            decode_state(record.state),
            record.state,
            known.origin if known else HistoryEvent.FromString(record.origin),
        )
        self._remember(loaded)
        return loaded

    def _remember(self, loaded: Loaded) -> None:
        self.forget(loaded.job_id)
        loaded.size = _LOADED_BYTES + 2 * len(loaded.data) + sum(len(batch.data) for batch in loaded.tail)
        self._cache[loaded.job_id] = loaded
        self._cached_bytes += loaded.size
        while self._cached_bytes > _CACHED_BYTES and len(self._cache) > 1:
            self.forget(next(iter(self._cache)))

    def forget(self, job_id: str) -> None:
        """Drop a run from the cache: it is used least, or the outcome of a commit is not known."""
        loaded = self._cache.pop(job_id, None)
        if loaded is not None:
            self._cached_bytes -= loaded.size

    def keep_history(self, loaded: Loaded, batches: Sequence[EventBatch]) -> None:
        """Remember the end of a history that had to be read."""
        loaded.tail = list(batches)
        _trim(loaded)
        if self._cache.get(loaded.job_id) is loaded:
            self._remember(loaded)

    async def is_marked(self, mark: Mark) -> bool:
        """This request was applied before."""
        return await self.store.has_mark(mark)

    # -- changing ---------------------------------------------------------------------------------------------

    async def update(
        self,
        key: RunKey,
        decide: Callable[[Turn], _T],
        *,
        marks: Sequence[Mark] = (),
        acks: Sequence[Ack] = (),
        missing: Callable[[], Exception] | None = None,
    ) -> tuple[_T, Loaded]:
        """Let ``decide`` change the run, and commit what it did, once. Returns its result and the run afterwards.

        ``decide`` may be called several times. Raises what it raises, `DuplicateMark` if one of ``marks`` is there
        already, and the error of ``missing`` if there is no such run. A commit that has begun is finished even if the
        caller is cancelled.
        """
        return await self._finish(self._update(key, decide, marks, acks, missing))

    async def _update(
        self,
        key: RunKey,
        decide: Callable[[Turn], _T],
        marks: Sequence[Mark],
        acks: Sequence[Ack],
        missing: Callable[[], Exception] | None,
    ) -> tuple[_T, Loaded]:
        async with self._lock(key.job_id):
            fresh = False
            loaded = self._cache.get(key.job_id)
            while True:
                if loaded is None:
                    loaded, fresh = await self.load(key), True
                if loaded is None:
                    raise missing() if missing else RuntimeError(f"no such run: {key}")
                turn = Turn(self.context(), decode_state(loaded.data), loaded.origin)
                try:
                    result = decide(turn)
                except (RpcError, TaskFailed):
                    if fresh:
                        raise
                    loaded, fresh = await self.load(key), True
                    continue
                if not self._has_changes(turn, loaded):
                    if fresh:
                        return result, loaded
                    loaded, fresh = await self.load(key), True
                    continue
                try:
                    return result, await self._commit(turn, loaded, marks, acks)
                except RevisionConflict:
                    self.forget(key.job_id)
                    loaded, fresh = await self.load(key), True

    def _has_changes(self, turn: Turn, loaded: Loaded) -> bool:
        if turn.events or turn.dispatches or encode_state(turn.state) != loaded.data:
            return True
        # The run's timer has fired without anything being due: it has to be armed anew.
        return 0 < turn.state.armed_at_ms <= self.clock.now_ms()

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what has begun."""
        await asyncio.gather(*self._unfinished, return_exceptions=True)

    async def create(
        self,
        turn: Turn,
        *,
        expected: str | None,
        replaces: tuple[Turn, Loaded] | None = None,
        marks: Sequence[Mark] = (),
    ) -> Loaded:
        """Commit a new run as the current one of its workflow id, if ``expected`` (a job id, or None) is current now.

        ``replaces`` is the current run with a decision that closes it, committed together with the new run.
        Raises `CurrentRunConflict` and `RevisionConflict`.
        """
        return await self._finish(self._create(turn, expected, replaces, marks))

    async def _create(
        self, turn: Turn, expected: str | None, replaces: tuple[Turn, Loaded] | None, marks: Sequence[Mark]
    ) -> Loaded:
        key = _key(turn.state)
        plan = _Plan(self, list(marks))
        written = [plan.change(*replaces)] if replaces is not None else []
        written.append(plan.create(turn))
        plan.current.append(CurrentRunWrite(pointer_id(key.namespace, key.workflow_id), expected, key.job_id))
        await plan.commit()
        return [self._committed(each) for each in written][-1]

    async def _commit(self, turn: Turn, loaded: Loaded, marks: Sequence[Mark], acks: Sequence[Ack]) -> Loaded:
        plan = _Plan(self, list(marks), list(acks))
        changed = plan.change(turn, loaded)
        following = plan.next_runs(turn)
        await plan.commit()
        for each in following:
            self._committed(each)
        return self._committed(changed)

    def _committed(self, loaded: Loaded) -> Loaded:
        _trim(loaded)
        self._remember(loaded)
        self.changed(loaded.job_id)
        self.timers.watch(loaded.job_id, loaded.state.armed_at_ms)
        return loaded

    def _lock(self, job_id: str) -> asyncio.Lock:
        lock = self._locks.get(job_id)
        if lock is None:
            lock = self._locks[job_id] = asyncio.Lock()
        return lock


class _Plan:
    """Collects what one commit changes; hands tasks to idle pollers of this process in the same commit."""

    def __init__(self, executions: Executions, marks: list[Mark], acks: list[Ack] | None = None) -> None:
        self._executions = executions
        self._marks, self._acks = marks, acks or []
        self._runs: list[RunWrite] = []
        self.current: list[CurrentRunWrite] = []
        self._timers: list[TimerWrite] = []
        self._cancel_timers: list[str] = []
        self._documents: list[SearchDocument] = []
        self._offers: list[Offer] = []
        self._withdrawn: list[tuple[QueueKey, str]] = []

    def create(self, turn: Turn) -> Loaded:
        return self._write(turn, _key(turn.state).job_id, None)

    def change(self, turn: Turn, loaded: Loaded) -> Loaded:
        return self._write(turn, loaded.job_id, loaded)

    def next_runs(self, turn: Turn) -> list[Loaded]:
        """The runs that the decision opens become current, one after the other."""
        written: list[Loaded] = []
        while turn.next_run is not None:
            before, turn = _key(turn.state), turn.next_run
            written.append(self.create(turn))
            key = _key(turn.state)
            pointer = pointer_id(key.namespace, key.workflow_id)
            self.current.append(CurrentRunWrite(pointer, before.job_id, key.job_id))
        return written

    def _write(self, turn: Turn, job_id: str, loaded: Loaded | None) -> Loaded:
        state, revision = turn.state, loaded.revision if loaded else 0
        state.transitions += 1
        self._arm(job_id, state)
        data = encode_state(state)
        batches = _batches(turn.events)
        self._runs.append(
            RunWrite(
                job_id=job_id,
                expected_revision=revision,
                status=_OPEN if state.running else _CLOSED,
                state=data,
                origin=turn.origin.SerializeToString() if loaded is None else None,
                batches=batches,
            )
        )
        for dispatch in turn.dispatches:
            self._offer(job_id, state, dispatch)
        for withdrawn in turn.withdrawn:
            queue, message = self._message(job_id, state, withdrawn)
            self._withdrawn.append((queue, message))
        if turn.visibility_changed:
            self._documents.append(document(job_id, state))
        tail = (loaded.tail if loaded else []) + list(batches)
        return Loaded(job_id, revision + 1, state, data, turn.origin, tail)

    def _arm(self, job_id: str, state: ExecutionState) -> None:
        """One timer stands for all of a run's deadlines. It is moved only to fire earlier: coming early is harmless."""
        at = ceil_ms(next_deadline(state))
        if not at and state.armed_at_ms and not state.running:
            self._cancel_timers.append(job_id)
            state.armed_at_ms = 0
        elif state.armed_at_ms and state.armed_at_ms <= self._executions.clock.now_ms():
            if at:
                self._timers.append(TimerWrite(job_id, at))
            else:
                self._cancel_timers.append(job_id)
            state.armed_at_ms = at
        elif at and (not state.armed_at_ms or at < state.armed_at_ms):
            self._timers.append(TimerWrite(job_id, at))
            state.armed_at_ms = at

    @staticmethod
    def _message(job_id: str, state: ExecutionState, dispatch: TaskDispatch) -> tuple[QueueKey, str]:
        """Where the message of a task goes, and its text."""
        queue = QueueKey(state.namespace, dispatch.activity, dispatch.queue)
        return queue, encode_task(TaskMessage(job_id, dispatch.event_id, dispatch.stamp))

    def _offer(self, job_id: str, state: ExecutionState, dispatch: TaskDispatch) -> None:
        matching = self._executions.matching
        queue, message = self._message(job_id, state, dispatch)
        if dispatch.sticky and matching.is_gone(queue):
            queue = QueueKey(state.namespace, False, state.task_queue)
        self._offers.append(matching.offer(queue, message))

    async def commit(self) -> None:
        """Apply it all. Offers that found a poller are delivered afterwards, or taken back if nothing was applied."""
        executions = self._executions
        publishes = tuple(Publish(stream=each.stream, message=each.message, lease=each.lease) for each in self._offers)
        commit = Commit(
            runs=tuple(self._runs),
            current_runs=tuple(self.current),
            marks=tuple(self._marks),
            publishes=publishes,
            acks=tuple(self._acks),
            timers=tuple(self._timers),
            cancel_timers=tuple(self._cancel_timers),
            search=tuple(self._documents),
        )
        try:
            result = await executions.store.commit(commit)
        except (RevisionConflict, CurrentRunConflict, DuplicateMark):
            self._withdraw()
            raise
        except Unavailable as error:
            self._withdraw()
            self._forget()
            raise unavailable(str(error)) from error
        except BaseException:
            self._withdraw()
            self._forget()
            raise
        for offer, message_id in zip(self._offers, result.message_ids, strict=True):
            executions.matching.published(offer, message_id)
        for queue, message in self._withdrawn:
            executions.matching.discard(queue, message)

    def _withdraw(self) -> None:
        for offer in self._offers:
            self._executions.matching.withdraw(offer)

    def _forget(self) -> None:
        for run in self._runs:
            self._executions.forget(run.job_id)


def _key(state: ExecutionState) -> RunKey:
    return RunKey(state.namespace, state.workflow_id, state.run_id)


def _batches(events: Sequence[HistoryEvent]) -> tuple[EventBatch, ...]:
    if not events:
        return ()
    data = History(events=events).SerializeToString()
    return (EventBatch(events[0].event_id, events[-1].event_id + 1, data),)


def _trim(loaded: Loaded) -> None:
    """Keep only the newest part of a long history in memory."""
    total = 0
    for index in range(len(loaded.tail) - 1, -1, -1):
        total += len(loaded.tail[index].data)
        if total > _CACHED_HISTORY_BYTES and index < len(loaded.tail) - 1:
            del loaded.tail[: index + 1]
            return
