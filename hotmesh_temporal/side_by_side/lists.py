"""Lists and counts of both sides as one.

A page has some of each side, in the order that each side gives; one side may be at its end before the other. What a
migration has terminated on the Temporal server is not shown, nor counted: it goes on in your database.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeScheduleRequest,
    ListSchedulesRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.service import RPCError

from .calls import Call, Side, Sides, copied, is_not_found
from .finding import Finder
from .tokens import ListPosition, decode, encode

Hide = Callable[[Call, Sequence[Any]], Awaitable[Sequence[Any]]]
_TERMINATED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
_GROUP_BY = re.compile(r"^(.*?)\s*\bgroup\s+by\b\s*(.+)$", re.IGNORECASE | re.DOTALL)
_AT_ONCE = 100
_SCAN_PAGE = 1000


class Lists:
    """Merges the lists of both sides."""

    def __init__(self, sides: Sides, finder: Finder) -> None:
        self._sides = sides
        self._finder = finder

    async def executions(self, call: Call) -> Message:
        """A list of executions, the newest of a page first."""
        return await self._merged(call, "executions", self._without_moved, _newest_first)

    async def schedules(self, call: Call) -> Message:
        """A list of schedules."""
        return await self._merged(call, "schedules", self._without_moved_schedules)

    async def workers(self, call: Call) -> Message:
        """A list of workers. Its entries are in two forms, of which a side may give either."""
        position = decode(ListPosition, call.request.next_page_token) if call.request.next_page_token else _BEGIN
        merged = call.reply()
        pages, ahead = await self._pages(call, position)
        for page in pages.values():
            merged.MergeFrom(page)
        return _with_token(merged, ahead)

    async def batches(self, call: Call) -> Message:
        """A list of batch operations. One that works on both sides is listed once."""
        return await self._merged(call, "operation_info", self._own_batches)

    async def count_executions(self, call: Call) -> Message:
        """How many executions, also by group."""
        replies = await self._both(call)
        moved = 0
        if Side.HOTMESH in replies and replies[Side.TEMPORAL].count:
            moved = await self._count_moved(call)
        return _summed(call, replies, moved)

    async def count_schedules(self, call: Call) -> Message:
        """How many schedules."""
        replies = await self._both(call)
        moved = 0
        if Side.HOTMESH in replies and replies[Side.TEMPORAL].count:
            request = ListSchedulesRequest(namespace=call.request.namespace, query=call.request.query)
            async for page in self._all(call, "list_schedules", request):
                moved += len(page.schedules) - len(await self._without_moved_schedules(call, page.schedules))
        return _summed(call, replies, moved)

    async def count(self, call: Call) -> Message:
        """The sum of what both sides count."""
        return _summed(call, await self._both(call), 0)

    async def _merged(self, call: Call, field: str, hide: Hide, key: Callable[[Any], Any] | None = None) -> Message:
        token = call.request.next_page_token
        pages, ahead = await self._pages(call, decode(ListPosition, token) if token else _BEGIN)
        found = {side: list(getattr(page, field)) for side, page in pages.items()}
        if Side.TEMPORAL in found:
            found[Side.TEMPORAL] = list(await hide(call, found[Side.TEMPORAL]))
        items = heapq.merge(*found.values(), key=key) if key is not None else itertools.chain(*found.values())
        merged: Any = call.reply()
        getattr(merged, field).extend(items)
        return _with_token(merged, ahead)

    async def _pages(self, call: Call, position: ListPosition) -> tuple[dict[Side, Any], ListPosition]:
        """The next page of each side that has one, and the position behind them."""
        size_field = "page_size" if hasattr(call.request, "page_size") else "maximum_page_size"
        sizes = _sizes(getattr(call.request, size_field), position)
        ahead = {Side.HOTMESH: position.hotmesh, Side.TEMPORAL: position.temporal}
        pages: dict[Side, Any] = {}
        for side, size in sizes.items():
            request = copied(call.request, next_page_token=ahead[side], **{size_field: size})
            reply = await self._unless_missing(side, call, request)
            ahead[side] = None
            if reply is not None:
                pages[side] = reply
                ahead[side] = reply.next_page_token or None
        return pages, ListPosition(ahead[Side.HOTMESH], ahead[Side.TEMPORAL])

    async def _unless_missing(self, side: Side, call: Call, request: Message) -> Any:
        """The answer of a side; None if it is your database and does not have the namespace yet."""
        try:
            return await self._sides.send(side, call, request)
        except RPCError as error:
            if side is Side.HOTMESH and is_not_found(error):
                return None
            raise

    async def _both(self, call: Call) -> dict[Side, Any]:
        replies = {side: await self._unless_missing(side, call, call.request) for side in Side}
        return {side: reply for side, reply in replies.items() if reply is not None}

    async def _without_moved(self, call: Call, executions: Sequence[Any]) -> Sequence[Any]:
        ended = [each.execution.run_id for each in executions if each.status == _TERMINATED]
        moved = await self._in_database(call, ended)
        moved.update(filter(self._finder.is_deleted, ended))
        return [each for each in executions if each.execution.run_id not in moved]

    async def _in_database(self, call: Call, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that your database has."""
        found: set[str] = set()
        for some in _chunks(run_ids):
            listed = ", ".join(f"'{run_id}'" for run_id in some)
            request = ListWorkflowExecutionsRequest(
                namespace=call.request.namespace, query=f"RunId IN ({listed})", page_size=len(some)
            )
            try:
                reply = await self._sides.ask(Side.HOTMESH, "list_workflow_executions", request, call)
            except RPCError as error:
                if is_not_found(error):
                    return found
                raise
            found.update(each.execution.run_id for each in reply.executions)
        return found

    async def _count_moved(self, call: Call) -> int:
        """How many of what the Temporal server counts was terminated by a migration."""
        grouped = _GROUP_BY.match(call.request.query)
        query = (grouped.group(1) if grouped else call.request.query).strip()
        terminated = "ExecutionStatus = 'Terminated'"
        request = ListWorkflowExecutionsRequest(
            namespace=call.request.namespace, query=f"({query}) AND {terminated}" if query else terminated
        )
        moved = 0
        async for page in self._all(call, "list_workflow_executions", request):
            moved += len(await self._in_database(call, [each.execution.run_id for each in page.executions]))
        return moved

    async def _all(self, call: Call, rpc: str, request: Any) -> AsyncGenerator[Any, None]:
        """Every page that the Temporal server has."""
        size_field = "page_size" if hasattr(request, "page_size") else "maximum_page_size"
        setattr(request, size_field, _SCAN_PAGE)
        while True:
            page = await self._sides.ask(Side.TEMPORAL, rpc, request, call)
            yield page
            if not page.next_page_token:
                return
            request = copied(request, next_page_token=page.next_page_token)

    async def _without_moved_schedules(self, call: Call, schedules: Sequence[Any]) -> Sequence[Any]:
        # A migration pauses what it has moved.
        return [each for each in schedules if not (each.info.paused and await self._has_schedule(call, each))]

    async def _has_schedule(self, call: Call, schedule: Any) -> bool:
        request = DescribeScheduleRequest(namespace=call.request.namespace, schedule_id=schedule.schedule_id)
        return await self._has(call, "describe_schedule", request)

    async def _own_batches(self, call: Call, batches: Sequence[Any]) -> Sequence[Any]:
        own: list[Any] = []
        for each in batches:
            request = DescribeBatchOperationRequest(namespace=call.request.namespace, job_id=each.job_id)
            if not await self._has(call, "describe_batch_operation", request):
                own.append(each)
        return own

    async def _has(self, call: Call, rpc: str, request: Message) -> bool:
        """Whether your database knows what is asked for."""
        try:
            await self._sides.ask(Side.HOTMESH, rpc, request, call)
        except RPCError as error:
            if is_not_found(error):
                return False
            raise
        return True


