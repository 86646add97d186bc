"""Reading histories, and waiting for results: a run that is moved meanwhile is read on where it went.

Both sides have the same events up to the fence. So a reader is told nothing of the fence; it gets the events that
follow the last one that it was given, from your database.
"""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.message import Message
from msgspec.structs import replace
from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.service import RPCError, RPCStatusCode

from .calls import Call, Side, Sides, copied
from .executions import by_execution
from .finding import Finder, Key, is_termination
from .tokens import HistoryPosition, decode, encode

_CLOSE_EVENT = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
# The SDK's core gives up on a call of this kind that has no timeout of its own after 70 s.
_LONG_POLL_SECONDS = 60.0


class Histories:
    """Reads histories on the side that has them."""

    def __init__(self, sides: Sides, finder: Finder) -> None:
        self._sides = sides
        self._finder = finder

    async def read(self, call: Call) -> Message:
        """One page of a history, forwards or backwards."""
        token = call.request.next_page_token
        position = decode(HistoryPosition, token) if token else await self._begin(call)
        deadline = time.monotonic() + (call.timeout.total_seconds() if call.timeout else _LONG_POLL_SECONDS)
        while True:
            request = copied(call.request, next_page_token=position.token)
            request.execution.run_id = position.run_id
            reply = await self._sides.send(Side(position.side), call, request)
            if await self._was_moved(call, position, reply):
                if not await self._arrived(call, position):
                    return _nothing_yet(reply, token or encode(position))
                position = replace(position, side=Side.HOTMESH, token=b"")
                continue
            page = self._page(call, position, reply)
            position = replace(position, token=reply.next_page_token, last=page[-1].event_id if page else position.last)
            if page or not reply.next_page_token or time.monotonic() > deadline or not reply.history.events:
                return _given(reply, page, position)

    async def _begin(self, call: Call) -> HistoryPosition:
        key = by_execution(call.request)
        found = await self._finder.find(key, call)
        if found is None:
            return HistoryPosition(Side.TEMPORAL, key.run_id, b"", 0)
        return HistoryPosition(found.side, found.run_id, b"", 0)

    async def _was_moved(self, call: Call, position: HistoryPosition, reply: Any) -> bool:
        if position.side != Side.TEMPORAL or not any(map(is_termination, reply.history.events)):
            return False
        key = Key(call.request.namespace, call.request.execution.workflow_id, position.run_id)
        return await self._finder.was_moved(key, call)

    async def _arrived(self, call: Call, position: HistoryPosition) -> bool:
        """Whether the run is in your database; waits for it. A reader who waits for news anyway gets none instead."""
        key = Key(call.request.namespace, call.request.execution.workflow_id, position.run_id)
        try:
            found = await self._finder.find(key, call)
        except RPCError as error:
            if error.status is RPCStatusCode.UNAVAILABLE and getattr(call.request, "wait_new_event", False):
                return False
            raise
        return found is not None and found.side is Side.HOTMESH

    def _page(self, call: Call, position: HistoryPosition, reply: Any) -> list[Any]:
        """The events that the reader has not seen."""
        events = list(reply.history.events)
        if getattr(call.request, "history_event_filter_type", None) == _CLOSE_EVENT or "reverse" in call.rpc:
            return events
        return [event for event in events if event.event_id > position.last]


def _given(reply: Any, page: list[Any], position: HistoryPosition) -> Message:
    if len(page) != len(reply.history.events):
        del reply.history.events[:]
        reply.history.events.extend(page)
    reply.next_page_token = encode(position) if position.token else b""
    return reply


def _nothing_yet(reply: Any, token: bytes) -> Message:
    """An empty answer, after which the reader asks the same again."""
    del reply.history.events[:]
    reply.next_page_token = token
    return reply
