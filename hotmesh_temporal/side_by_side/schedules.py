"""Schedules: by id, on the side that has them. One that was moved is in your database; what is left is paused."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest
from temporalio.service import RPCError

from .calls import Call, Side, Sides, is_not_found
from .choice import Choice, NewWorkflow
from .namespaces import Namespaces


class Schedules:
    """Sends each call about one schedule to the side that has it."""

    def __init__(self, sides: Sides, choice: Choice, namespaces: Namespaces) -> None:
        self._sides = sides
        self._choice = choice
        self._namespaces = namespaces

    async def create(self, call: Call) -> Message:
        """Create it where the share or the rule says, unless a side has that id: then that side says so."""
        side = await self._find(call)
        if side is None:
            side = self._choice.side_of(_workflow_of(call.request))
            if side is Side.HOTMESH:
                await self._namespaces.ensure(call.request.namespace, call)
        return await self._sides.send(side, call)

    async def by_id(self, call: Call) -> Message:
        """Describe, change, trigger, list times."""
        return await self._sides.send(await self._find(call) or Side.TEMPORAL, call)

    async def delete(self, call: Call) -> Message:
        """Delete it. Of one that was moved also what is left on the Temporal server."""
        side = await self._find(call) or Side.TEMPORAL
        reply = await self._sides.send(side, call)
        if side is Side.HOTMESH:
            try:
                await self._sides.send(Side.TEMPORAL, call)
            except RPCError as error:
                if not is_not_found(error):
                    raise
        return reply

    async def _find(self, call: Call) -> Side | None:
        request = DescribeScheduleRequest(namespace=call.request.namespace, schedule_id=call.request.schedule_id)
        for side in (Side.HOTMESH, Side.TEMPORAL):
            try:
                await self._sides.ask(side, "describe_schedule", request, call)
            except RPCError as error:
                if not is_not_found(error):
                    raise
            else:
                return side
        return None


def _workflow_of(request: Any) -> NewWorkflow:
    """What it will start, under its own id."""
    start = request.schedule.action.start_workflow
    return NewWorkflow(request.namespace, request.schedule_id, start.workflow_type.name, start.task_queue.name, request)
