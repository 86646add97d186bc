"""What runs do to each other: start children, tell parents, signal and cancel other workflows.

Such work is decided by one run and published in its commit as a message of the engine's own stream, so it is neither
lost nor forgotten when a process dies. Any process takes it up. Whatever it changes — the other run, the run that
asked for it, the message itself — is one commit again, conditional on both runs: so it happens once, and an open run
has its answer as soon as the deed is done. A message that is delivered again finds nothing pending and is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable

import msgspec
from temporalio.api.common.v1 import Header, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    ParentClosePolicy,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.api.history.v1 import SignalExternalWorkflowExecutionInitiatedEventAttributes

from ..contracts.commit import Ack
from ..contracts.errors import ContractError, CurrentRunConflict, RevisionConflict
from ..contracts.stream import StreamService
from ..engine import children
from ..engine.effects import Work
from ..engine.machines import child_workflow, external_cancel, external_signal, workflow
from ..engine.model import Child, ExecutionState, External
from ..engine.turn import Turn
from ..errors import RpcError
from .execution import Change, Executions
from .history import Histories
from .keys import ENGINE_QUEUE, RunKey, TaskMessage, decode_task, run_key
from .loaded import Loaded
from .matching import Delivery, Matching

_LOG = logging.getLogger(__name__)

TellSchedule = Callable[[Loaded, int, list[Ack]], Awaitable[bool]]
"""An ended run and its closing event, and how to dispose of the message. False if no schedule waits for that."""

Handler = Callable[[str, int, Ack], Awaitable[bool]]
"""Job, event, and how to dispose of the message. False if there is nothing to do (any more)."""

_PARALLEL = 4
_POLL_SECONDS = 3600.0
_RETRY_MS = 1000
_PUZZLED_MS = 10_000

_ALREADY_EXISTS = StartChildWorkflowExecutionFailedCause.Value(
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS"
)
_NOBODY_TO_CANCEL = CancelExternalWorkflowExecutionFailedCause.Value(
    "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
_NOBODY_TO_SIGNAL = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
_TOO_MANY_SIGNALS = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED"
)


class _MayCome(ContractError):
    """There is no such workflow, but its namespace is being moved here: it may be on its way."""


class _ParentGone(Exception):
    """There is no such parent any more."""


class EngineTasks:
    """Takes messages of the engine's stream and carries them out, a few at a time."""

    def __init__(
        self, executions: Executions, histories: Histories, matching: Matching, stream: StreamService, engine_id: str
    ) -> None:
        self._executions = executions
        self._histories = histories
        self._matching = matching
        self._stream = stream
        self._engine_id = engine_id
        self.is_moving: Callable[[str], Awaitable[bool]] = None  # type: ignore[assignment]  # set by the service
        self.tell_schedule: TellSchedule = None  # type: ignore[assignment]  # set by the service that owns both
        self._pollers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._handlers: dict[str, Handler] = {
            Work.START_CHILD.value: self._start_child,
            Work.SIGNAL.value: self._signal,
            Work.CANCEL.value: self._cancel,
            Work.CLOSE_CHILD.value: self._close_child,
            Work.TELL_PARENT.value: self._tell_parent,
            Work.DELETE.value: self._delete,
        }

    def handle(self, work: str, handler: Handler) -> None:
        """Have another kind of the engine's work done by ``handler``, before `start`."""
        self._handlers[work] = handler

    async def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._pollers = [loop.create_task(self._poll()) for _ in range(_PARALLEL)]

    async def close(self) -> None:
        """Take nothing more, and finish what has begun."""
        for poller in self._pollers:
            poller.cancel()
        await asyncio.gather(*self._pollers, *self._busy, return_exceptions=True)

    async def _poll(self) -> None:
        while True:
            delivery = await self._matching.poll(ENGINE_QUEUE, _POLL_SECONDS)
            if isinstance(delivery, Delivery):
                task = asyncio.get_running_loop().create_task(self._handle(delivery))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
                await asyncio.shield(task)

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        ack = Ack(delivery.stream, ENGINE_QUEUE.group, message.message_id, self._engine_id, message.attempt)
        try:
            handler, order = self._read(message.data)
            if order is None or handler is None or not await handler(order.job, order.event, ack):
                await self._drop(ack)
        except (RpcError, ContractError) as error:
            _LOG.debug("work of the engine is tried again: %s", error)
            await self._give_back(ack, _RETRY_MS)
        except Exception:
            _LOG.exception("work of the engine could not be done: %s", message.data)
            await self._give_back(ack, _PUZZLED_MS)

    def _read(self, data: str) -> tuple[Handler | None, TaskMessage | None]:
        try:
            order = decode_task(data)
        except msgspec.DecodeError:
            order = None
        handler = self._handlers.get(order.work) if order is not None else None
        if handler is None:
            _LOG.error("work of the engine that cannot be read is dropped: %s", data)
        return handler, order

    async def _drop(self, ack: Ack) -> None:
        await self._stream.ack_and_delete(
            ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
        )

    async def _give_back(self, ack: Ack, delay: int) -> None:
        try:
            await self._stream.release_messages(
                ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt, delay=delay
            )
        except ContractError as error:
            _LOG.debug("work of the engine is given back when its lease lapses: %s", error)

    # -- each kind of work --------------------------------------------------------------------------------------

    async def _start_child(self, job_id: str, event_id: int, ack: Ack) -> bool:
        async with self._lock(job_id):
            while True:
                parent = await self._asking(job_id, lambda state: event_id in state.children)
                child = parent.state.children.get(event_id) if parent is not None else None
                if parent is None or child is None or child.run_id or not parent.state.running:
                    return False
                try:
                    await self._start(parent, child, ack)
                except (RevisionConflict, CurrentRunConflict):
                    self._executions.forget(job_id)
                    continue
                return True

    async def _start(self, parent: Loaded, child: Child, ack: Ack) -> None:
        event = await self._histories.event(parent, child.initiated_event_id)
        current = await self._executions.load_current(parent.state.namespace, child.workflow_id)
        asker = self._executions.turn(parent)
        if current is not None and current.state.start_request_id == children.start_request_id(
            parent.origin, event.event_id
        ):
            child_workflow.start(asker, child, current.state.first_run_id)
            await self._executions.change_all([(asker, parent)], [ack])
            return
        policy = event.start_child_workflow_execution_initiated_event_attributes.workflow_id_reuse_policy
        if current is not None and not children.may_replace(current.state, policy, parent.state):
            child_workflow.fail_to_start(asker, child, _ALREADY_EXISTS)
            await self._executions.change_all([(asker, parent)], [ack])
            return
        opened = children.open_child(self._executions.context(), parent.state, parent.origin, event)
        child_workflow.start(asker, asker.state.children[event.event_id], opened.state.run_id)
        changes: list[Change] = [(asker, parent)]
        if current is not None and current.state.running:
            replaced = self._executions.turn(current)
            workflow.make_room(replaced, opened.state.run_id)
            changes.append((replaced, current))
        await self._executions.create_with(opened, current.job_id if current is not None else None, changes, [ack])

    async def _signal(self, job_id: str, event_id: int, ack: Ack) -> bool:
        async with self._lock(job_id):
            while True:
                sender = await self._asking(job_id, lambda state: event_id in state.signals)
                sent = sender.state.signals.get(event_id) if sender is not None else None
                if sender is None or sent is None or not sender.state.running:
                    return False
                event = await self._histories.event(sender, event_id)
                given = event.signal_external_workflow_execution_initiated_event_attributes
                target, asker = await self._target(sender, sent), self._executions.turn(sender)
                changes: list[Change] = [(asker, sender)]
                if target is None or not target.state.running or not _may_reach(sender.state, sent, target.state):
                    external_signal.fail(asker, sent, _NOBODY_TO_SIGNAL)
                elif target.state.signal_count >= self._executions.limits.signals:
                    external_signal.fail(asker, sent, _TOO_MANY_SIGNALS)
                else:
                    external_signal.arrive(asker, sent)
                    changes.append((self._signaled(target, sender.state, given), target))
                if await self._commit(changes, [ack]):
                    return True

    def _signaled(
        self, target: Loaded, sender: ExecutionState, given: SignalExternalWorkflowExecutionInitiatedEventAttributes
    ) -> Turn:
        turn = self._executions.turn(target)
        children.check_not_closing(turn)
        payloads: Payloads | None = given.input if given.HasField("input") else None
        header: Header | None = given.header if given.HasField("header") else None
        workflow.signal(
            turn,
            given.signal_name,
            payloads,
            workflow.SERVER,
            header,
            request_id=turn.ctx.new_id(),
            sender=_execution(sender),
        )
        return turn

    async def _cancel(self, job_id: str, event_id: int, ack: Ack) -> bool:
        async with self._lock(job_id):
            while True:
                sender = await self._asking(job_id, lambda state: event_id in state.cancels)
                sent = sender.state.cancels.get(event_id) if sender is not None else None
                if sender is None or sent is None or not sender.state.running:
                    return False
                event = await self._histories.event(sender, event_id)
                reason = event.request_cancel_external_workflow_execution_initiated_event_attributes.reason
                target, asker = await self._target(sender, sent), self._executions.turn(sender)
                changes: list[Change] = [(asker, sender)]
                if target is None or (target.state.running and not _may_reach(sender.state, sent, target.state)):
                    external_cancel.fail(asker, sent, _NOBODY_TO_CANCEL)
                else:
                    external_cancel.arrive(asker, sent)
                    if target.state.running and not target.state.cancel_requested:
                        turn = self._executions.turn(target)
                        workflow.request_cancel(
                            turn, reason, workflow.SERVER, sender=_execution(sender.state), initiated_id=event_id
                        )
                        changes.append((turn, target))
                if await self._commit(changes, [ack]):
                    return True

    async def _close_child(self, job_id: str, event_id: int, ack: Ack) -> bool:
        parent = await self._asking(job_id, lambda state: not state.running)
        child = parent.state.children.get(event_id) if parent is not None else None
        return parent is not None and child is not None and await self._close(parent, child, [ack])

    async def _close(self, parent: Loaded, child: Child, acks: list[Ack]) -> bool:
        while True:
            current = await self._executions.load_current(parent.state.namespace, child.workflow_id)
            if current is None or not _is_bound(current.state, child, parent.state):
                return False
            turn = self._executions.turn(current)
            if child.policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE:
                workflow.terminate(turn, "by parent close policy", None, workflow.SERVER)
            elif current.state.cancel_requested:
                return False
            else:
                workflow.request_cancel(turn, "", workflow.SERVER, sender=_execution(parent.state))
            if await self._commit([(turn, current)], acks):
                return True

    async def _tell_parent(self, job_id: str, event_id: int, ack: Ack) -> bool:
        ended = await self._asking(job_id, lambda state: not state.running)
        return ended is not None and await self._tell(ended, event_id, [ack])

    async def _tell(self, ended: Loaded, event_id: int, acks: list[Ack]) -> bool:
        state = ended.state
        closing = await self._histories.event(ended, event_id)

        def decide(turn: Turn) -> bool:
            child = turn.state.children.get(state.parent_initiated_id)
            if not turn.state.running or child is None or child.run_id != state.first_run_id:
                return False
            child_workflow.end(turn, child, state.run_id, closing)
            return True

        parent = RunKey(state.namespace, state.parent_workflow_id, state.parent_run_id)
        try:
            while parent.run_id:
                told, found = await self._executions.update(parent, decide, acks=acks, missing=_ParentGone)
                if told or found.state.running:
                    return told
                # A parent that was reset goes on as another run, which has this child now.
                parent = parent._replace(run_id=found.state.reset_run_id)
        except _ParentGone:
            pass
        return False

    async def _delete(self, job_id: str, event_id: int, ack: Ack) -> bool:
        del event_id, ack  # the message goes when the run is gone
        loaded = await self._executions.load(run_key(job_id))
        if loaded is not None and loaded.state.deleting:
            await self.remove(loaded)
        return False

    async def remove(self, ended: Loaded) -> None:
        """Remove a closed run with all that it has.

        Its children, its parent and its schedule may not know of its end yet: what tells them is read from the run, so
        that is done first. It can be done again at any time, so a removal that is cut off can be repeated.
        """
        state = ended.state
        for order in workflow.last_orders(state):
            if order.work is Work.TELL_PARENT:
                await self._tell(ended, order.event_id, [])
            elif order.work is Work.TELL_SCHEDULE:
                await self.tell_schedule(ended, order.event_id, [])
            else:
                await self._close(ended, state.children[order.event_id], [])
        await self._executions.remove(ended)

    # -- reading and writing ------------------------------------------------------------------------------------

    def _lock(self, job_id: str) -> asyncio.Lock:
        """Held while something is done for the run, so that its own wishes do not stand in each other's way."""
        lock = self._locks.get(job_id)
        if lock is None:
            lock = self._locks[job_id] = asyncio.Lock()
        return lock

    async def _asking(self, job_id: str, is_new: Callable[[ExecutionState], bool]) -> Loaded | None:
        """The run that the message is of; read anew unless what is in memory is at least as new as the message."""
        known = self._executions.cached(job_id)
        if known is not None and is_new(known.state):
            return known
        return await self._executions.load(run_key(job_id))

    async def _target(self, sender: Loaded, sent: External) -> Loaded | None:
        namespace = sender.state.namespace
        if sent.workflow_id == sender.state.workflow_id and sent.run_id in ("", sender.state.run_id):
            return None
        if sent.run_id:
            target = await self._executions.load(RunKey(namespace, sent.workflow_id, sent.run_id))
        else:
            target = await self._executions.load_current(namespace, sent.workflow_id)
        if target is None and await self.is_moving(namespace):
            raise _MayCome(f"{sent.workflow_id!r} is not here (yet)")
        return target

    async def _commit(self, changes: list[Change], acks: list[Ack]) -> bool:
        try:
            await self._executions.change_all(changes, acks)
        except RevisionConflict:
            for _, loaded in changes:
                self._executions.forget(loaded.job_id)
            return False
        return True


def _is_bound(current: ExecutionState, child: Child, parent: ExecutionState) -> bool:
    """The child is open, and was started by this very run of its parent: not by one that was reset."""
    started_by = (current.parent_workflow_id, current.parent_run_id)
    is_own = started_by == (parent.workflow_id, parent.run_id)
    return current.running and current.first_run_id == child.run_id and is_own


def _may_reach(sender: ExecutionState, sent: External, target: ExecutionState) -> bool:
    """Some signals and requests are for the sender's own children only."""
    parent = (target.parent_workflow_id, target.parent_run_id)
    return not sent.child_only or parent == (sender.workflow_id, sender.run_id)


def _execution(state: ExecutionState) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id)
