"""Move schedules: paused on the source with a note that says where they are, and going on in the target from there.

The note also says until when the source has done what was due, and whether the schedule was paused before. So a move
that was cut off can go on, no due time is started twice, and those that come due meanwhile are made up for.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import Schedule, ScheduleInfo, SchedulePatch
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListSchedulesRequest,
    PatchScheduleRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from ..engine.protos import moment
from ..engine.schedules.draft import Closed
from ..engine.schedules.ends import closed_result, reference_to
from ..engine.schedules.spec import canonical
from ..engine.schedules.state import Action, Run, ScheduleRecord
from ..runtime.keys import RunKey
from .fence import Fence
from .report import Refused, Report
from .source import IDENTITY, RUNNING, Source
from .target import Target

_BY = "TemporalScheduledById"
_LOOK_SECONDS = 0.1
_COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED


def incarnation_of(reason: str, namespace: str, schedule_id: str) -> str:
    """What a moved schedule is known by to its runs, whichever of them is moved first."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{reason}/{namespace}/{schedule_id}"))


def scheduled_by(reason: str, namespace: str, started: HistoryEvent) -> str:
    """Which schedule waits for the run that began with this event (`ExecutionState.schedule`)."""
    attributes = started.workflow_execution_started_event_attributes.search_attributes.indexed_fields
    if _BY not in attributes:
        return ""
    schedule_id = attributes[_BY].data.decode().strip('"')
    return reference_to(incarnation_of(reason, namespace, schedule_id), schedule_id)


@dataclass(frozen=True, slots=True)
class _Note:
    """What the note of a schedule that was moved says, beside the reason: how it was just before.

    ``until``: the source has looked at what came due up to then; ``waiting`` of those starts waited for others. If it
    went on after that until it was paused, it has started what came due, or has passed over it, because it was paused:
    its last actions tell which.
    """

    until: int
    waiting: int
    paused: bool
    notes: str

    def text(self, reason: str) -> str:
        before = {"until": self.until, "waiting": self.waiting, "paused": self.paused, "notes": self.notes}
        return f"{reason}; before: {json.dumps(before)}"

    @classmethod
    def of(cls, text: str, reason: str) -> _Note | None:
        """The note in a text; None if the schedule was not moved."""
        head, found, before = text.partition("; before: ")
        return cls(**json.loads(before)) if found and head == reason else None


