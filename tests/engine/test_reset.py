"""Reset: which points there are, what the new run begins with, what it takes over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.enums.v1 import EventType

from hotmesh_temporal.engine.reset import SIGNALS, UPDATES, Fork
from hotmesh_temporal.errors import RpcError
from tests.engine import commands
from tests.engine.sound import check
from tests.engine.support import QUEUE, Run, accept, copy, respond, seconds, title

NEW = ["WorkflowTaskFailed", "WorkflowTaskScheduled"]


def busy() -> Run:
    """A run with a timer, an activity, a child and a signal on its way; its second task (9) is in flight (10)."""
    run = Run()
    run.turn(commands.timer("t", 60), commands.activity("a"), commands.child("c"), commands.signal_other("o"))
    run.signal()
    run.take()
    return run


def titles(run: Run, first: int) -> list[str]:
    """What the run's history holds from an event on, without numbers."""
    return [title(each).partition(" ")[2] for each in run.history[first - 1 :]]


def test_the_new_run_begins_where_the_task_failed() -> None:
    run = busy()
    run.answer()
    made = run.reset_run(12)
    assert titles(made, 1)[:11] == titles(run, 1)[:11]
    assert titles(made, 12) == NEW
    failed = made.history[11].workflow_task_failed_event_attributes
    assert (failed.base_run_id, failed.new_run_id) == (run.state.run_id, made.state.run_id)
    check(made)
    check(run)


def test_everything_that_was_pending_is_on_its_way_again() -> None:
    run = busy()
    run.answer()
    made = run.reset_run(12)
    assert made.opened.offers == [f"activity 6 on {QUEUE}", f"workflow task 13 on {QUEUE}"]
    assert made.opened.orders == ["start 7", "signal 8"]
    assert made.state.timers == run.state.timers


def test_the_run_before_leaves_its_family_alone() -> None:
    run = busy()
    run.answer()
    run.child_starts(7)
    run.reset_run(12)
    assert run.state.gave_way
    assert title(run.history[-1]).endswith("WorkflowExecutionTerminated")


def test_a_task_that_nobody_has_is_started_for_it() -> None:
    run = Run()
    made = run.reset_run(3) if run.signal() else run
    assert titles(made, 3) == ["WorkflowTaskStarted", "WorkflowTaskFailed", "WorkflowExecutionSignaled", NEW[1]]


def test_a_task_that_failed_before_gets_its_events() -> None:
    run = Run()
    run.take()
    run.fail_task()
    run.signal()
    made = run.reset_run(5)
    assert titles(made, 5) == [
        "WorkflowTaskScheduled",
        "WorkflowTaskStarted",
        "WorkflowTaskFailed",
        "WorkflowExecutionSignaled",
        NEW[1],
    ]
    assert made.state.task is not None
    assert made.state.task.attempt == 1


def test_buffered_events_are_taken_over() -> None:
    run = Run()
    run.take()
    assert run.signal().buffered == 1
    made = run.reset_run(3)
    assert "WorkflowExecutionSignaled" in titles(made, 4)
    check(run)


@pytest.mark.parametrize(
    ("excluded", "taken_over"),
    [
        (frozenset[int](), ["WorkflowExecutionUpdateAdmitted", "WorkflowExecutionSignaled"]),
        (frozenset({SIGNALS}), ["WorkflowExecutionUpdateAdmitted"]),
        (frozenset({UPDATES}), ["WorkflowExecutionSignaled"]),
        (frozenset({SIGNALS, UPDATES}), []),
    ],
)
def test_what_came_in_is_taken_over_unless_excluded(excluded: frozenset[int], taken_over: list[str]) -> None:
    run = Run()
    run.turn()
    run.ask()
    run.turn(messages=[accept(), respond()])
    run.signal()
    made = run.reset_run(4, excluded)
    assert titles(made, 5) == [*taken_over, NEW[1]]
    check(made)


def updated() -> Run:
    """A run that has an update in its history, to be asked again; event 5."""
    run = Run()
    run.turn()
    run.ask()
    run.turn(messages=[accept(), respond()])
    return run.reset_run(4)


