"""Batch operations: one on each side, under one id."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.service import RPCError

from .calls import Call, Side, Sides, copied, is_not_found, refused
from .finding import Finder, Key

_NUMBERS = ("total_operation_count", "complete_operation_count", "failure_operation_count")
_RUNNING = BatchOperationState.BATCH_OPERATION_STATE_RUNNING
_FAILED = BatchOperationState.BATCH_OPERATION_STATE_FAILED


class Batches:
    """Starts, stops and describes batch operations on both sides."""

    def __init__(self, sides: Sides, finder: Finder) -> None:
        self._sides = sides
        self._finder = finder

    async def start(self, call: Call) -> Message:
        """On what a filter finds: on both sides. On named executions: on the side that has them."""
        request = call.request
        if len(getattr(request, "target_executions", ())):
            raise refused("batch operations name their executions with `executions`, not `target_executions`")
        if request.visibility_query:
            if request.WhichOneof("operation") == "reset_operation":
                raise refused(
                    "a batch that resets what a filter finds would also start anew, on the Temporal server, what was "
                    "moved to your database; name the executions, or use a client of one side"
                )
            await self._sides.send_to_both(call)
            return call.reply()
        parts = await self._parts(call)
        await asyncio.gather(*(self._sides.send(side, call, part) for side, part in parts.items()))
        return call.reply()

    async def _parts(self, call: Call) -> dict[Side, Any]:
        parts: dict[Side, Any] = {}
        for execution in call.request.executions:
            key = Key(call.request.namespace, execution.workflow_id, execution.run_id)
            found = await self._finder.find(key, call)
            side = found.side if found is not None else Side.TEMPORAL
            if side not in parts:
                parts[side] = copied(call.request)
                del parts[side].executions[:]
            parts[side].executions.append(execution)
        # Without executions: the server says what is wrong.
        return parts or {Side.TEMPORAL: call.request}

    async def stop(self, call: Call) -> Message:
        """Stop it wherever it is."""
        await self._where_it_is(call)
        return call.reply()

    async def describe(self, call: Call) -> Message:
        """Both parts as one: running while one is, failed if one has, with the sums of their numbers."""
        replies = await self._where_it_is(call)
        merged, *others = replies
        for other in others:
            states = {merged.state, other.state}
            merged.state = next((state for state in (_RUNNING, _FAILED) if state in states), merged.state)
            for name in _NUMBERS:
                setattr(merged, name, getattr(merged, name) + getattr(other, name))
            if other.HasField("close_time") and other.close_time.ToNanoseconds() > merged.close_time.ToNanoseconds():
                merged.close_time.CopyFrom(other.close_time)
        if merged.state == _RUNNING:
            merged.ClearField("close_time")
        return merged

    async def _where_it_is(self, call: Call) -> list[Any]:
        """What the sides that know it answer. Raises `RPCError` as the server if neither does."""
        replies: list[Any] = []
        missing: RPCError | None = None
        for side in Side:
            try:
                replies.append(await self._sides.send(side, call))
            except RPCError as error:
                if not is_not_found(error):
                    raise
                missing = error
        if not replies and missing is not None:
            raise missing
        return replies
