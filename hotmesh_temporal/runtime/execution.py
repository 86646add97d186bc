"""Load a run, let the engine decide, commit, and tell who waits for it.

Decisions on one run are made one after the other; those that come in while a commit is under way share the next one.
Runs are cached under the revision they have; a commit is conditional on that revision, so a stale cache costs a retry
and never a wrong result. A decision that refuses or changes nothing is repeated on a run that was read anew first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio.api.history.v1 import HistoryEvent

from ..contracts.commit import Ack, CurrentRunWrite, EventBatch, Mark, RunRecord
from ..contracts.errors import RevisionConflict
from ..contracts.execution import RunStore
from ..engine import enforcement
from ..engine.context import Context, Limits
from ..engine.model import decode_state, encode_state
from ..engine.turn import Turn
from ..errors import Code, RpcError, TaskFailed
from .clock import Clock
from .keys import RunKey, pointer_id
from .loaded import Loaded
from .namespaces import Namespaces
from .plan import Beside, CommitPlan, Counts, Relay, TaskOffers, Watches, key_of_state

_T = TypeVar("_T")

_CACHED_BYTES = 64 * 1024 * 1024
_CACHED_HISTORY_BYTES = 256 * 1024
_LOADED_BYTES = 4096
"""About what a run in memory takes beside its own bytes."""

Change = tuple[Turn, Loaded]
"""A run, and a decision on it."""

Opened = tuple[Turn, str | None]
"""A new run, and the job id of the run that is the current one of its workflow id now (None: there is none)."""

_GROUP = 64
"""How many decisions on one run share a commit at most."""


@dataclass(slots=True)
class _Waiting:
    """A decision that somebody waits for: what to do, and what came of it."""

    decide: Callable[[Turn], Any]
    marks: Sequence[Mark]
    acks: Sequence[Ack]
    missing: Callable[[], Exception] | None
    outcome: asyncio.Future[Any]
    result: Any = None
    error: RpcError | TaskFailed | None = None

    def take_turn(self, turn: Turn) -> None:
        """Decide; a refusal leaves the turn to the others as it was."""
        before, self.error = turn.snapshot(), None
        try:
            self.result = self.decide(turn)
            turn.settle(before.state)
        except (RpcError, TaskFailed) as error:
            self.error = error
            turn.restore(before)

    def take_only_turn(self, turn: Turn, before: bytes) -> bool:
        """The same for one who is alone, without the cost of a way back. False if the turn must not be used."""
        self.error = None
        try:
            self.result = self.decide(turn)
            turn.settle(before)
        except (RpcError, TaskFailed) as error:
            self.error = error
        return self.error is None

    def answer(self, loaded: Loaded) -> None:
        """It is committed, or certain that there is nothing to commit."""
        if self.error is not None:
            self.fail(self.error)
        elif not self.outcome.done():
            self.outcome.set_result((self.result, loaded))

    def fail(self, error: Exception) -> None:
        """Nothing came of it."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


def _look_at(outcome: asyncio.Future[Any]) -> None:
    """An error of a decision whose caller has gone is nobody's: it shall not be reported as forgotten."""
    if not outcome.cancelled():
        outcome.exception()


def _take_turns(group: list[_Waiting], turn: Turn, before: bytes) -> bool:
    """Let all decide on the run whose stored state is ``before``. False if there is nothing that may be committed."""
    if len(group) == 1:
        return group[0].take_only_turn(turn, before)
    for each in group:
        each.take_turn(turn)
    return True


