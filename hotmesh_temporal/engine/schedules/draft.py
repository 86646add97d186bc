"""One decision on a schedule in the making: a private copy of the record, changed by plain functions.

The order of things is that of the server: first the times that have come due, then what a request asks for, then
backfills, then the starts that may be made. What has to be done to runs comes out as data (`overlap.Choice`); whoever
does it says what came of it (`Draft.started`), and commits runs and record together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import Schedule, SchedulePatch, ScheduleSpec

from ...errors import RpcError
from ..limits import SECOND, Limits
from ..protos import ceil_ms, duration, moment, nanos
from .overlap import ALLOW_ALL, SKIP, Choice, choose
from .spec import CompiledSpec, NextTime, compile_spec
from .state import Action, Backfill, Run, ScheduleRecord, Start, decode_schedule

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT

_RECENT = 10
_LOOK = 2000
"""How many due times are looked at in one decision; the next one goes on from there."""
_AT_ONCE = 20
"""How many starts are made in one commit."""
_PAUSE = SECOND
"""Between two steps of a backfill."""
_MILLISECOND = 1_000_000
_LONGEST = 2**63 - 1
"""The longest duration of the server, some 292 years."""


@dataclass(slots=True)
class Closed:
    """How a chain of runs has ended. ``result`` (``Payloads``) or ``failure`` (``Failure``) as bytes (b"": none)."""

    first_run_id: str
    status: int
    result: bytes = b""
    failure: bytes = b""
    message: str = ""


@dataclass(slots=True)
class Draft:
    """``schedule`` and ``record`` are changed in place; `finish` puts the one into the other."""

    now: int
    limits: Limits
    namespace_id: str
    record: ScheduleRecord
    schedule: Schedule = field(default_factory=Schedule)
    spec: CompiledSpec | None = None
    hurries: bool = False
    """There is more to do right away than one commit should hold."""

    @classmethod
    def of(cls, data: bytes, now: int, limits: Limits, namespace_id: str) -> Draft:
        """A decision on a stored record."""
        record = decode_schedule(data)
        draft = cls(now, limits, namespace_id, record, Schedule.FromString(record.schedule))
        draft.spec = _compiled(draft.schedule.spec.SerializeToString(deterministic=True))[0]
        return draft

    @property
    def seed(self) -> str:
        """What the jitter of its times depends on."""
        return f"{self.namespace_id}-{self.record.schedule_id}"

    def set_schedule(self, schedule: Schedule) -> None:
        """Take a schedule that a user gave, its spec in the canonical form; what was left out gets its default."""
        self.schedule = Schedule()
        self.schedule.CopyFrom(schedule)
        for part in ("spec", "action", "policies", "state"):
            getattr(self.schedule, part).SetInParent()
        policies = self.schedule.policies
        policies.overlap_policy = policies.overlap_policy or SKIP
        policies.catchup_window.CopyFrom(duration(self._catchup_window()))
        self.spec, self.record.invalid = _compiled(self.schedule.spec.SerializeToString(deterministic=True))

    def finish(self) -> None:
        """The record is complete."""
        self.record.schedule = self.schedule.SerializeToString(deterministic=True)

    # -- due times ----------------------------------------------------------------------------------------------

    def next_time(self, after: int) -> NextTime | None:
        """The first due time after a time."""
        return self.spec.next_time(after, self.seed) if self.spec is not None else None

    def generate(self) -> None:
        """Put the times that have come due into the buffer. Those of a time in which it was paused are left out."""
        record = self.record
        if self.spec is None or not self.may_act():
            record.processed = max(record.processed, self.now)
            return
        window = self._catchup_window()
        for _ in range(_LOOK):
            due = self.next_time(record.processed)
            if due is None or due.next > self.now:
                return
            record.processed = due.next
            if due.next < record.updated_at:
                continue
            if self.now - due.next > window:
                record.missed_catchup_window += 1
            else:
                self._add(Start(due.nominal, due.next))
        self.hurries = True

    def wait_again(self, count: int) -> None:
        """Put the last ``count`` times that came due after the last action back into the buffer."""
        record, due = self.record, list[Start]()
        after = record.recent[-1].due if record.recent else record.created_at
        for _ in range(_LOOK if count else 0):
            following = self.next_time(after)
            if following is None or following.next > record.processed:
                break
            after = following.next
            due.append(Start(following.nominal, following.next))
        record.buffer += due[-count:] if count else []

    def _add(self, start: Start) -> None:
        if len(self.record.buffer) >= self.limits.schedule_buffer:
            self.record.buffer_dropped += 1
        else:
            self.record.buffer.append(start)

    def may_act(self, *, manual: bool = False) -> bool:
        """Actions may be taken: neither a pause nor the number of remaining ones forbids it."""
        state = self.schedule.state
        return manual or (not state.paused and (not state.limited_actions or state.remaining_actions > 0))

    def use_action(self, *, manual: bool) -> bool:
        """As `may_act`, and counts one down."""
        if not self.may_act(manual=manual):
            return False
        if not manual and self.schedule.state.limited_actions:
            self.schedule.state.remaining_actions -= 1
            self.record.conflict_token += 1
        return True

    # -- what is asked for --------------------------------------------------------------------------------------

    def patch(self, patch: SchedulePatch) -> None:
        """Start at once, make up for times of the past, pause, go on."""
        if patch.HasField("trigger_immediately"):
            trigger = patch.trigger_immediately
            due = moment(trigger.scheduled_time) if trigger.HasField("scheduled_time") else self.now
            self._add(Start(due, due, trigger.overlap_policy, manual=True))
        for each in patch.backfill_request:
            if len(self.record.backfills) >= self.limits.schedule_buffer:
                self.record.buffer_dropped += 1
                continue
            # The first moment of the range belongs to it.
            begin = moment(each.start_time) - _MILLISECOND
            self.record.backfills.append(Backfill(begin, moment(each.end_time), each.overlap_policy))
        for paused, notes in ((True, patch.pause), (False, patch.unpause)):
            if notes:
                self._set_paused(notes, paused=paused)

    def _set_paused(self, notes: str, *, paused: bool) -> None:
        self.schedule.state.paused, self.schedule.state.notes = paused, notes
        self.record.conflict_token += 1

    def close(self) -> None:
        """It is deleted, or given up: nothing is started any more."""
        record = self.record
        record.closed_at = self.now
        record.buffer, record.backfills, record.running = [], [], []

    def close_if_idle(self) -> None:
        """Give up a schedule that has had nothing to do for a long time."""
        if 0 < self.ends_at() <= self.now:
            self.close()

    def update(self, schedule: Schedule) -> None:
        """Another schedule in its place. Times before now that come due by it are not made up for."""
        self.set_schedule(schedule)
        self.record.updated_at = self.now
        self.record.conflict_token += 1
        self.generate()

    def backfill(self) -> None:
        """Some of the times that are to be made up for, as long as the buffer is not half full."""
        left = self.limits.schedule_backfills
        while self.record.backfills and left > 0 and self._has_room():
            current = self.record.backfills[0]
            while left > 0:
                due = self.next_time(current.begin)
                if due is None or due.next > current.end:
                    self.record.backfills.pop(0)
                    break
                current.begin = due.next
                self._add(Start(due.nominal, due.next, current.overlap, manual=True))
                left -= 1

    def _has_room(self) -> bool:
        return len(self.record.buffer) < self.limits.schedule_buffer // 2

    # -- starts -------------------------------------------------------------------------------------------------

    def choose(self) -> Choice:
        """What may be started now. It is out of the buffer, and has to be started or given up."""
        record = self.record
        if not self.schedule.action.HasField("start_workflow"):
            choice, record.buffer = Choice(dropped=len(record.buffer)), []
            return choice
        choice = choose(record.buffer, is_running=bool(record.running), policy_of=self.policy_of)
        record.buffer = [*choice.free[_AT_ONCE:], *choice.waiting]
        self.hurries = self.hurries or len(choice.free) > _AT_ONCE
        choice.free = choice.free[:_AT_ONCE]
        record.overlap_skipped += choice.skipped
        return choice

    def policy_of(self, start: Start) -> int:
        """The overlap policy for a start."""
        return start.overlap or self.schedule.policies.overlap_policy or SKIP

    def regards_others(self, start: Start) -> bool:
        """It has the result of the run before, and the next ones wait for it."""
        return start.overlap != ALLOW_ALL

    def started(self, start: Start, run: Run, *, single: bool) -> None:
        """A start was made. Runs that may overlap are not waited for."""
        record = self.record
        record.action_count += 1
        record.recent.append(Action(start.due, self.now, run.workflow_id, run.run_id, RUNNING))
        del record.recent[:-_RECENT]
        if single:
            record.running.append(run)

    def closed(self, closed: Closed) -> bool:
        """A chain of runs has ended. False if it is none that the schedule waits for."""
        record = self.record
        run = next((each for each in record.running if each.run_id == closed.first_run_id), None)
        if run is None:
            return False
        record.running.remove(run)
        for action in record.recent:
            if action.run_id == run.run_id:
                action.status = closed.status
        if closed.status in (FAILED, TIMED_OUT):
            self._pause_on_failure(run, closed)
        if closed.result:
            record.last_result, record.last_failure = closed.result, b""
        elif closed.failure:
            record.last_failure = closed.failure
        return True

    def _pause_on_failure(self, run: Run, closed: Closed) -> None:
        if not self.schedule.policies.pause_on_failure or self.schedule.state.paused:
            return
        notes = f"paused due to workflow timeout: {run.workflow_id}"
        if closed.status == FAILED:
            notes = f"paused due to workflow failure: {run.workflow_id}: {closed.message}"
        self._set_paused(notes, paused=True)

    # -- what comes next ----------------------------------------------------------------------------------------

    def wakes_at(self) -> int:
        """When there is something to do without anybody asking for it, in nanoseconds (0: never)."""
        record = self.record
        if record.closed_at:
            return 0
        if self.hurries:
            return self.now
        if record.backfills and self._has_room():
            return self.now + _PAUSE
        following = self.next_time(record.processed) if self.may_act() else None
        return following.next if following is not None else self.ends_at()

    def wakes_at_ms(self) -> int:
        """The same in milliseconds."""
        return ceil_ms(self.wakes_at())

    def ends_at(self) -> int:
        """When a schedule that has nothing to do any more is given up (0: it may have)."""
        record = self.record
        has_more = self.may_act() and self.next_time(record.processed) is not None
        if self.schedule.state.paused or has_more or record.backfills or record.buffer or record.running:
            return 0
        last = record.recent[-1].started_at if record.recent else 0
        return max(last, record.created_at, record.updated_at) + self.limits.schedule_retention

    def future(self, count: int) -> list[int]:
        """The next due times, at most as many as actions remain."""
        state = self.schedule.state
        if state.limited_actions:
            count = min(count, state.remaining_actions)
        times, after = list[int](), self.record.processed
        while len(times) < count and (following := self.next_time(after)) is not None:
            after = following.next
            if after >= self.record.updated_at:
                times.append(after)
        return times

    def _catchup_window(self) -> int:
        policies = self.schedule.policies
        if not policies.HasField("catchup_window"):
            return self.limits.schedule_catchup_window
        window = min(nanos(policies.catchup_window), _LONGEST)
        return max(window, self.limits.schedule_catchup_minimum)


@lru_cache(maxsize=500)
def _compiled(spec: bytes) -> tuple[CompiledSpec | None, str]:
    """The spec, ready for use, or what is wrong with it."""
    try:
        return compile_spec(ScheduleSpec.FromString(spec)), ""
    except RpcError as error:
        return None, error.message
