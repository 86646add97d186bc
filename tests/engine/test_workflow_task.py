"""The workflow task: every transition, with the events that it leaves and the tasks that it offers."""

from __future__ import annotations

import pytest

from hotmesh_temporal.engine.context import Limits
from hotmesh_temporal.errors import RpcError
from tests.engine import commands
from tests.engine.support import Run, Stale, Step, attributes_of


def in_flight() -> Run:
    """A run whose first workflow task is with a worker."""
    run = Run()
    run.take()
    return run


def failing(times: int) -> Run:
    """A run whose workflow task failed that often; the next attempt is offered."""
    run = in_flight()
    for index in range(times):
        if index:
            run.take()
        run.fail_task()
    return run


def test_a_start_offers_the_first_task() -> None:
    run = Run()
    assert run.opened == Step(["1 WorkflowExecutionStarted", "2 WorkflowTaskScheduled"], ["workflow task 2 on queue"])
    assert run.state.task is not None
    assert not run.state.task_in_flight


def test_a_start_with_a_wait_offers_nothing_until_then() -> None:
    run = Run(wait=5)
    assert run.opened == Step(["1 WorkflowExecutionStarted"])
    assert run.deadline == 5
    assert run.later(4.9) == Step()
    assert run.later(0.1) == Step(["2 WorkflowTaskScheduled"], ["workflow task 2 on queue"])


def test_a_signal_does_not_wake_a_run_that_waits_for_its_start() -> None:
    run = Run(wait=5)
    assert run.signal() == Step(["2 WorkflowExecutionSignaled"])
    assert run.later(5) == Step(["3 WorkflowTaskScheduled"], ["workflow task 3 on queue"])


def test_scheduled_to_in_flight() -> None:
    run = Run()
    assert run.take() == Step(["3 WorkflowTaskStarted"])
    assert run.state.task_in_flight
    assert run.deadline == 10


def test_a_second_worker_gets_nothing() -> None:
    run = in_flight()
    with pytest.raises(Stale):
        run.take()


def test_in_flight_to_completed() -> None:
    run = in_flight()
    assert run.answer() == Step(["4 WorkflowTaskCompleted"])
    assert run.state.task is None
    assert (run.state.last_task_started_id, run.state.last_task_completed_id) == (3, 4)
    assert run.deadline == float("inf")


def test_in_flight_to_failed_offers_a_transient_task() -> None:
    run = in_flight()
    assert run.fail_task() == Step(["4 WorkflowTaskFailed"], ["workflow task 5 on queue, 2"])
    assert run.state.next_event_id == 5


def test_a_transient_task_leaves_no_events_until_it_completes() -> None:
    run = failing(1)
    assert run.take() == Step()
    assert run.fail_task() == Step([], ["workflow task 5 on queue, 3"])
    assert run.take() == Step()
    assert run.answer() == Step(["5 WorkflowTaskScheduled", "6 WorkflowTaskStarted", "7 WorkflowTaskCompleted"])
    assert [each.attempt for each in attributes_of(run, "workflow_task_scheduled")] == [1, 3]
    assert run.state.task_attempt == 1


def test_a_new_event_makes_a_transient_task_a_first_attempt_again() -> None:
    run = failing(1)
    assert run.signal() == Step(["5 WorkflowExecutionSignaled"])
    assert run.take() == Step(["6 WorkflowTaskScheduled", "7 WorkflowTaskStarted"])
    assert run.answer() == Step(["8 WorkflowTaskCompleted"])


def test_a_buffered_event_is_flushed_when_a_transient_task_fails() -> None:
    run = failing(1)
    run.take()
    assert run.signal() == Step(buffered=1)
    assert run.fail_task() == Step(
        ["5 WorkflowExecutionSignaled", "6 WorkflowTaskScheduled"], ["workflow task 6 on queue"]
    )


def test_in_flight_to_timed_out() -> None:
    run = in_flight()
    assert run.later(10) == Step(["4 WorkflowTaskTimedOut"], ["workflow task 5 on queue, 2"])


def test_a_transient_task_times_out_without_an_event() -> None:
    run = failing(1)
    run.take()
    assert run.later(10) == Step([], ["workflow task 5 on queue, 3"])


def test_from_the_fourth_attempt_on_a_task_gets_more_time() -> None:
    limits: list[float] = []
    run = failing(0)
    for _ in range(7):
        limits.append(run.deadline)
        run.fail_task()
        run.take()
    assert limits == [10, 10, 10, 15, 20, 30, 50]