def test_an_update_in_the_history_needs_no_message() -> None:
    run = updated()
    run.take()
    assert run.sent() == []
    step = run.answer(messages=[accept(), respond()])
    assert step.events[1:] == ["9 WorkflowExecutionUpdateAccepted", "10 WorkflowExecutionUpdateCompleted"]
    assert not run.history[8].workflow_execution_update_accepted_event_attributes.HasField("accepted_request")
    assert run.state.asked_updates == {}


def test_an_update_in_the_history_is_there_for_the_next_attempt() -> None:
    run = updated()
    run.take()
    run.answer_badly(messages=[respond()])
    assert list(run.state.asked_updates) == ["u"]
    run.turn(messages=[accept(), respond()])
    assert run.state.updates["u"].completed_event_id


def test_times_count_from_the_reset() -> None:
    run = Run()
    run.turn(commands.activity("a", schedule_to_close=30))
    run.signal()
    run.now += seconds(20)
    run.turn()
    made = run.reset_run(9)
    assert made.state.started_at == made.state.reset_at == made.now
    assert made.activity().first_scheduled_at == made.now
    assert made.deadline == 30


def test_what_became_of_a_child_is_taken_over() -> None:
    run = Run()
    run.take()
    run.signal()
    run.answer(commands.child("c"))
    run.child_starts(5)
    run.turn()
    run.child_ends(5)
    made = run.reset_run(8)
    assert titles(made, 9) == [NEW[0], "ChildWorkflowExecutionStarted", "ChildWorkflowExecutionCompleted", NEW[1]]
    assert made.history[10].child_workflow_execution_completed_event_attributes.started_event_id == 10
    assert made.opened.orders == []
    check(made)


def test_what_became_of_a_later_child_is_not() -> None:
    run = Run()
    run.turn(commands.child("c"))
    run.child_starts(5)
    made = run.reset_run(4)
    assert titles(made, 4) == NEW


def point(run: Run, finish_event_id: int, first_stored: int, last_stored: int) -> None:
    """Raises what a reset raises if the events ``first_stored`` to ``last_stored`` were stored together."""
    fork = Fork(run.context(), run.state, "fork")
    for event in run.history[: finish_event_id - 1]:
        fork.take(copy(event))
    fork.check_end(run.history[first_stored - 1 : last_stored] if last_stored >= finish_event_id else [])


@pytest.mark.parametrize(
    ("finish_event_id", "first_stored", "last_stored", "problem"),
    [
        (2, 1, 2, "boundary"),  # the first task was scheduled by the start itself
        (3, 1, 2, ""),
        (3, 1, 3, ""),  # a worker was idle
        (4, 3, 3, ""),
        (5, 4, 5, "boundary"),
        (6, 4, 5, "in range"),
        (8, 7, 8, ""),  # two signals shared a commit
        (8, 6, 7, ""),
    ],
)
def test_points(finish_event_id: int, first_stored: int, last_stored: int, problem: str) -> None:
    run = Run()
    run.turn(commands.timer("t", 60))
    for _ in range(3):
        run.signal()
    if not problem:
        point(run, finish_event_id, first_stored, last_stored)
        return
    with pytest.raises(RpcError, match=problem):
        point(run, finish_event_id, first_stored, last_stored)


def long_life(end: Callable[[Run], object]) -> Run:
    """A run in which a good deal happens."""
    run = Run()
    run.turn(commands.timer("t", 60), commands.activity("a"), commands.child("c"))
    run.child_starts(7)
    run.take()
    run.fail_task()
    run.take_activity()
    run.complete_activity()
    run.turn(commands.timer("u", 1), sticky=5)
    run.later(2)
    run.ask()
    run.turn(messages=[accept()])
    run.child_ends(7)
    run.signal()
    run.take()
    run.signal()
    end(run)
    return run


def stays_open(run: Run) -> None:
    """Its task is in flight."""


def goes_idle(run: Run) -> None:
    """Its task is answered."""
    run.answer(messages=[respond()])


@pytest.mark.parametrize("end", [stays_open, goes_idle, Run.terminate])
def test_every_point_gives_a_sound_run(end: Callable[[Run], object]) -> None:
    points = long_life(end).points()
    assert len(points) > 7
    for finish_event_id in points:
        run = long_life(end)
        made = run.reset_run(finish_event_id)
        check(made)
        check(run)
        last = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
        assert made.history[-1].event_type == last
