"""What a schedule does to runs: start them, cancel or terminate those that stand in the way. Decided here, committed by
whoever changes the schedule.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Protocol

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from ..engine.attribute_values import DATETIME, KEYWORD, encoded
from ..engine.limits import SECOND
from ..engine.machines import workflow
from ..engine.schedules.draft import Draft
from ..engine.schedules.ends import reference_to
from ..engine.schedules.overlap import Choice
from ..engine.schedules.state import Run, ScheduleRecord, Start
from ..engine.turn import Turn
from ..errors import Code, RpcError
from .execution import Change, Executions, Opened

_LOG = logging.getLogger(__name__)

_REJECT = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
_ALLOW = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Of the years 1 to 9999."""
_CYCLE = 146_097 * 86_400
"""Seconds of 400 years."""

_COPIED = (
    "workflow_type", "task_queue", "input", "workflow_execution_timeout", "workflow_run_timeout",
    "workflow_task_timeout", "retry_policy", "memo", "search_attributes", "header", "user_metadata", "priority",
)  # fmt: skip


class Starts(Protocol):
    """How to start a workflow; the frontend knows what may be asked for."""

    async def prepare(self, request: StartWorkflowExecutionRequest) -> Callable[[], Turn]:
        """Makes the new run. Raises `RpcError` for a request that is not a valid one."""
        ...


class ScheduleActions:
    """Decides on runs for one change of a schedule. With ``looks`` it asks who has a workflow id now; without, it takes
    for granted that nobody has: an id that ends with a time is new nearly always, and the commit finds out.
    """

    def __init__(self, executions: Executions, starts: Starts, draft: Draft, *, looks: bool) -> None:
        self._executions = executions
        self._starts = starts
        self._draft = draft
        self._looks = looks
        self.opened: list[Opened] = []
        self.changes: list[Change] = []
        """What is to be committed with the schedule."""

    async def carry_out(self) -> None:
        """Do what the schedule wants now: until nothing of its buffer can be started. The draft knows what was done."""
        while await self._act(self._draft.choose()):
            pass

    async def _act(self, choice: Choice) -> bool:
        """True if something was given up, so that another start may have its place."""
        again = False
        for start in (*choice.free, *([choice.single] if choice.single is not None else [])):
            manual = start.manual
            if not self._draft.use_action(manual=manual) or not await self._start(start, choice.single is start):
                again = True
        if choice.terminate or choice.cancel:
            for run in list(self._draft.record.running):
                await self._end(run, terminate=choice.terminate)
        return again

    async def _start(self, start: Start, single: bool) -> bool:
        """False if it cannot be started and never will."""
        request = start_request(self._draft, start)
        try:
            make = await self._starts.prepare(request)
            expected = await self._place_for(request)
            turn = make()
        except RpcError as error:
            if error.code == Code.UNAVAILABLE:
                raise
            record = self._draft.record
            _LOG.warning("schedule %s of namespace %s: %s", record.schedule_id, record.namespace, error)
            return False
        if single:
            turn.state.schedule = reference_to(self._draft.record.incarnation, self._draft.record.schedule_id)
        self.opened.append((turn, expected))
        self._draft.started(start, Run(turn.state.workflow_id, turn.state.run_id), single=single)
        return True

    async def _place_for(self, request: StartWorkflowExecutionRequest) -> str | None:
        """The job id of the closed run that the new one follows. ALREADY_EXISTS if the id is in use."""
        workflow_id = request.workflow_id
        if any(turn.state.workflow_id == workflow_id for turn, _ in self.opened):
            raise _in_use(workflow_id, "is being started")
        if not self._looks:
            return None
        current = await self._executions.load_current(request.namespace, workflow_id)
        if current is None:
            return None
        if current.state.running:
            raise _in_use(workflow_id, "is already running")
        if request.workflow_id_reuse_policy == _REJECT:
            raise _in_use(workflow_id, "has already finished")
        return current.job_id

    async def _end(self, run: Run, *, terminate: bool) -> None:
        """Cancel or terminate the chain's current run, if it is still open."""
        record = self._draft.record
        current = await self._executions.load_current(record.namespace, run.workflow_id)
        if current is None or not current.state.running or current.state.first_run_id != run.run_id:
            return
        turn = self._executions.turn(current)
        if terminate:
            workflow.terminate(turn, "terminated by schedule overlap policy", None, identity_of(record))
        elif current.state.cancel_requested:
            return
        else:
            workflow.request_cancel(turn, "cancelled by schedule overlap policy", identity_of(record))
        self.changes = [each for each in self.changes if each[1].job_id != current.job_id]
        self.changes.append((turn, current))


def _in_use(workflow_id: str, what: str) -> RpcError:
    return RpcError(Code.ALREADY_EXISTS, f"workflow {workflow_id!r} is not started: it {what}")


def identity_of(record: ScheduleRecord) -> str:
    """In whose name the schedule acts."""
    return f"temporal-scheduler-{record.namespace}-{record.schedule_id}"


def _written(second: int) -> str:
    """A time as RFC 3339 has it, also one of a year that `datetime` does not know: the calendar repeats itself."""
    cycles = 0 if _FIRST_SECOND <= second <= _LAST_SECOND else (second - _FIRST_SECOND) // _CYCLE
    time = _EPOCH + timedelta(seconds=second - cycles * _CYCLE)
    return f"{time.year + 400 * cycles:04}-{time:%m-%dT%H:%M:%SZ}"


def start_request(draft: Draft, start: Start) -> StartWorkflowExecutionRequest:
    """The request that starts the workflow for a due time; always the same for the same time of the same schedule."""
    record, action = draft.record, draft.schedule.action.start_workflow
    nominal = _written(start.nominal // SECOND)
    request = StartWorkflowExecutionRequest(
        namespace=record.namespace,
        workflow_id=f"{action.workflow_id}-{nominal}",
        identity=identity_of(record),
        request_id=str(uuid.uuid5(uuid.UUID(record.incarnation), f"{start.nominal}:{record.action_count}")),
        workflow_id_reuse_policy=_ALLOW if start.manual else _REJECT,
    )
    for name in _COPIED:
        if action.HasField(name):  # type: ignore[arg-type]  # the names are fields of both
            getattr(request, name).CopyFrom(getattr(action, name))
    attributes = request.search_attributes.indexed_fields
    attributes["TemporalScheduledStartTime"].CopyFrom(encoded(nominal, DATETIME))
    attributes["TemporalScheduledById"].CopyFrom(encoded(record.schedule_id, KEYWORD))
    if draft.regards_others(start):
        if record.last_result:
            request.last_completion_result.CopyFrom(Payloads.FromString(record.last_result))
        if record.last_failure:
            request.continued_failure.CopyFrom(Failure.FromString(record.last_failure))
    return request
