"""User timers: every transition."""

from __future__ import annotations

import pytest

from hotmesh_temporal.engine.evolve import rebuild
from hotmesh_temporal.engine.model import ExecutionState
from hotmesh_temporal.errors import TaskFailed
from tests.engine import commands
from tests.engine.support import Run, Step, attributes_of


def pending(after: float = 5) -> Run:
    """A run with one timer (event 5)."""
    run = Run()
    run.turn(commands.timer(after=after))
    return run


def test_started() -> None:
    run = Run()
    assert run.turn(commands.timer(after=5)) == Step(["4 WorkflowTaskCompleted", "5 TimerStarted"])
    assert run.deadline == 5


def test_fired() -> None:
    run = pending()
    assert run.later(4.999) == Step()
    assert run.later(0.001) == Step(["6 TimerFired", "7 WorkflowTaskScheduled"], ["workflow task 7 on queue"])
    assert not run.state.timers


def test_a_timer_of_no_time_fires_at_once() -> None:
    assert pending(after=0).later(0).events == ["6 TimerFired", "7 WorkflowTaskScheduled"]


def test_timers_fire_in_the_order_of_their_times() -> None:
    run = Run()
    run.turn(commands.timer("late", 3), commands.timer("early", 1), commands.timer("never", 100))
    run.later(10)
    assert [each.timer_id for each in attributes_of(run, "timer_fired")] == ["early", "late"]
    assert list(run.state.timers) == ["never"]


def test_canceled() -> None:
    run = pending()
    run.signal()
    assert run.turn(commands.cancel_timer()) == Step(["9 WorkflowTaskCompleted", "10 TimerCanceled"])
    assert run.deadline == float("inf")


def test_canceled_after_it_fired_unseen() -> None:
    run = pending()
    run.signal()
    run.take()
    assert run.later(5) == Step(buffered=1)
    assert run.answer(commands.cancel_timer()) == Step(["9 WorkflowTaskCompleted", "10 TimerCanceled"])


def test_an_id_may_be_used_again_once_it_is_free() -> None:
    run = pending()
    run.later(5)
    assert run.turn(commands.timer()).events == ["9 WorkflowTaskCompleted", "10 TimerStarted"]


def test_an_id_may_be_used_again_before_its_firing_was_seen() -> None:
    run = pending(after=1)
    run.signal()
    run.take()
    run.later(1)
    step = run.answer(commands.timer(after=7))
    assert step.events[1:3] == ["10 TimerStarted", "11 TimerFired"]
    assert run.state.timers["t"].started_event_id == 10
    rebuilt = rebuild(ExecutionState("default", "workflow", run.state.run_id), run.history)
    assert rebuilt.timers == run.state.timers


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([commands.timer("x"), commands.timer("x")], "StartTimerDuplicateId"),
        ([commands.timer("")], "BadStartTimerAttributes: TimerId is not set"),
        ([commands.cancel_timer("")], "BadCancelTimerAttributes: TimerId is not set"),
        ([commands.cancel_timer("unknown")], "BadCancelTimerAttributes: invalid history builder state"),
        ([commands.timer("x" * 1001)], "BadStartTimerAttributes: TimerId on StartTimerCommand exceeds length limit"),
    ],
)
def test_refused(given: list[commands.Command], problem: str) -> None:
    run = Run()
    run.take()
    with pytest.raises(TaskFailed, match=problem):
        run.answer(*given)
