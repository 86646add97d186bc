"""Compares what specs of schedules mean: the real server's answers, and those of our engine."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.schedule.v1 import Schedule, ScheduleAction, ScheduleSpec, ScheduleState
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DescribeNamespaceRequest,
    DescribeScheduleRequest,
    ListScheduleMatchingTimesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from hotmesh_temporal.engine.schedules import CompiledSpec, TooMuchExcluded, canonical, compile_spec
from hotmesh_temporal.errors import RpcError

SECOND = 1_000_000_000
AT_ONCE = 16
SHOWN = 10
"""Coming times that a description shows."""
WINDOW = 100
"""Times of a window that are compared; it ends after so many."""

Window = tuple[datetime, datetime]


@dataclass
class Tally:
    """What was compared."""

    specs: int = 0
    refused: int = 0
    times: int = 0
    given_up: int = 0
    """Windows in which ours gives up a search through exclusions that the server does not (yet)."""


class Comparison:
    """Creates schedules on a real server, and asks it for their times."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rpc = client.workflow_service
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._namespace_id = ""
        self.tally = Tally()

    async def start(self) -> None:
        """Learn the id of the namespace, which is part of what jitter is made of."""
        request = DescribeNamespaceRequest(namespace=self._client.namespace)
        self._namespace_id = (await self._rpc.describe_namespace(request)).namespace_info.id

    async def differs(self, spec: ScheduleSpec, windows: Sequence[Window]) -> str:
        """What is not the same on both sides; nothing if all is."""
        async with self._slots:
            self.tally.specs += 1
            schedule_id, begun = f"spec-{uuid.uuid4().hex}", time.time_ns()
            ours, theirs = _refused(spec), await self._refused(schedule_id, spec)
            if ours or theirs:
                self.tally.refused += 1
                return "" if ours == theirs else _difference("refused", ours, theirs)
            try:
                return await self._times_differ(schedule_id, spec, windows, begun)
            finally:
                await self._rpc.delete_schedule(
                    DeleteScheduleRequest(namespace=self._client.namespace, schedule_id=schedule_id)
                )

    async def _refused(self, schedule_id: str, spec: ScheduleSpec) -> str:
        action = NewWorkflowExecutionInfo(
            workflow_id="w", workflow_type=WorkflowType(name="w"), task_queue=TaskQueue(name="q")
        )
        schedule = Schedule(spec=spec, state=ScheduleState(paused=True), action=ScheduleAction(start_workflow=action))
        request = CreateScheduleRequest(
            namespace=self._client.namespace, schedule_id=schedule_id, request_id=schedule_id, schedule=schedule
        )
        try:
            await self._rpc.create_schedule(request)
        except RPCError as error:
            return f"{error.status.value} {error.message}"
        return ""

    async def _times_differ(self, schedule_id: str, spec: ScheduleSpec, windows: Sequence[Window], begun: int) -> str:
        compiled, seed = compile_spec(spec), f"{self._namespace_id}-{schedule_id}"
        request = DescribeScheduleRequest(namespace=self._client.namespace, schedule_id=schedule_id)
        shown = await self._rpc.describe_schedule(request)
        if shown.schedule.spec != canonical(spec):
            return _difference("shown", str(canonical(spec)), str(shown.schedule.spec))
        coming = [each.ToNanoseconds() for each in shown.info.future_action_times]
        found = _coming_differ(compiled, seed, coming, begun)
        for window in windows:
            found = found or await self._window_differs(schedule_id, compiled, seed, window)
        return found

    async def _window_differs(self, schedule_id: str, compiled: CompiledSpec, seed: str, window: Window) -> str:
        start, end = (int(each.timestamp()) * SECOND for each in window)
        try:
            ours = compiled.times(start, end, seed, WINDOW)
        except TooMuchExcluded as error:
            ours = str(error)
        if len(ours) == WINDOW and isinstance(ours, list):
            end = ours[-1]
        theirs = await self._matching(schedule_id, start, end)
        self.tally.times += len(theirs)
        if isinstance(ours, str) and not theirs:
            self.tally.given_up += 1
            return ""
        return (
            "" if ours == theirs else _difference(f"times {window[0]} {window[1]}", _readable(ours), _readable(theirs))
        )

    async def _matching(self, schedule_id: str, start: int, end: int) -> list[int] | str:
        request = ListScheduleMatchingTimesRequest(
            namespace=self._client.namespace,
            schedule_id=schedule_id,
            start_time=_timestamp(start),
            end_time=_timestamp(end),
        )
        try:
            reply = await self._rpc.list_schedule_matching_times(request, retry=True)
        except RPCError as error:
            return error.message
        return [each.ToNanoseconds() for each in reply.start_time]


def _timestamp(nanoseconds: int) -> Timestamp:
    return Timestamp(seconds=nanoseconds // SECOND, nanos=nanoseconds % SECOND)


def _refused(spec: ScheduleSpec) -> str:
    try:
        compile_spec(spec)
    except RpcError as error:
        return f"{int(error.code)} {error}"
    return ""


def _coming_differ(compiled: CompiledSpec, seed: str, theirs: list[int], begun: int) -> str:
    """The server counts the coming times from a moment between ``begun`` and now."""
    now, after = time.time_ns(), begun
    ours = _coming(compiled, seed, after)
    while ours != theirs:
        due = compiled.next_time(after, seed)
        if not due or due.nominal > now:
            return _difference("coming", _readable(_coming(compiled, seed, begun)), _readable(theirs))
        after = due.nominal
        ours = _coming(compiled, seed, after)
    return ""


def _coming(compiled: CompiledSpec, seed: str, after: int) -> list[int]:
    found: list[int] = []
    due = compiled.next_time(after, seed)
    while due and len(found) < SHOWN:
        found.append(due.next)
        due = compiled.next_time(due.next, seed)
    return found


def _readable(times: list[int] | str) -> str:
    if isinstance(times, str):
        return times
    shown = (datetime.fromtimestamp(each / SECOND, timezone.utc).isoformat() for each in times)
    return f"{len(times)}: {' '.join(shown)}"


def _difference(what: str, ours: str, theirs: str) -> str:
    return f"{what}\n- {theirs}\n+ {ours}"
