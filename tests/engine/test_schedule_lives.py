"""Made-up lives of schedules: each due time is started, left out or given up exactly once, and counted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    Schedule,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
    TriggerImmediatelyRequest,
)

from hotmesh_temporal.engine.limits import SECOND, Limits
from hotmesh_temporal.engine.schedules.draft import Closed, Draft
from hotmesh_temporal.engine.schedules.overlap import ALLOW_ALL, BUFFER_ALL, BUFFER_ONE, SKIP, TERMINATE_OTHER, choose
from hotmesh_temporal.engine.schedules.state import Run, ScheduleRecord, Start, decode_schedule, encode_schedule

BEGIN = 1_700_000_000 * SECOND
LIMITS = Limits(schedule_buffer=12, schedule_backfills=3, schedule_retention=10_000 * SECOND)
POLICIES = range(1, 7)


@dataclass
class World:
    """A schedule of an interval of five seconds, and what became of each of its starts."""

    chance: random.Random
    now: int = BEGIN
    data: bytes = b""
    runs: int = 0
    fates: Counter[str] = field(default_factory=Counter[str])
    started: Counter[int] = field(default_factory=Counter[int])
    asked: int = 0

    def create(self) -> None:
        """It is new."""
        draft = Draft(self.now, LIMITS, "id", ScheduleRecord("default", "s", "1", created_at=BEGIN, processed=BEGIN))
        policies = SchedulePolicies(catchup_window=Duration(seconds=30))
        policies.overlap_policy = self._policy()  # pyright: ignore[reportAttributeAccessIssue]  (enum values are ints)
        spec = ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=5))])
        draft.set_schedule(Schedule(spec=spec, policies=policies, state=self._state()))
        draft.schedule.action.start_workflow.workflow_id = "w"
        self._finish(draft)

    def _policy(self) -> int:
        return self.chance.choice(POLICIES)

    def _state(self) -> ScheduleState:
        limited = self.chance.random() < 0.3
        return ScheduleState(limited_actions=limited, remaining_actions=self.chance.randrange(20) if limited else 0)

    def step(self) -> None:
        """Time passes, and somebody does something."""
        self.now += self.chance.choice((0, 1, 4, 6, 11, 60)) * SECOND + self.chance.randrange(SECOND)
        draft = Draft.of(self.data, self.now, LIMITS, "id")
        before = draft.record.processed
        may_act = draft.may_act()
        draft.generate()
        if may_act:
            self.asked += sum(1 for _ in range(before // (5 * SECOND), draft.record.processed // (5 * SECOND)))
        self.chance.choice(
            (self.nothing, self.trigger, self.backfill, self.pause, self.close, self.close, self.update)
        )(draft)
        self._finish(draft)

    def nothing(self, draft: Draft) -> None:
        """Only time."""

    def trigger(self, draft: Draft) -> None:
        """One more, now."""
        self.asked += 1
        draft.patch(SchedulePatch(trigger_immediately=TriggerImmediatelyRequest(overlap_policy=self._policy())))  # pyright: ignore[reportArgumentType]  (enum values are ints)

    def backfill(self, draft: Draft) -> None:
        """Times of long ago; at most ten such requests, or they are refused."""
        first, count = self.chance.randrange(1_000_000) * 5, self.chance.randrange(1, 8)
        if len(draft.record.backfills) < LIMITS.schedule_buffer:
            self.asked += count
        else:
            self.fates["refused backfill"] += 1
        request = BackfillRequest(
            start_time=Timestamp(seconds=first),
            end_time=Timestamp(seconds=first + 5 * (count - 1)),
            overlap_policy=self._policy(),  # pyright: ignore[reportArgumentType]  (enum values are ints)
        )
        draft.patch(SchedulePatch(backfill_request=[request]))

    def pause(self, draft: Draft) -> None:
        """Or go on."""
        draft.patch(SchedulePatch(pause="p") if self.chance.random() < 0.4 else SchedulePatch(unpause="u"))

    def close(self, draft: Draft) -> None:
        """A run ends."""
        if draft.record.running:
            assert draft.closed(Closed(self.chance.choice(draft.record.running).run_id, 2, result=b""))
        assert not draft.closed(Closed("of another schedule", 2))

    def update(self, draft: Draft) -> None:
        """Another policy; times that came due before are not made up for."""
        changed = Schedule()
        changed.CopyFrom(draft.schedule)
        changed.policies.overlap_policy = self._policy()  # pyright: ignore[reportAttributeAccessIssue]  (enum values are ints)
        before = draft.record.processed
        draft.update(changed)
        assert draft.record.processed == before

    def _finish(self, draft: Draft) -> None:
        backfills = sum(_times(each.begin, each.end) for each in draft.record.backfills)
        waiting = len(draft.record.buffer)
        dropped = draft.record.buffer_dropped
        draft.backfill()
        left = sum(_times(each.begin, each.end) for each in draft.record.backfills)
        more = len(draft.record.buffer) - waiting + draft.record.buffer_dropped - dropped
        assert left + more == backfills
        while self._act(draft):
            pass
        draft.finish()
        self.data = encode_schedule(draft.record)
        self.check()

    def _act(self, draft: Draft) -> bool:
        choice, again = draft.choose(), False
        self.fates["replaced"] += choice.replaced
        self.fates["given up"] += choice.dropped
        for start in (*choice.free, *([choice.single] if choice.single else [])):
            if not draft.use_action(manual=start.manual) or self.chance.random() < 0.1:
                self.fates["refused"] += 1
                again = True
                continue
            self.runs += 1
            if not start.manual:
                self.started[start.nominal] += 1
            draft.started(start, Run("w", f"r{self.runs}"), single=start is choice.single)
        return again

    def check(self) -> None:
        """Everything that was asked for is accounted for, once."""
        record = decode_schedule(self.data)
        fates = sum(self.fates.values()) - self.fates["refused backfill"]
        fates += record.action_count + record.overlap_skipped + record.missed_catchup_window
        fates += record.buffer_dropped - self.fates["refused backfill"]
        waiting = len(record.buffer) + sum(_times(each.begin, each.end) for each in record.backfills)
        assert fates + waiting == self.asked
        assert record.action_count == self.runs
        assert set(self.started.values()) <= {1}, "a due time was started twice"
        assert len(record.buffer) <= LIMITS.schedule_buffer
        assert len(record.running) <= 1
        assert len(record.recent) <= 10
        draft = Draft.of(self.data, self.now, LIMITS, "id")
        wakes_at = draft.wakes_at()
        if draft.may_act():
            assert wakes_at == draft.now + SECOND or draft.now < wakes_at <= draft.now + 5 * SECOND


def _times(begin: int, end: int) -> int:
    """Multiples of five seconds after one time up to another."""
    return max(end // (5 * SECOND) - begin // (5 * SECOND), 0)


@pytest.mark.parametrize("seed", range(8))
def test_each_due_time_has_one_fate(seed: int) -> None:
    for life in range(25):
        world = World(random.Random(seed * 1000 + life))
        world.create()
        for _ in range(50):
            world.step()


def _starts(*policies: int) -> list[Start]:
    return [Start(number, number, policy) for number, policy in enumerate(policies)]


def test_the_first_waits_and_further_ones_are_left_out() -> None:
    choice = choose(_starts(BUFFER_ONE, BUFFER_ONE, SKIP), is_running=True, policy_of=lambda start: start.overlap)
    assert ([each.nominal for each in choice.waiting], choice.skipped, choice.single) == ([0], 2, None)


def test_what_terminates_does_not_start_what_it_would_terminate() -> None:
    choice = choose(_starts(ALLOW_ALL, TERMINATE_OTHER), is_running=True, policy_of=lambda start: start.overlap)
    assert (choice.free, choice.terminate, len(choice.waiting)) == ([], True, 1)


def test_one_that_is_not_begun_is_replaced() -> None:
    choice = choose(_starts(SKIP, TERMINATE_OTHER, BUFFER_ALL), is_running=False, policy_of=lambda start: start.overlap)
    assert choice.single is not None
    assert (choice.single.nominal, choice.replaced, [each.nominal for each in choice.waiting]) == (1, 1, [2])


def test_a_schedule_that_was_asleep_for_long_goes_step_by_step() -> None:
    """A year of seconds is not looked at in one go."""
    record = ScheduleRecord("default", "s", "1", created_at=BEGIN, processed=BEGIN)
    draft = Draft(BEGIN + 365 * 86_400 * SECOND, Limits(), "id", record)
    draft.set_schedule(Schedule(spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=1))])))
    draft.generate()
    assert draft.wakes_at() == draft.now
    assert record.processed == BEGIN + 2000 * SECOND
    assert (len(record.buffer), record.buffer_dropped) == (1000, 1000)


def test_it_is_given_up_when_it_has_nothing_to_do_for_long() -> None:
    record = ScheduleRecord("default", "s", "1", created_at=BEGIN, processed=BEGIN)
    draft = Draft(BEGIN, LIMITS, "id", record)
    draft.set_schedule(Schedule())
    assert draft.wakes_at() == BEGIN + LIMITS.schedule_retention
    draft.close_if_idle()
    assert not record.closed_at
    draft.now = draft.wakes_at()
    draft.close_if_idle()
    assert record.closed_at == draft.now