class Executions:
    """All runs that this process works on, or those of one transaction of the user's."""

    def __init__(self, store: RunStore, clock: Clock, limits: Limits, namespaces: Namespaces) -> None:
        self.store = store
        self.clock = clock
        self.limits = limits
        self.namespaces = namespaces
        self.matching: TaskOffers = None  # type: ignore[assignment]  # set by the service that owns both
        self.outbox: Relay | None = None
        """Set if the streams are on another database than the store."""
        self.timers: Watches = None  # type: ignore[assignment]  # set by the service that owns both
        self.counters: Counts = None  # type: ignore[assignment]  # set by the service that owns both
        self._cache: dict[str, Loaded] = {}
        """The runs that were used last, in order of use."""
        self._currents: dict[str, str] = {}
        """The cached runs that were open when last seen, by pointer: what is the current run, unless it has closed."""
        self._cached_bytes = 0
        self._waiting: dict[str, list[_Waiting]] = {}
        self._unfinished: set[asyncio.Task[Any]] = set()
        self.changed: Callable[[str], None] = lambda job_id: None
        self.scrub: Callable[[str], Awaitable[None]]
        """Removes a run from the store; set by the service."""

    def context(self) -> Context:
        """What a decision made now may know."""
        return self.clock.context(self.limits, self.namespaces.known)

    def turn(self, loaded: Loaded) -> Turn:
        """A decision on this run, to be made now."""
        return Turn(self.context(), decode_state(loaded.data), loaded.origin)

    # -- reading ----------------------------------------------------------------------------------------------

    def cached(self, job_id: str) -> Loaded | None:
        """The run as this process last saw it."""
        return self._cache.get(job_id)

    async def load(self, key: RunKey) -> Loaded | None:
        """The run as it is now, or None."""
        await self._know(key.namespace)
        job_id = key.job_id
        known = self._cache.get(job_id)
        record = await self.store.load_run(job_id, known.revision if known else 0)
        if record is None:
            self.forget(job_id)
        return self._accept(record, known)

    async def load_current(self, namespace: str, workflow_id: str) -> Loaded | None:
        """The current run of a workflow id as it is now, or None."""
        await self._know(namespace)
        pointer = pointer_id(namespace, workflow_id)
        while True:
            known = self._cache.get(self._currents.get(pointer, ""))
            record = await self.store.load_current_run(pointer, (known.job_id, known.revision) if known else ("", 0))
            same = record is not None and known is not None and record.job_id == known.job_id
            loaded = self._accept(record, known if same else None)
            if record is None or loaded is None or loaded.state.running or loaded.revision == record.revision:
                return loaded
            # This process has closed it since the pointer was read: another run may be the current one by now.

    def current_in_memory(self, namespace: str, workflow_id: str) -> Loaded | None:
        """The current run as this process last saw it, if it was open then. A change finds out whether it still is."""
        return self._cache.get(self._currents.get(pointer_id(namespace, workflow_id), ""))

    async def _know(self, namespace: str) -> None:
        """Whoever has a run may decide on it, and a decision knows the run's namespace."""
        if self.namespaces.known(namespace) is None:
            await self.namespaces.find(namespace)

    def _accept(self, record: RunRecord | None, asked_with: Loaded | None) -> Loaded | None:
        """``asked_with``: the store left out what this one has. The cache may have lost it since, or gone back."""
        if record is None:
            return None
        known = _newer(self._cache.get(record.job_id), asked_with)
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
        if loaded.state.running:
            self._currents[_pointer(loaded)] = loaded.job_id
        while self._cached_bytes > _CACHED_BYTES and len(self._cache) > 1:
            self.forget(next(iter(self._cache)))

    def forget(self, job_id: str) -> None:
        """Drop a run from the cache: it is used least, or the outcome of a commit is not known."""
        loaded = self._cache.pop(job_id, None)
        if loaded is not None:
            self._cached_bytes -= loaded.size
            pointer = _pointer(loaded)
            if self._currents.get(pointer) == job_id:
                del self._currents[pointer]

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
        waiting = _Waiting(decide, marks, acks, missing, asyncio.get_running_loop().create_future())
        waiting.outcome.add_done_callback(_look_at)
        queue = self._waiting.get(key.job_id)
        if queue is None:
            self._waiting[key.job_id] = [waiting]
            self._begin(self._work_off(key))
        else:
            queue.append(waiting)
        return await asyncio.shield(waiting.outcome)

    async def _work_off(self, key: RunKey) -> None:
        """Decide on a run for all who wait, together: what arrives during a commit shares the next one."""
        queue = self._waiting[key.job_id]
        try:
            while queue:
                group = queue[:_GROUP]
                del queue[:_GROUP]
                await self._decide_together(key, group)
        finally:
            del self._waiting[key.job_id]

    async def _decide_together(self, key: RunKey, group: list[_Waiting]) -> None:
        """One commit for the group. One that stands in the way of the others is decided on alone."""
        try:
            loaded = await self._decide(key, group)
        except Exception as error:
            # What may have been committed must not be tried again: whoever asked finds out.
            unknown = isinstance(error, RpcError) and error.code == Code.UNAVAILABLE
            for each in group:
                if unknown or len(group) == 1:
                    each.fail(error)
                else:
                    await self._decide_together(key, [each])
            return
        for each in group:
            each.answer(loaded)

    async def _decide(self, key: RunKey, group: list[_Waiting]) -> Loaded:
        fresh = False
        loaded = self._cache.get(key.job_id)
        while True:
            if loaded is None:
                loaded, fresh = await self.load(key), True
            if loaded is None:
                missing = group[0].missing
                raise missing() if missing else RuntimeError(f"no such run: {key}")
            turn = self.turn(loaded)
            if _take_turns(group, turn, loaded.data) and self._has_changes(turn, loaded):
                try:
                    await self._enforce_limits(turn, loaded, group)
                    return await self._commit(turn, loaded, group)
                except RevisionConflict:
                    self.forget(key.job_id)
            elif fresh:
                return loaded
            # Refusals and decisions without effect only count if the run is known to be at its newest.
            loaded, fresh = await self.load(key), True

    async def _enforce_limits(self, turn: Turn, loaded: Loaded, group: list[_Waiting]) -> None:
        """Raise `LimitExceeded` instead of committing a decision on a run that is too large, and end the run.

        Of several decisions each is made alone then, so that those which still fit are not lost.
        """
        error = enforcement.exceeded(turn, len(loaded.data))
        if error is None:
            return
        if len(group) == 1:
            ending = self.turn(loaded)
            enforcement.end(ending, error)
            await self._commit(ending, loaded, [])
        raise error

    def _has_changes(self, turn: Turn, loaded: Loaded) -> bool:
        if turn.events or turn.dispatches or turn.orders or encode_state(turn.state) != loaded.data:
            return True
        # The run's timer has fired without anything being due: it has to be armed anew.
        return 0 < turn.state.armed_at_ms <= self.clock.now_ms()

    def _begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Work that goes on when its caller is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return task

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
        Raises `CurrentRunConflict` and `RevisionConflict`; the turn is then of no use any more.
        """
        return await asyncio.shield(self._begin(self._create(turn, expected, replaces, marks)))

    async def _create(
        self, turn: Turn, expected: str | None, replaces: tuple[Turn, Loaded] | None, marks: Sequence[Mark]
    ) -> Loaded:
        key = key_of_state(turn.state)
        plan = CommitPlan(self, list(marks))
        written = [plan.change(*replaces)] if replaces is not None else []
        written.append(plan.create(turn))
        plan.current.append(CurrentRunWrite(pointer_id(key.namespace, key.workflow_id), expected, key.job_id))
        await plan.commit()
        return [self._committed(each) for each in written][-1]

    async def create_with(
        self,
        turn: Turn,
        expected: str | None,
        changes: Sequence[Change],
        acks: Sequence[Ack],
        *,
        inherited: Sequence[EventBatch] = (),
        marks: Sequence[Mark] = (),
        becomes_current: bool = True,
    ) -> None:
        """As `create`, and in the same commit change other runs. ``inherited``: history from before the decision.

        With ``becomes_current`` False the current run of the workflow id stays as it is.
        """
        key = key_of_state(turn.state)
        pointer = CurrentRunWrite(pointer_id(key.namespace, key.workflow_id), expected, key.job_id)
        pointers = [pointer] if becomes_current else []
        await asyncio.shield(self._begin(self._commit_all(changes, turn, pointers, acks, inherited, marks)))

    async def commit_beside(
        self,
        beside: Beside,
        opened: Sequence[Opened],
        changes: Sequence[Change],
        marks: Sequence[Mark] = (),
        acks: Sequence[Ack] = (),
    ) -> None:
        """Commit new runs and changes of others together with something that is no run.

        Raises `RevisionConflict`, `CurrentRunConflict` and `DuplicateMark`; the turns are then of no use any more.
        """
        await asyncio.shield(self._begin(self._commit_beside(beside, opened, changes, marks, acks)))

    async def _commit_beside(
        self,
        beside: Beside,
        opened: Sequence[Opened],
        changes: Sequence[Change],
        marks: Sequence[Mark],
        acks: Sequence[Ack],
    ) -> None:
        for turn, loaded in changes:
            turn.settle(loaded.data)
        plan = CommitPlan(self, list(marks), list(acks))
        plan.put(beside)
        written = [plan.change(turn, loaded) for turn, loaded in changes]
        for turn, expected in opened:
            key = key_of_state(turn.state)
            written.append(plan.create(turn))
            plan.current.append(CurrentRunWrite(pointer_id(key.namespace, key.workflow_id), expected, key.job_id))
        await plan.commit()
        for each in written:
            self._committed(each)
        self.timers.watch(beside.write.job_id, beside.fires_at_ms)

    async def change_all(self, changes: Sequence[Change], acks: Sequence[Ack]) -> None:
        """Commit decisions on several runs, all or none. Raises `RevisionConflict`: decide anew."""
        await asyncio.shield(self._begin(self._commit_all(changes, None, [], acks)))

    async def _commit_all(
        self,
        changes: Sequence[Change],
        opened: Turn | None,
        current: Sequence[CurrentRunWrite],
        acks: Sequence[Ack],
        inherited: Sequence[EventBatch] = (),
        marks: Sequence[Mark] = (),
    ) -> None:
        for turn, loaded in changes:
            turn.settle(loaded.data)
        plan = CommitPlan(self, list(marks), list(acks))
        written = [plan.change(turn, loaded) for turn, loaded in changes]
        if opened is not None:
            written.append(plan.create(opened, inherited))
        plan.current += current
        await plan.commit()
        for each in written:
            self._committed(each)

    async def _commit(self, turn: Turn, loaded: Loaded, group: list[_Waiting]) -> Loaded:
        applied = [each for each in group if each.error is None]
        marks = [mark for each in applied for mark in each.marks]
        plan = CommitPlan(self, marks, [ack for each in applied for ack in each.acks])
        changed = plan.change(turn, loaded)
        following = plan.next_runs(turn)
        await plan.commit()
        for each in following:
            self._committed(each)
        return self._committed(changed)

    async def remove(self, ended: Loaded) -> None:
        """Remove a closed run with all that it has. Nobody can change it meanwhile: a closed run is never opened.

        Dedup marks of requests belong to the first run of the chain, which may be gone before: they go with the last.
        """
        first = key_of_state(ended.state)._replace(run_id=ended.state.first_run_id)
        if first.job_id != ended.job_id and await self._is_last(ended, first):
            await self.scrub(first.job_id)
        await self.scrub(ended.job_id)
        self.forget(ended.job_id)
        self.changed(ended.job_id)

    async def _is_last(self, ended: Loaded, first: RunKey) -> bool:
        """The first run of the chain is gone, and no other run is going on with the chain."""
        if await self.store.load_run(first.job_id) is not None:
            return False
        current = await self.store.load_current_run(pointer_id(first.namespace, first.workflow_id))
        if current is None or current.job_id == ended.job_id:
            return True
        return decode_state(current.state).first_run_id != first.run_id

    def _committed(self, loaded: Loaded) -> Loaded:
        _trim(loaded)
        self._remember(loaded)
        self.changed(loaded.job_id)
        self.timers.watch(loaded.job_id, loaded.state.armed_at_ms)
        return loaded


def _pointer(loaded: Loaded) -> str:
    return pointer_id(loaded.state.namespace, loaded.state.workflow_id)


def _newer(one: Loaded | None, other: Loaded | None) -> Loaded | None:
    """Of two states of the same run."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda each: each.revision)


def _trim(loaded: Loaded) -> None:
    """Keep only the newest part of a long history in memory."""
    total = 0
    for index in range(len(loaded.tail) - 1, -1, -1):
        total += len(loaded.tail[index].data)
        if total > _CACHED_HISTORY_BYTES and index < len(loaded.tail) - 1:
            del loaded.tail[: index + 1]
            return
