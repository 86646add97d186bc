"""What one commit writes, collected from decisions; and the hand-over of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from temporalio.api.history.v1 import History, HistoryEvent

from ..contracts.commit import (
    Ack,
    Commit,
    CommitResult,
    CurrentRunWrite,
    EventBatch,
    Mark,
    Publish,
    RunWrite,
    TimerWrite,
)
from ..contracts.errors import CurrentRunConflict, DuplicateMark, RevisionConflict, Unavailable
from ..contracts.search import SearchDocument
from ..engine.deadlines import next_deadline
from ..engine.effects import TaskDispatch
from ..engine.model import ExecutionState, encode_state
from ..engine.protos import ceil_ms
from ..engine.turn import Turn
from ..errors import unavailable
from .keys import ENGINE_QUEUE, QueueKey, RunKey, TaskMessage, encode_task, pointer_id
from .loaded import Loaded
from .matching import Offer, Started, Waiter
from .visibility import document

if TYPE_CHECKING:
    from .execution import Executions

_OPEN, _CLOSED = 1, 0


class TaskOffers(Protocol):
    """Where tasks go; see `Matching`."""

    def reserve(self, key: QueueKey) -> Waiter | None: ...
    def give(self, waiter: Waiter, started: Started) -> None: ...
    def free(self, waiter: Waiter) -> None: ...
    def offer(self, key: QueueKey, message: str) -> Offer: ...
    def published(self, offer: Offer, message_id: str) -> None: ...
    def withdraw(self, offer: Offer) -> None: ...
    def is_gone(self, key: QueueKey) -> bool: ...
    def discard(self, key: QueueKey, age_ms: int) -> None: ...


class Relay(Protocol):
    """What brings messages to streams elsewhere; see `Outbox`."""

    def send(self, offers: Sequence[tuple[Offer, str]]) -> None: ...
    def settle(self, acks: Sequence[Ack]) -> None: ...


class Watches(Protocol):
    """Who is told of armed timers; see `Timers`."""

    def watch(self, job_id: str, at_ms: int) -> None: ...


class Counts(Protocol):
    """Who counts; see `Counters`."""

    def opened(self, state: ExecutionState) -> None: ...
    def closed(self, state: ExecutionState) -> None: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """What a commit writes of something that is no run, with one timer under its job id (``fires_at_ms`` 0: none)."""

    write: RunWrite
    document: SearchDocument
    fires_at_ms: int


class CommitPlan:
    """Collects what one commit changes; hands tasks to idle pollers of this process in the same commit."""

    def __init__(self, executions: Executions, marks: list[Mark], acks: list[Ack] | None = None) -> None:
        self._executions = executions
        self._marks, self._acks = marks, acks or []
        self._runs: list[RunWrite] = []
        self._beside: list[RunWrite] = []
        self.current: list[CurrentRunWrite] = []
        self._timers: list[TimerWrite] = []
        self._cancel_timers: list[str] = []
        self._documents: list[SearchDocument] = []
        self._offers: list[Offer] = []
        self._given: list[tuple[Waiter, Started]] = []
        self._withdrawn: list[tuple[QueueKey, int]] = []
        self._opened: list[ExecutionState] = []
        self._closed: list[ExecutionState] = []

    def create(self, turn: Turn, inherited: Sequence[EventBatch] = ()) -> Loaded:
        """A new run. ``inherited``: the part of its history that is older than the decision."""
        return self._write(turn, key_of_state(turn.state).job_id, None, inherited)

    def change(self, turn: Turn, loaded: Loaded) -> Loaded:
        return self._write(turn, loaded.job_id, loaded)

    def next_runs(self, turn: Turn) -> list[Loaded]:
        """The runs that the decision opens become current, one after the other."""
        written: list[Loaded] = []
        while turn.next_run is not None:
            before, turn = key_of_state(turn.state), turn.next_run
            written.append(self.create(turn))
            key = key_of_state(turn.state)
            pointer = pointer_id(key.namespace, key.workflow_id)
            self.current.append(CurrentRunWrite(pointer, before.job_id, key.job_id))
        return written

    def put(self, beside: Beside) -> None:
        """Something that is no run changes too."""
        job_id = beside.write.job_id
        self._beside.append(beside.write)
        self._documents.append(beside.document)
        if beside.fires_at_ms:
            self._timers.append(TimerWrite(job_id, beside.fires_at_ms))
        else:
            self._cancel_timers.append(job_id)

    def _write(self, turn: Turn, job_id: str, loaded: Loaded | None, inherited: Sequence[EventBatch] = ()) -> Loaded:
        state, revision = turn.state, loaded.revision if loaded else 0
        state.transitions += 1
        taken = self._let_workers_take(turn)
        self._arm(job_id, state)
        data = encode_state(state)
        batches = (*inherited, *_batches(turn.events))
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
        for order in turn.orders:
            message = encode_task(TaskMessage(job_id, order.event_id, work=order.work.value))
            self._offers.append(self._executions.matching.offer(ENGINE_QUEUE, message))
        for each in turn.withdrawn:
            self._withdrawn.append((QueueKey(state.namespace, False, each.queue), ceil_ms(each.waited)))
        if turn.visibility_changed:
            self._documents.append(document(job_id, state, turn.ctx.namespace(state.namespace)))
        if loaded is None:
            self._opened.append(state)
        if not state.running and (loaded is None or loaded.state.running):
            self._closed.append(state)
        tail = (loaded.tail if loaded else []) + list(batches)
        written = Loaded(job_id, revision + 1, state, data, turn.origin, tail)
        self._given += [(waiter, Started(task, written)) for waiter, task in taken]
        return written

    def _let_workers_take(self, turn: Turn) -> list[tuple[Waiter, Any]]:
        """Start the tasks for which a worker of this process is idle, as part of the decision that schedules them."""
        matching, taken, rest = self._executions.matching, list[tuple[Waiter, Any]](), list[TaskDispatch]()
        for dispatch in turn.dispatches:
            waiter = matching.reserve(_queue(turn.state, dispatch))
            task = waiter.take(turn, dispatch) if waiter is not None and waiter.take is not None else None
            if waiter is not None and task is not None:
                taken.append((waiter, task))
                continue
            rest.append(dispatch)
            if waiter is not None:
                matching.free(waiter)
        turn.dispatches = rest
        return taken

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

    def _offer(self, job_id: str, state: ExecutionState, dispatch: TaskDispatch) -> None:
        matching = self._executions.matching
        queue = _queue(state, dispatch)
        message = encode_task(TaskMessage(job_id, dispatch.event_id, dispatch.stamp))
        if dispatch.sticky and matching.is_gone(queue):
            queue = QueueKey(state.namespace, False, state.task_queue)
        self._offers.append(matching.offer(queue, message))

    async def commit(self) -> None:
        """Apply it all. Offers that found a poller are delivered afterwards, or taken back if nothing was applied."""
        executions = self._executions
        commit = Commit(
            runs=(*self._runs, *self._beside),
            current_runs=tuple(self.current),
            marks=tuple(self._marks),
            **self._messages(),
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
        self._hand_over(result)
        for waiter, started in self._given:
            executions.matching.give(waiter, started)
        for queue, waited_ms in self._withdrawn:
            executions.matching.discard(queue, waited_ms)
        self._count()

    def _count(self) -> None:
        for state in self._opened:
            self._executions.counters.opened(state)
        for state in self._closed:
            self._executions.counters.closed(state)

    def _messages(self) -> dict[str, Any]:
        """What the commit does in streams: all of it, or if they are elsewhere, what is to be done there."""
        if self._executions.outbox is not None:
            return {"outbox": tuple(Publish(stream=each.stream, message=each.message) for each in self._offers)}
        publishes = (Publish(stream=each.stream, message=each.message, lease=each.lease) for each in self._offers)
        return {"publishes": tuple(publishes), "acks": tuple(self._acks)}

    def _hand_over(self, result: CommitResult) -> None:
        outbox = self._executions.outbox
        if outbox is not None:
            outbox.send(list(zip(self._offers, result.outbox_ids, strict=True)))
            outbox.settle(self._acks)
            return
        for offer, message_id in zip(self._offers, result.message_ids, strict=True):
            self._executions.matching.published(offer, message_id)

    def _withdraw(self) -> None:
        """Nothing is given to anybody: the pollers go on waiting."""
        for offer in self._offers:
            self._executions.matching.withdraw(offer)
        for waiter, _ in self._given:
            self._executions.matching.free(waiter)

    def _forget(self) -> None:
        for run in self._runs:
            self._executions.forget(run.job_id)


def key_of_state(state: ExecutionState) -> RunKey:
    return RunKey(state.namespace, state.workflow_id, state.run_id)


def _queue(state: ExecutionState, dispatch: TaskDispatch) -> QueueKey:
    return QueueKey(state.namespace, dispatch.activity, dispatch.queue)


def _batches(events: Sequence[HistoryEvent]) -> tuple[EventBatch, ...]:
    if not events:
        return ()
    data = History(events=events).SerializeToString()
    return (EventBatch(events[0].event_id, events[-1].event_id + 1, data),)
