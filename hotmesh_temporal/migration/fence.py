"""Take families away from the source: end their runs there, so that nothing can happen to them any more.

Parents go first. So no parent hears of the end of a child that is only moved. What the source does to the children of
a closed parent is of the fencing, too: those that it terminates are taken by that, and a request to cancel is left
off. Should a worker have acted on it, the run is wound back to before (`traces`); to make that unlikely those children
are ended at the same moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    SignalExternalWorkflowExecutionFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent

from ..runtime.keys import RunKey
from .editing import rewound, without
from .families import CANCELS, Member, member_of
from .reasons import POLICY
from .source import RUNNING, TERMINATED, Source

_HEAD_START_SECONDS = 0.001
_ATTEMPTS = 1000
_CANCEL_REQUESTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
_CHILD_TERMINATED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED
_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    }
)
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_SIGNAL_FAILED = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
_CANCEL_FAILED = EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
_NOBODY = {
    _SIGNAL_FAILED: SignalExternalWorkflowExecutionFailedCause.Value(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
    ),
    _CANCEL_FAILED: CancelExternalWorkflowExecutionFailedCause.Value(
        "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
    ),
}


class Fence:
    """Ends runs of the source, and knows afterwards which ends are its work."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def take(self, member: Member) -> None:
        """End a member and all below it; see `settle` for what became of each."""
        together = [each for each in member.children if member.policy_of(each) == CANCELS]
        others = [each for each in member.children if each not in together]
        await asyncio.gather(self._end(member), *(self._end(each, _HEAD_START_SECONDS) for each in together))
        below = [grandchild for each in together for grandchild in each.children]
        await asyncio.gather(*(self.take(each) for each in (*others, *below)))

    async def _end(self, member: Member, delay: float = 0.0) -> None:
        if not member.taken:
            await asyncio.sleep(delay)
            await self._source.fence(member.key)

    async def settle(self, member: Member) -> None:
        """Look how a member has ended; one that goes on as another run is taken there. Then it is read once more."""
        for _ in range(_ATTEMPTS):
            member.closing = await self._source.closing(member.key)
            member.taken = await self.is_taken(member.key, member.closing, member.parent)
            if member.taken:
                break
            if member.closing is not None:
                newest = await self._next(member)
                if newest is None:
                    return
                member.key = newest
            await self._source.fence(member.key)
        described = await self._source.describe(member.key)
        if described is not None:
            member.described = described
        member.events = await self._source.history(member.key)

    async def _next(self, member: Member) -> RunKey | None:
        """The newest run of the chain, if that is another one than the member was."""
        described = await self._source.describe(member.key._replace(run_id=""))
        if described is None:
            return None
        info = described.workflow_execution_info
        first = member.described.workflow_execution_info.first_run_id
        if info.execution.run_id == member.key.run_id or info.first_run_id != first:
            return None
        return member.key._replace(run_id=info.execution.run_id)

    async def is_taken(self, key: RunKey, closing: HistoryEvent | None, parent: RunKey | None = None) -> bool:
        """The run was ended by this migration: itself, or by what the source did to the child of one that was."""
        if self._source.is_fence(closing):
            return True
        if closing is None or not _may_be_of_parent(closing):
            return False
        if parent is None:
            described = await self._source.describe(key)
            parent = member_of(key.namespace, described.workflow_execution_info).parent if described else None
        if parent is None or not await self.is_taken(parent, await self._source.closing(parent)):
            return False
        if closing.event_type == TERMINATED:
            return True
        return any(_is_asked_by(event, parent) for event in await self._source.history(key))

    async def was_taken(self, namespace: str, execution: WorkflowExecution) -> bool:
        """The same of a run that an event names; without a run id the newest one is meant."""
        key = RunKey(namespace, execution.workflow_id, execution.run_id)
        if not key.run_id:
            described = await self._source.describe(key)
            if described is None or described.workflow_execution_info.status == RUNNING:
                return False
            key = key._replace(run_id=described.workflow_execution_info.execution.run_id)
        return await self.is_taken(key, await self._source.closing(key))

    async def traces(self, member: Member) -> Traces:
        """The history of a member without what the fencing has left in it."""
        found = {each.event_id for each in member.events if await self._is_trace(member, each)}
        seen_to = max((each.event_id for each in member.events if each.event_type == _TASK_COMPLETED), default=0)
        seen = min(found, default=0)
        if not 0 < seen <= seen_to:
            return Traces(without(member.events, found), [])
        return Traces(*rewound(member.events, seen, found))

    async def missed_others(self, member: Member) -> bool:
        """A signal or a request to cancel of the run found nobody, because the other one had been taken away."""
        return any([await self._is_trace(member, each) for each in member.events if each.event_type in _NOBODY])

    async def _is_trace(self, member: Member, event: HistoryEvent) -> bool:
        namespace, kind = member.key.namespace, event.event_type
        if kind == _CANCEL_REQUESTED:
            if member.parent is None or not _is_asked_by(event, member.parent):
                return False
            return await self.is_taken(member.parent, await self._source.closing(member.parent))
        if kind == _CHILD_TERMINATED:
            ended = event.child_workflow_execution_terminated_event_attributes.workflow_execution
            return await self.was_taken(namespace, ended)
        if kind == _SIGNAL_FAILED:
            failed = event.signal_external_workflow_execution_failed_event_attributes
            return failed.cause == _NOBODY[kind] and await self.was_taken(namespace, failed.workflow_execution)
        if kind == _CANCEL_FAILED:
            unheard = event.request_cancel_external_workflow_execution_failed_event_attributes
            return unheard.cause == _NOBODY[kind] and await self.was_taken(namespace, unheard.workflow_execution)
        return False


def _may_be_of_parent(closing: HistoryEvent) -> bool:
    """The source may have ended the run because of its parent's end, or a worker because it was asked to."""
    if closing.event_type == TERMINATED:
        return closing.workflow_execution_terminated_event_attributes.reason == POLICY
    return closing.event_type in _ENDS


def _is_asked_by(event: HistoryEvent, parent: RunKey) -> bool:
    """The event is the request to cancel that the end of the parent has led to."""
    asked = event.workflow_execution_cancel_requested_event_attributes
    sender = (asked.external_workflow_execution.workflow_id, asked.external_workflow_execution.run_id)
    is_request = event.event_type == _CANCEL_REQUESTED and not asked.external_initiated_event_id
    return is_request and sender == (parent.workflow_id, parent.run_id)


@dataclass(frozen=True, slots=True)
class Traces:
    """The history without what the fencing has left in it. ``undone``: what a worker had done because of that."""

    events: list[HistoryEvent]
    undone: list[HistoryEvent]