def test_a_sticky_task_goes_to_the_workers_own_queue() -> None:
    run = in_flight()
    run.answer(sticky=5)
    assert run.signal() == Step(
        ["5 WorkflowExecutionSignaled", "6 WorkflowTaskScheduled"], ["workflow task 6 on sticky"]
    )


def test_a_sticky_task_that_nobody_takes_goes_to_the_normal_queue() -> None:
    run = in_flight()
    run.answer(sticky=5)
    run.signal()
    assert run.deadline == 5
    assert run.later(5) == Step(["7 WorkflowTaskTimedOut", "8 WorkflowTaskScheduled"], ["workflow task 8 on queue"])
    assert run.state.sticky_queue == ""


def test_a_failed_task_is_not_sticky() -> None:
    """The first try of any worker is not transient yet."""
    run = in_flight()
    run.answer(sticky=5)
    run.signal()
    run.take()
    assert run.fail_task() == Step(["8 WorkflowTaskFailed", "9 WorkflowTaskScheduled"], ["workflow task 9 on queue"])
    run.take()
    assert run.fail_task() == Step(["11 WorkflowTaskFailed"], ["workflow task 12 on queue, 2"])


def test_events_are_buffered_while_a_task_is_in_flight() -> None:
    run = in_flight()
    assert run.signal("one") == Step(buffered=1)
    assert run.signal("two") == Step(buffered=2)
    assert run.answer() == Step(
        [
            "4 WorkflowTaskCompleted",
            "5 WorkflowExecutionSignaled",
            "6 WorkflowExecutionSignaled",
            "7 WorkflowTaskScheduled",
        ],
        ["workflow task 7 on queue"],
    )
    assert [each.signal_name for each in attributes_of(run, "workflow_execution_signaled")] == ["one", "two"]


def test_outcomes_of_activities_are_flushed_last() -> None:
    run = in_flight()
    run.answer(commands.activity("a"), commands.timer("t", after=1))
    run.take_activity()
    run.signal()
    run.take()
    run.complete_activity()
    run.signal()
    run.later(1)
    assert run.state.buffered
    step = run.answer()
    assert step.events == [
        "10 WorkflowTaskCompleted",
        "11 ActivityTaskStarted",
        "12 WorkflowExecutionSignaled",
        "13 TimerFired",
        "14 ActivityTaskCompleted",
        "15 WorkflowTaskScheduled",
    ]
    (completed,) = attributes_of(run, "activity_task_completed")
    assert completed.started_event_id == 11


def test_an_answer_with_a_new_task_for_the_same_worker() -> None:
    run = in_flight()
    step = run.answer(force_new=True, inline=True)
    assert step == Step(["4 WorkflowTaskCompleted", "5 WorkflowTaskScheduled", "6 WorkflowTaskStarted"])


def test_a_task_cannot_be_kept_alive_for_ever() -> None:
    run = Run(limits=Limits(task_heartbeat=30_000_000_000))
    run.take()
    for _ in range(3):
        run.now += 9_000_000_000
        run.answer(force_new=True, inline=True)
    run.now += 9_000_000_000
    with pytest.raises(RpcError, match="heartbeat timeout"):
        run.answer(force_new=True, inline=True)


def test_an_invalid_command_fails_the_task() -> None:
    run = in_flight()
    assert run.answer_badly(commands.timer("")) == Step(["4 WorkflowTaskFailed"], ["workflow task 5 on queue, 2"])
    (failed,) = attributes_of(run, "workflow_task_failed")
    assert failed.failure.message == "BadStartTimerAttributes: TimerId is not set on StartTimerCommand."


def test_a_run_is_not_closed_before_its_worker_has_seen_everything() -> None:
    run = in_flight()
    run.signal()
    assert run.answer_badly(commands.complete()) == Step(
        ["4 WorkflowTaskFailed", "5 WorkflowExecutionSignaled", "6 WorkflowTaskScheduled"],
        ["workflow task 6 on queue"],
    )
    assert run.state.close_attempted
    assert run.turn(commands.complete()) == Step(["8 WorkflowTaskCompleted", "9 WorkflowExecutionCompleted"])


def test_a_long_history_suggests_to_continue_as_new() -> None:
    run = Run(limits=Limits(history_suggest_count=5))
    run.take()
    run.answer()
    run.signal()
    run.take()
    suggested = [each.suggest_continue_as_new for each in attributes_of(run, "workflow_task_started")]
    assert suggested == [False, True]
