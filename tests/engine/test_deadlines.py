"""What a run waits for by time: the earliest of all its deadlines, each of which happens once."""

from __future__ import annotations

from tests.engine import commands
from tests.engine.support import Run, Step, seconds, started


def test_the_earliest_counts() -> None:
    run = Run(started(run_timeout=100, execution_timeout=200))
    assert run.deadline == 100
    run.turn(commands.timer("t", 50), commands.activity("a", schedule_to_start=20), commands.activity("b"))
    assert run.deadline == 20
    run.take_activity("b")
    assert run.deadline == 10


def test_all_that_is_due_happens_in_one_step() -> None:
    run = Run()
    run.turn(commands.timer("t", 1), commands.timer("u", 2), commands.activity("a", schedule_to_start=3))
    step = run.later(100)
    assert [event.split()[1] for event in step.events] == [
        "TimerFired",
        "WorkflowTaskScheduled",
        "TimerFired",
        "ActivityTaskTimedOut",
    ]


def test_what_is_due_before_the_end_of_the_run_still_happens() -> None:
    run = Run(started(run_timeout=10))
    run.turn(commands.timer("t", 5))
    step = run.later(60)
    assert step.events == ["6 TimerFired", "7 WorkflowTaskScheduled", "8 WorkflowExecutionTimedOut"]
    assert step.offers == []


def test_nothing_happens_twice() -> None:
    run = Run()
    run.turn(commands.timer("t", 1), commands.activity("a", schedule_to_start=2))
    run.later(5)
    assert run.later(0) == Step()


def test_nothing_happens_early() -> None:
    run = Run()
    run.turn(commands.timer("t", 5))
    run.now += seconds(5) - 1
    assert run.later(0) == Step()
    run.now += 1
    assert run.later(0).events[0] == "6 TimerFired"


def test_a_closed_run_waits_for_nothing() -> None:
    run = Run(started(run_timeout=10))
    run.turn(commands.timer("t", 5), commands.activity("a"))
    run.terminate()
    assert run.deadline == float("inf")
    assert run.later(1000) == Step()
