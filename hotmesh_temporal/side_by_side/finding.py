"""Which side has a workflow.

Your database is looked at first, because it is near, and because a run that was moved there is on both sides: what is
left on the Temporal server is the run that the migration has terminated, its fence. It is never taken for the real one.
If a run is fenced and not yet in your database, it is on its way, and whoever wants it waits.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.migration.reasons import POLICY, is_reason

from .calls import How, Side, Sides

_K = TypeVar("_K")
_V = TypeVar("_V")

# A run that was fenced longer ago and is not in the database was removed from there, by its retention for instance.
_ON_ITS_WAY_SECONDS = 3600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_REMEMBERED = 10_000
_OPEN = frozenset(
    {
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
    }
)
_TERMINATED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED


@dataclass(frozen=True)
class Key:
    """A workflow as callers name it. An empty ``run_id`` means the current run."""

    namespace: str
    workflow_id: str
    run_id: str = ""

    @property
    def execution(self) -> WorkflowExecution:
        """The same for a request."""
        return WorkflowExecution(workflow_id=self.workflow_id, run_id=self.run_id)


@dataclass(frozen=True)
class Found:
    """A run on one side. Times are in nanoseconds since 1970. ``parent``: whose child it is."""

    side: Side
    run_id: str
    status: int
    started: int
    closed: int
    parent: Key | None = None

    @property
    def open(self) -> bool:
        """Whether it is still going on."""
        return self.status in _OPEN


class Finder:
    """Looks for workflows on both sides."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._known: OrderedDict[Key, Side] = OrderedDict()
        self._fences: OrderedDict[str, bool] = OrderedDict()
        self._deleted: OrderedDict[str, bool] = OrderedDict()

    def remembered(self, key: Key) -> Side | None:
        """Where the workflow was the last time; it may have gone since."""
        return self._known.get(key)

    def remember(self, key: Key, side: Side) -> None:
        """Keep where a workflow is. The ones that were not asked for the longest are forgotten."""
        _keep(self._known, key, side)

    def forget(self, key: Key) -> None:
        """It is not where it was."""
        self._known.pop(key, None)

    def mark_deleted(self, run_id: str) -> None:
        """A run is not in the database any more, because it was deleted; the server may take a while for its part."""
        _keep(self._deleted, run_id, True)

    def is_deleted(self, run_id: str) -> bool:
        """Whether the run was deleted by this client."""
        return run_id in self._deleted

    async def find(self, key: Key, how: How) -> Found | None:
        """The run that is meant; of several that are over the last one. None if neither side has one.

        Raises:
            RPCError: UNAVAILABLE if the run is being moved and has not arrived when the call's time is over;
                NOT_FOUND if it was moved and is not there any more; whatever else a side answers.
        """
        here, there = await self._look_around(key, how, both=False)
        found = _latest(here, there)
        if found is not None:
            self.remember(key, found.side)
        return found

    async def both(self, key: Key, how: How) -> tuple[Found | None, Found | None]:
        """The runs that are meant, in your database and on the Temporal server (never a fenced one).

        Raises:
            RPCError: As in `find`.
        """
        return await self._look_around(key, how, both=True)

    async def _look_around(self, key: Key, how: How, *, both: bool) -> tuple[Found | None, Found | None]:
        """Look until nothing is on its way."""
        deadline, pause = time.monotonic() + how.seconds, _FIRST_PAUSE
        while True:
            here = await self.look(Side.HOTMESH, key, how)
            if here is not None and not both and (key.run_id or here.open):
                return here, None
            there = await self.look(Side.TEMPORAL, key, how)
            if there is None or not await self.is_fence(key, there, how):
                return here, there
            if await self._gone(replace(key, run_id=there.run_id), there, how):
                # Looked for anew, because it may have arrived after the look above.
                here = await self.look(Side.HOTMESH, key, how)
                if here is None and not both:
                    # Moved, and removed since: what is left on the server is not it.
                    raise RPCError(f"workflow not found for ID: {key.workflow_id}", RPCStatusCode.NOT_FOUND, b"")
                return here, None
            if time.monotonic() + pause > deadline:
                raise on_its_way(key)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _gone(self, moved: Key, fence: Found, how: How) -> bool:
        """Whether a fenced run need not be waited for: it is in the database, or was and is no more."""
        if self.is_deleted(fence.run_id) or time.time() - fence.closed / 1e9 > _ON_ITS_WAY_SECONDS:
            return True
        return await self.look(Side.HOTMESH, moved, how) is not None

    async def look(self, side: Side, key: Key, how: How) -> Found | None:
        """The run on one side; None if it has none, or does not even understand the question."""
        request = DescribeWorkflowExecutionRequest(namespace=key.namespace, execution=key.execution)
        try:
            reply = await self._sides.ask(side, "describe_workflow_execution", request, how)
        except RPCError as error:
            # What is wrong with a request is said by the side to which it is sent in the end.
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            raise
        info = reply.workflow_execution_info
        run_id, start, close = info.execution.run_id, info.start_time, info.close_time
        above = info.parent_execution
        parent = Key(key.namespace, above.workflow_id, above.run_id) if above.run_id else None
        return Found(side, run_id, info.status, start.ToNanoseconds(), close.ToNanoseconds(), parent)

    async def is_fence(self, key: Key, there: Found, how: How) -> bool:
        """Whether a run on the Temporal server was ended by a migration, itself or as the child of one that was."""
        if there.status != _TERMINATED:
            return False
        if there.run_id not in self._fences:
            reason = await self._reason(replace(key, run_id=there.run_id), how)
            found = is_reason(reason) or (reason == POLICY and await self._was_moved(there.parent, how))
            _keep(self._fences, there.run_id, found)
        return self._fences[there.run_id]

    async def was_moved(self, key: Key, how: How) -> bool:
        """Whether this run of the Temporal server was ended by a migration."""
        there = await self.look(Side.TEMPORAL, key, how)
        return there is not None and await self.is_fence(key, there, how)

    async def _was_moved(self, parent: Key | None, how: How) -> bool:
        return parent is not None and await self.was_moved(parent, how)

    async def _reason(self, key: Key, how: How) -> str:
        """With which reason a run of the Temporal server was terminated."""
        request = GetWorkflowExecutionHistoryRequest(
            namespace=key.namespace,
            execution=key.execution,
            history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        )
        reply = await self._sides.ask(Side.TEMPORAL, "get_workflow_execution_history", request, how)
        ends = [event for event in reply.history.events if is_termination(event)]
        return ends[-1].workflow_execution_terminated_event_attributes.reason if ends else ""


def is_termination(event: HistoryEvent) -> bool:
    """Whether a run was terminated by this event."""
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED


def on_its_way(key: Key) -> RPCError:
    """The error for a run that was fenced and did not arrive."""
    text = (
        f"workflow {key.workflow_id!r} is being moved from the Temporal server to your database and has not arrived; "
        "if no `hotmesh-temporal migrate` runs, start it again: it goes on where it was"
    )
    return RPCError(text, RPCStatusCode.UNAVAILABLE, b"")


def _latest(here: Found | None, there: Found | None) -> Found | None:
    if here is None or there is None:
        return here or there
    # Only one can be open. Of two that are over the one that began last is the current one.
    return max(here, there, key=lambda found: (found.open, found.started, found.side is Side.HOTMESH))


def _keep(cache: OrderedDict[_K, _V], name: _K, value: _V) -> None:
    cache[name] = value
    cache.move_to_end(name)
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)
