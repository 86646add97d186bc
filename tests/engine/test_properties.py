"""Whatever happens to a run, in whatever order, what holds for every run holds.

Hypothesis makes up sequences of what workers, clients and time can do. After each of them:

- events are numbered without a gap, times never go back further than an attempt's own start, a closing event is last;
- folding the history into a fresh state gives the state, but for what a Temporal server keeps outside of history too;
- the stored form of the state gives the state back;
- while the run is open something will move it on: a task is offered, in flight, or a deadline is set, or it waits
  for the outside because its worker has seen everything;
- a message or an answer that comes a second time, soon or late, changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Memo, RetryPolicy, SearchAttributes
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue

from hotmesh_temporal.engine.activity_options import as_scheduled
from hotmesh_temporal.engine.events import CLOSES_RUN
from hotmesh_temporal.engine.evolve import fold, rebuild
from hotmesh_temporal.engine.model import ExecutionState, decode_state, encode_state
from hotmesh_temporal.engine.protos import duration
from hotmesh_temporal.engine.reset import SIGNALS, UPDATES
from hotmesh_temporal.errors import RpcError, TaskFailed
from hotmesh_temporal.runtime.verify_run import BEYOND_HISTORY, BEYOND_HISTORY_OF_ACTIVITY, BEYOND_HISTORY_OF_TASK
from tests.engine import commands
from tests.engine.support import Run, Stale, Step, accept, failure, reject, respond, seconds, started

IDS = ("a", "b", "c", "d", "e")
_REMEMBERED = 12
RETRIES = (None, commands.retry(1), commands.retry(2, attempts=2))


# -- what holds -----------------------------------------------------------------------------------------------


def check(run: Run) -> None:
    """Everything that holds for every run."""
    assert [each.event_id for each in run.history] == list(range(1, run.state.next_event_id))
    closes = [each.event_id for each in run.history if each.event_type in CLOSES_RUN]
    assert closes == ([] if run.state.running else [run.state.next_event_id - 1])
    assert run.state.history_size == sum(each.ByteSize() for each in run.history)
    assert decode_state(encode_state(run.state)) == run.state
    assert known(rebuilt(run)) == known(run.state)
    check_progress(run)


def check_progress(run: Run) -> None:
    """An open run is not forgotten: nothing that its worker has not seen lies around without a task."""
    state = run.state
    if not state.running:
        return
    assert not state.buffered or state.task_in_flight
    assert not state.asked_updates or state.task is not None
    if state.task is None and not state.waits_for_first_task:
        names = {each.WhichOneof("attributes") for each in run.history[state.last_task_completed_id :]}
        assert not names & WAKING
    for each in state.activities.values():
        assert each.started or each.retry_at or each.paused or (each.scheduled_event_id, each.stamp) in run.offered


WAKING = {
    "workflow_execution_signaled_event_attributes",
    "workflow_execution_cancel_requested_event_attributes",
    "timer_fired_event_attributes",
    "activity_task_completed_event_attributes",
    "activity_task_failed_event_attributes",
    "activity_task_timed_out_event_attributes",
    "activity_task_canceled_event_attributes",
    "child_workflow_execution_started_event_attributes",
    "child_workflow_execution_completed_event_attributes",
    "start_child_workflow_execution_failed_event_attributes",
    "external_workflow_execution_signaled_event_attributes",
    "signal_external_workflow_execution_failed_event_attributes",
    "external_workflow_execution_cancel_requested_event_attributes",
    "request_cancel_external_workflow_execution_failed_event_attributes",
}


def rebuilt(run: Run) -> ExecutionState:
    """The state as the history alone makes it, with the events that have no place in it yet."""
    state = run.state
    fresh = ExecutionState(state.namespace, state.workflow_id, state.run_id)
    rebuild(fresh, (HistoryEvent.FromString(each.SerializeToString()) for each in run.history))
    for data in state.buffered:
        fold(fresh, HistoryEvent.FromString(data))
    return fresh


def known(state: ExecutionState) -> dict[str, Any]:
    """What a state and its history have in common."""
    fields = _fields(state, BEYOND_HISTORY)
    task = state.task
    fields["task"] = _fields(task, BEYOND_HISTORY_OF_TASK) if task is not None and not task.unwritten else None
    fields["activities"] = {
        key: _fields(as_scheduled(each), BEYOND_HISTORY_OF_ACTIVITY) for key, each in state.activities.items()
    }
    # The order of a map's entries has no meaning.
    fields["memo"] = Memo.FromString(state.memo).SerializeToString(deterministic=True)
    attributes = SearchAttributes.FromString(state.search_attributes)
    fields["search_attributes"] = attributes.SerializeToString(deterministic=True)
    return fields


def _fields(value: msgspec.Struct, beyond: frozenset[str]) -> dict[str, Any]:
    return {name: each for name, each in msgspec.structs.asdict(value).items() if name not in beyond}


# -- what can happen ------------------------------------------------------------------------------------------

ids = st.sampled_from(IDS)
times = st.sampled_from([0.0, 0.5, 1.0, 3.0, 7.0])
timeouts = st.sampled_from([0.0, 2.0, 6.0, 20.0])

activities = st.builds(
    commands.activity,
    ids,
    start_to_close=timeouts,
    schedule_to_close=timeouts,
    schedule_to_start=timeouts,
    heartbeat=timeouts,
    retry=st.sampled_from(RETRIES),
    eager=st.booleans(),
)
ordinary = st.one_of(
    *[activities] * 4,
    st.builds(commands.timer, ids, times),
    st.builds(commands.marker),
    st.builds(commands.child, ids),
    st.builds(commands.signal_other, ids),
    st.builds(commands.cancel_other, ids),
    st.builds(commands.memo, st.dictionaries(ids, st.sampled_from([b"1", b"2", b""]), min_size=1)),
    st.builds(commands.search_attributes, st.dictionaries(st.just("BatcherUser"), st.just(b'"x"'), min_size=1)),
)
closing = st.sampled_from([commands.complete(), commands.fail(), commands.cancel(), commands.continue_as_new()])


class Life(RuleBasedStateMachine):
    """A run from its start to its end and beyond. Rules that end it come late, so that lives are long."""

    grown = 20
    """How many events it has before it may end."""

    @initialize(
        policy=st.sampled_from(RETRIES),
        cron=st.sampled_from(["", "", "@every 5s"]),
        run=st.sampled_from([0.0, 0.0, 100.0]),
        chain=st.sampled_from([0.0, 0.0, 120.0]),
        wait=st.sampled_from([0.0, 0.0, 2.0]),
    )
    def begin(self, policy: RetryPolicy | None, cron: str, run: float, chain: float, wait: float) -> None:
        opening = started(run_timeout=run, execution_timeout=chain, retry_policy=policy, cron_schedule=cron)
        self.run, self.resets = Run(opening, wait=wait), 0

    def old(self) -> bool:
        """It may end."""
        return len(self.run.history) > self.grown

    def without_used_ids(self, given: list[Command]) -> list[Command]:
        """What a worker in its right mind would send."""
        used = {each.activity_id for each in self.run.state.activities.values()} | set(self.run.state.timers)
        kept: list[Command] = []
        for each in given:
            name = (
                each.schedule_activity_task_command_attributes.activity_id
                or each.start_timer_command_attributes.timer_id
            )
            if not name or name not in used:
                kept.append(each)
            used.add(name)
        return kept

    def pending(self, *, at_work: bool) -> list[str]:
        """Ids of activities that a worker has, or that one may take."""
        found = self.run.state.activities.values() if self.run.state.running else ()
        waits = [each.activity_id for each in found if each.retry_at or (each.paused and not each.started)]
        return [each.activity_id for each in found if each.started == at_work and each.activity_id not in waits]

    # -- the worker of workflow tasks

    @precondition(lambda self: self.run.state.running and self.run.state.task and not self.run.state.task_in_flight)
    @rule()
    def take(self) -> None:
        self.run.now += 1  # no two tasks start in the same nanosecond
        self.run.take()

    @precondition(lambda self: self.run.state.running and self.run.state.task_in_flight)
    @rule(
        given=st.lists(ordinary, max_size=4),
        sticky=st.sampled_from([0.0, 2.0]),
        force_new=st.booleans(),
        inline=st.booleans(),
        cancels=st.booleans(),
        careless=st.sampled_from([False, False, False, True]),
        verdicts=st.lists(st.sampled_from([accept, reject, respond]), max_size=3),
        last=st.one_of(st.none(), closing),
    )
    def answer(
        self,
        given: list[Command],
        sticky: float,
        force_new: bool,
        inline: bool,
        cancels: bool,
        careless: bool,
        verdicts: list[Callable[[str], Message]],
        last: Command | None,
    ) -> None:
        if not careless:
            given = self.without_used_ids(given)
        if cancels:
            given += [commands.cancel_timer(each) for each in list(self.run.state.timers)[:1]]
            paused_first = sorted(self.run.state.activities.values(), key=lambda each: not each.paused)
            given += [commands.cancel_activity(each.scheduled_event_id) for each in paused_first[:1]]
        if last is not None and self.old():
            given.append(last)
        said = self.verdicts(verdicts, careless=careless)
        try:
            self.run.answer(*given, messages=said, sticky=sticky, force_new=force_new, inline=inline)
        except TaskFailed:
            self.run.answer_badly(*given, messages=said)

    def verdicts(self, wanted: list[Callable[[str], Message]], *, careless: bool) -> list[Message]:
        """What a worker says of the updates that it has, mostly in the right order."""
        accepted = [each for each, known in self.run.state.updates.items() if not known.completed_event_id]
        if careless:
            return [say(each) for say, each in zip(wanted, IDS, strict=False)]
        known = [(each, say) for each, say in zip(self.run.sent(), wanted, strict=False) if say is not respond]
        done = [respond(each) for each, say in zip(accepted, wanted, strict=False) if say is respond]
        return [say(each) for each, say in known] + done

    @precondition(
        lambda self: self.run.state.running and self.run.state.task_in_flight and self.run.state.task_attempt < 3
    )
    @rule()
    def fail_task(self) -> None:
        self.run.fail_task()

    # -- the worker of activities

    @precondition(lambda self: self.pending(at_work=False))
    @rule(data=st.data())
    def take_activity(self, data: st.DataObject) -> None:
        self.run.take_activity(data.draw(st.sampled_from(self.pending(at_work=False))))

    @precondition(lambda self: self.pending(at_work=True))
    @rule(data=st.data(), retryable=st.booleans(), how=st.sampled_from(["complete", "fail", "heartbeat", "cancel"]))
    def work(self, data: st.DataObject, retryable: bool, how: str) -> None:
        activity_id = data.draw(st.sampled_from(self.pending(at_work=True)))
        if how == "complete":
            self.run.complete_activity(activity_id)
        elif how == "fail":
            self.run.fail_activity(activity_id, failure(non_retryable=not retryable))
        elif how == "heartbeat":
            self.run.heartbeat(activity_id)
        elif self.run.activity(activity_id).cancel_requested:
            self.run.cancel_activity(activity_id)

    @precondition(lambda self: self.run.state.running and self.run.state.activities)
    @rule(data=st.data(), how=st.sampled_from(["pause", "unpause", "reset", "change", "restore"]), flag=st.booleans())
    def operate(self, data: st.DataObject, how: str, flag: bool) -> None:
        found = data.draw(st.sampled_from(list(self.run.state.activities.values())))
        if how == "pause":
            self.run.pause(found.activity_id)
        elif how == "unpause":
            self.run.unpause(found.activity_id, reset_attempts=flag, jitter=data.draw(times))
        elif how == "reset":
            self.run.reset(found.activity_id, keep_paused=flag, restore_options=not flag, jitter=data.draw(times))
        elif how == "change":
            queue = TaskQueue(name=data.draw(st.sampled_from(["queue", "other"])))
            wait = duration(seconds(data.draw(timeouts)))
            self.run.change_options(
                found.activity_id, "task_queue.name", "heartbeat_timeout", task_queue=queue, heartbeat_timeout=wait
            )
        else:
            self.run.restore_options(found.activity_id)

    # -- other workflows

    @precondition(lambda self: self.run.state.running and self.run.state.children)
    @rule(data=st.data(), well=st.sampled_from([True, True, False]))
    def hear_of_child(self, data: st.DataObject, well: bool) -> None:
        child = data.draw(st.sampled_from(list(self.run.state.children.values())))
        if child.run_id:
            self.run.child_ends(child.initiated_event_id)
        elif well:
            self.run.child_starts(child.initiated_event_id)
        else:
            self.run.child_does_not_start(child.initiated_event_id)

    @precondition(lambda self: self.run.state.running and (self.run.state.signals or self.run.state.cancels))
    @rule(well=st.booleans())
    def hear_of_others(self, well: bool) -> None:
        for initiated_id in list(self.run.state.signals)[:1]:
            self.run.signal_is_answered(initiated_id, well=well)
        for initiated_id in list(self.run.state.cancels)[:1]:
            self.run.cancel_is_answered(initiated_id, well=well)

    # -- time, and others

    @rule(by=times)
    def later(self, by: float) -> None:
        was_open, length = self.run.state.running, len(self.run.history)
        step = self.run.later(by)
        if not was_open:
            assert step == Step()
            assert len(self.run.history) == length

    @precondition(lambda self: self.run.state.running and self.run.state.signal_count * 6 < len(self.run.history))
    @rule(name=st.sampled_from(["signal", "signal", "request_cancel"]))
    def ask(self, name: str) -> None:
        if name == "signal":
            self.run.signal()
        elif not self.run.state.cancel_requested:
            self.run.request_cancel()

    @precondition(lambda self: self.run.state.running and self.run.state.task_attempt < 3)
    @rule(update_id=ids)
    def ask_for_update(self, update_id: str) -> None:
        self.run.ask(update_id)

    @precondition(lambda self: self.run.state.running and self.old())
    @rule()
    def terminate(self) -> None:
        self.run.terminate()

    @precondition(lambda self: self.run.delivered)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        again, before = data.draw(st.sampled_from(self.run.delivered[-_REMEMBERED:])), encode_state(self.run.state)
        with contextlib.suppress(Stale, RpcError):
            assert self.run.step(again) == Step(buffered=len(self.run.state.buffered))
        assert encode_state(self.run.state) == before

    @precondition(lambda self: self.old() and self.resets < 3 and self.run.points())
    @rule(data=st.data(), excluded=st.sampled_from([frozenset[int](), frozenset({SIGNALS}), frozenset({UPDATES})]))
    def reset_run(self, data: st.DataObject, excluded: frozenset[int]) -> None:
        """Life goes on with the new run."""
        before, self.resets = self.run, self.resets + 1
        self.run = before.reset_run(data.draw(st.sampled_from(before.points())), excluded)
        check(before)
        assert self.run.state.first_run_id == before.state.first_run_id

    @invariant()
    def is_sound(self) -> None:
        check(self.run)

    def teardown(self) -> None:
        following = getattr(self, "run", None) and self.run.next_run
        if following is not None:
            check(following)
            assert following.state.first_run_id == self.run.state.first_run_id


class ShortLife(Life):
    """A run that may end soon."""

    grown = 5


_USUAL = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
LONG_LIVES = settings(_USUAL, max_examples=100, stateful_step_count=120)
MANY_LIVES = settings(_USUAL, max_examples=1000, stateful_step_count=20)

TestEveryRunIsSound = Life.TestCase
TestEveryRunIsSound.settings = LONG_LIVES
TestEveryShortRunIsSound = ShortLife.TestCase
TestEveryShortRunIsSound.settings = MANY_LIVES
