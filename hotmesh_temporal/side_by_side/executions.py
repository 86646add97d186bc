"""RPCs about one execution that exists: they go to the side that has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.service import RPCError

from .calls import Call, Side, Sides, copied, is_not_found
from .finding import Finder, Key

KeyOf = Callable[[Any], Key]

# Runs are moved, continued as new and ended while a call is on its way; more often than this is not by chance.
_TRIES = 5
_UPDATE_CUT_OFF = "AcceptedUpdateCompletedWorkflow"


def by_workflow_execution(request: Any) -> Key:
    """Of a request with ``workflow_execution``."""
    execution = request.workflow_execution
    return Key(request.namespace, execution.workflow_id, execution.run_id)


def by_execution(request: Any) -> Key:
    """Of a request with ``execution``."""
    return Key(request.namespace, request.execution.workflow_id, request.execution.run_id)


def by_update(request: Any) -> Key:
    """Of a request with ``update_ref``."""
    execution = request.update_ref.workflow_execution
    return Key(request.namespace, execution.workflow_id, execution.run_id)


def by_workflow_id(request: Any) -> Key:
    """Of a request with ``workflow_id`` and ``run_id``."""
    return Key(request.namespace, request.workflow_id, request.run_id)


class Executions:
    """Sends each call to the side that has its execution."""

    def __init__(self, sides: Sides, finder: Finder) -> None:
        self._sides = sides
        self._finder = finder

    async def change(self, call: Call, key: Key) -> Message:
        """A call that fails for a run that is over, so that it may be tried where the run was the last time."""
        return await self._send(call, key, self._finder.remembered(key))

    async def read(self, call: Call, key: Key) -> Message:
        """A call that also succeeds for a run that is over: it has to come to the right side at once."""
        return await self._send(call, key, None)

    async def describe(self, call: Call, key: Key) -> Message:
        """Like `read`, but what a migration has terminated meanwhile is not shown."""
        while True:
            found = await self._finder.find(key, call)
            if found is None or found.side is Side.HOTMESH:
                return await self._send(call, key, found and found.side)
            reply = await self._sides.send(Side.TEMPORAL, call)
            info = reply.workflow_execution_info
            if info.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED:
                return reply
            if not await self._finder.was_moved(replace(key, run_id=info.execution.run_id), call):
                return reply

    async def update(self, call: Call, key: Key) -> Message:
        """An update, or waiting for one. It goes on in your database if its run is moved meanwhile."""
        if call.rpc == "update_workflow_execution" and not call.request.request.meta.update_id:
            raise RuntimeError("the SDK gives each update an id")
        reply: Any = await self.change(call, key)
        if reply.outcome.failure.application_failure_info.type == _UPDATE_CUT_OFF:
            found = await self._finder.find(replace(key, run_id=reply.update_ref.workflow_execution.run_id), call)
            if found is not None and found.side is Side.HOTMESH:
                return await self._send(call, key, Side.HOTMESH)
        return reply

    async def delete(self, call: Call, key: Key) -> Message:
        """Delete a run. Of one that was moved also what is left on the Temporal server."""
        found = await self._finder.find(key, call)
        if found is None:
            return await self._sides.send(Side.TEMPORAL, call)
        reply = await self._sides.send(found.side, call)
        self._finder.forget(key)
        if found.side is Side.HOTMESH:
            self._finder.mark_deleted(found.run_id)
            request = copied(call.request)
            request.workflow_execution.run_id = found.run_id
            try:
                await self._sides.send(Side.TEMPORAL, call, request)
            except RPCError as error:
                if not is_not_found(error):
                    raise
        return reply

    async def _send(self, call: Call, key: Key, side: Side | None) -> Any:
        """Send it to the side, or where the run is; after it where the run has gone."""
        for tries in range(1, _TRIES + 1):
            if side is None:
                found = await self._finder.find(key, call)
                side = found.side if found is not None else Side.TEMPORAL
            try:
                reply = await self._sides.send(side, call)
            except RPCError as error:
                self._finder.forget(key)
                if not is_not_found(error) or tries == _TRIES:
                    raise
                found = await self._finder.find(key, call)
                if found is None or found.side is side:
                    raise
                side = found.side
            else:
                self._finder.remember(key, side)
                return reply
        raise AssertionError("the last try returns or raises")