_BEGIN = ListPosition(b"", b"")


def _sizes(size: int, position: ListPosition) -> dict[Side, int]:
    """How many to ask each side for, so that no page is larger than what was asked for."""
    left = [
        side
        for side, token in ((Side.HOTMESH, position.hotmesh), (Side.TEMPORAL, position.temporal))
        if token is not None
    ]
    if size <= 0 or len(left) < 2:
        return dict.fromkeys(left, size)
    if size == 1:
        return {left[0]: 1}
    return {left[0]: size - size // 2, left[1]: size // 2}


def _with_token(reply: Any, ahead: ListPosition) -> Message:
    reply.next_page_token = b"" if ahead == ListPosition(None, None) else encode(ahead)
    return reply


def _newest_first(execution: Any) -> int:
    """The order of lists: what is open first, the newest of each first."""
    closed = execution.close_time.ToNanoseconds()
    return -(closed or (1 << 62) + execution.start_time.ToNanoseconds() // 1000)


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[begin : begin + _AT_ONCE] for begin in range(0, len(ids), _AT_ONCE))


def _summed(call: Call, replies: dict[Side, Any], moved: int) -> Message:
    """The sums of counts and of their groups, less what was counted on both sides."""
    total: Any = call.reply(count=sum(reply.count for reply in replies.values()) - moved)
    groups: dict[tuple[bytes, ...], Any] = {}
    for side, reply in replies.items():
        for group in getattr(reply, "groups", ()):
            values = tuple(payload.data for payload in group.group_values)
            less = moved if side is Side.TEMPORAL and values == (b'"Terminated"',) else 0
            if values in groups:
                groups[values].count += group.count - less
            else:
                groups[values] = copied(group, count=group.count - less)
    if groups:
        total.groups.extend(group for group in groups.values() if group.count)
    return total