class ScheduleMover:
    """Moves the schedules of one namespace."""

    def __init__(self, source: Source, target: Target, report: Report, namespace: str) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._namespace = namespace
        self._fence = Fence(source)
        self._waiting: list[tuple[str, Run]] = []
        """Runs whose end moved schedules wait for."""

    async def move_all(self, *, dry_run: bool) -> None:
        """Each of them, or say what would be moved."""
        async for schedule_id in self._ids():
            reason = await self._obstacle(schedule_id)
            if reason:
                self._report.refused.append(Refused(self._namespace, f"schedule {schedule_id}", "", reason))
            elif dry_run:
                self._report.schedules[self._namespace] += 1
            else:
                await self._move(schedule_id)

    async def _ids(self) -> AsyncIterator[str]:
        request = ListSchedulesRequest(namespace=self._namespace, maximum_page_size=100)
        while True:
            page = await self._source.service.list_schedules(request, retry=True)
            for each in page.schedules:
                yield each.schedule_id
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def _describe(self, schedule_id: str) -> DescribeScheduleResponse | None:
        request = DescribeScheduleRequest(namespace=self._namespace, schedule_id=schedule_id)
        try:
            return await self._source.service.describe_schedule(request, retry=True)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def _obstacle(self, schedule_id: str) -> str:
        found = await self._target.runtime.schedules.known(self._namespace, schedule_id)
        if found is not None and found != incarnation_of(self._source.reason, self._namespace, schedule_id):
            return "there is another schedule of this id"
        described = await self._describe(schedule_id)
        if described is not None and described.schedule.action.start_workflow.HasField("versioning_override"):
            return "it pins its workflows to a version of a worker deployment"
        return ""

    # -- moving -------------------------------------------------------------------------------------------------

    async def _move(self, schedule_id: str) -> None:
        paused = await self._pause(schedule_id)
        if paused is None:
            return
        described, note = paused
        record = await self._record(schedule_id, described, note)
        schedule = Schedule()
        schedule.CopyFrom(described.schedule)
        schedule.spec.CopyFrom(canonical(schedule.spec))
        schedule.state.paused, schedule.state.notes = note.paused, note.notes
        waiting = [(schedule_id, run) for run in record.running]
        if await self._target.runtime.schedules.adopt(record, schedule, note.waiting):
            self._report.schedules[self._namespace] += 1
        self._waiting += waiting

    async def _pause(self, schedule_id: str) -> tuple[DescribeScheduleResponse, _Note] | None:
        """Pause it on the source, unless that was done before; None if it is gone."""
        while True:
            described = await self._describe(schedule_id)
            if described is None:
                return None
            state, info = described.schedule.state, described.info
            note = _Note.of(state.notes, self._source.reason)
            if note is not None:
                return described, note
            until = time.time_ns() if state.paused else _first_open(info, time.time_ns())
            note = _Note(until, info.buffer_size, state.paused, state.notes)
            await self._patch(schedule_id, SchedulePatch(pause=note.text(self._source.reason)))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _patch(self, schedule_id: str, patch: SchedulePatch) -> None:
        request = PatchScheduleRequest(
            namespace=self._namespace,
            schedule_id=schedule_id,
            patch=patch,
            identity=IDENTITY,
            request_id=str(uuid.uuid4()),
        )
        await self._source.service.patch_schedule(request, retry=True)

    async def _record(self, schedule_id: str, described: DescribeScheduleResponse, note: _Note) -> ScheduleRecord:
        info = described.info
        recent = [
            Action(
                moment(each.schedule_time),
                moment(each.actual_time),
                each.start_workflow_result.workflow_id,
                each.start_workflow_result.run_id,
                int(each.start_workflow_status),
            )
            for each in info.recent_actions
        ]
        incarnation = incarnation_of(self._source.reason, self._namespace, schedule_id)
        record = ScheduleRecord(
            self._namespace,
            schedule_id,
            incarnation,
            memo=described.memo.SerializeToString(deterministic=True),
            search_attributes=(await self._attributes(described)).SerializeToString(deterministic=True),
            created_at=moment(info.create_time),
            updated_at=moment(info.update_time) if info.HasField("update_time") else 0,
            processed=max([note.until, *(each.due for each in recent)]),
            running=[Run(each.workflow_id, each.run_id) for each in info.running_workflows],
            recent=recent,
            action_count=info.action_count,
            missed_catchup_window=info.missed_catchup_window,
            overlap_skipped=info.overlap_skipped,
            buffer_dropped=info.buffer_dropped,
        )
        for each in reversed(recent):
            closed = await self._end_of(Run(each.workflow_id, each.run_id))
            if closed is not None and (closed.result or closed.failure):
                record.last_result, record.last_failure = closed.result, b"" if closed.result else closed.failure
                if closed.status == _COMPLETED:
                    break
        return record

    async def _attributes(self, described: DescribeScheduleResponse) -> SearchAttributes:
        """Those of the user; the server shows its own beside them."""
        namespace = await self._target.runtime.namespaces.view(self._namespace)
        given = described.search_attributes.indexed_fields
        return SearchAttributes(indexed_fields={name: given[name] for name in given if name in namespace.attributes})

    # -- runs of schedules --------------------------------------------------------------------------------------

    async def look_after_runs(self) -> None:
        """Tell schedules of runs that have ended on the source before they were moved."""
        left: list[tuple[str, Run]] = []
        for schedule_id, run in self._waiting:
            closed = await self._end_of(run)
            if closed is None:
                left.append((schedule_id, run))
                continue
            await self._target.runtime.schedules.tell_closed(self._namespace, schedule_id, closed)
        self._waiting = left

    async def _end_of(self, run: Run) -> Closed | None:
        """How a chain of runs has ended on the source by itself; None if it has not."""
        key = RunKey(self._namespace, run.workflow_id, run.run_id)
        while True:
            closing = await self._source.closing(key)
            if closing is None or await self._fence.is_taken(key, closing):
                return None
            described = await self._source.describe(key)
            status = described.workflow_execution_info.status if described is not None else RUNNING
            closed = closed_result(run.run_id, int(status), closing)
            following = next_run_id(closing)
            if not following:
                return closed
            key = key._replace(run_id=following)


def next_run_id(closing: HistoryEvent) -> str:
    """The run that goes on where this one has ended; "" if none does."""
    name = closing.WhichOneof("attributes")
    return getattr(getattr(closing, name), "new_execution_run_id", "") if name else ""


def _first_open(info: ScheduleInfo, now: int) -> int:
    """The time just before the first one that the source has not looked at yet; it may be late with that."""
    return moment(info.future_action_times[0]) - 1 if info.future_action_times else now
