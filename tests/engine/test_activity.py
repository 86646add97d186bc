"""Activities: every transition, with the events that it leaves and the tasks that it offers."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import RetryState, TimeoutType

from hotmesh_temporal.errors import RpcError, TaskFailed
from tests.engine import commands
from tests.engine.support import Run, Stale, Step, attributes_of, failure

ONCE = commands.retry(attempts=1)


def scheduled(**options: object) -> Run:
    """A run with one pending activity (event 5) and no workflow task."""
    run = Run()
    run.turn(commands.activity(**options))  # type: ignore[arg-type]  # the callers spell them out
    return run


def at_work(**options: object) -> Run:
    """The same, and a worker has it."""
    run = scheduled(**options)
    run.take_activity()
    return run


def wakes(*events: str) -> Step:
    """These events, and then a workflow task."""
    following = len(events) + 6
    return Step([*events, f"{following} WorkflowTaskScheduled"], [f"workflow task {following} on queue"])


def test_a_command_schedules_and_offers_it() -> None:
    run = Run()
    step = run.turn(commands.activity())
    assert step == Step(["4 WorkflowTaskCompleted", "5 ActivityTaskScheduled"], ["activity 5 on queue"])


def test_an_eager_one_is_started_with_the_answer() -> None:
    run = Run()
    step = run.turn(commands.activity(eager=True))
    assert step == Step(["4 WorkflowTaskCompleted", "5 ActivityTaskScheduled"])
    assert run.activity().started


def test_a_start_leaves_no_event() -> None:
    run = scheduled()
    assert run.take_activity() == Step()
    assert run.activity().started


def test_two_workers_cannot_take_it() -> None:
    run = at_work()
    with pytest.raises(Stale):
        run.take_activity()


def test_completed() -> None:
    run = at_work()
    assert run.complete_activity() == wakes("6 ActivityTaskStarted", "7 ActivityTaskCompleted")
    assert not run.state.activities


def test_failed_for_good() -> None:
    run = at_work(retry=ONCE)
    assert run.fail_activity() == wakes("6 ActivityTaskStarted", "7 ActivityTaskFailed")
    (failed,) = attributes_of(run, "activity_task_failed")
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def test_a_failure_that_must_not_be_retried() -> None:
    run = at_work()
    assert run.fail_activity(error=failure(non_retryable=True)) == wakes(
        "6 ActivityTaskStarted", "7 ActivityTaskFailed"
    )


def test_failed_waiting_offered_again_completed() -> None:
    run = at_work(retry=commands.retry(3))
    assert run.fail_activity() == Step()
    assert run.deadline == 3
    assert run.later(2.9) == Step()
    assert run.later(0.1) == Step([], ["activity 5 on queue, 1"])
    run.take_activity()
    assert run.complete_activity() == wakes("6 ActivityTaskStarted", "7 ActivityTaskCompleted")
    (begun,) = attributes_of(run, "activity_task_started")
    assert (begun.attempt, begun.last_failure.message) == (2, "broken")


def test_an_attempt_that_failed_is_over() -> None:
    run = at_work(retry=commands.retry(3))
    run.fail_activity()
    with pytest.raises(Stale):
        run.take_activity()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"start_to_close": 4}, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
        ({"heartbeat": 4}, TimeoutType.TIMEOUT_TYPE_HEARTBEAT),
        ({"start_to_close": 4, "schedule_to_close": 4.5}, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
    ],
)
def test_a_worker_that_takes_too_long(options: dict[str, float], kind: int) -> None:
    run = at_work(retry=ONCE, **options)
    assert run.deadline == 4
    assert run.later(4) == wakes("6 ActivityTaskStarted", "7 ActivityTaskTimedOut")
    (timed_out,) = attributes_of(run, "activity_task_timed_out")
    assert timed_out.failure.timeout_failure_info.timeout_type == kind


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"schedule_to_start": 4}, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START),
        # Without another limit a worker may be waited for as long as the whole may take.
        ({"schedule_to_close": 4}, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START),
    ],
)
def test_nobody_takes_it(options: dict[str, float], kind: int) -> None:
    run = scheduled(**options)
    assert run.later(4) == wakes("6 ActivityTaskTimedOut")
    (timed_out,) = attributes_of(run, "activity_task_timed_out")
    assert timed_out.failure.timeout_failure_info.timeout_type == kind
    assert timed_out.started_event_id == 0


def test_the_time_of_the_whole_ends_while_a_worker_has_it() -> None:
    run = scheduled(schedule_to_close=4)
    run.later(1)
    run.take_activity()
    assert run.later(3) == wakes("6 ActivityTaskStarted", "7 ActivityTaskTimedOut")
    (timed_out,) = attributes_of(run, "activity_task_timed_out")
    assert timed_out.failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
    assert timed_out.retry_state == RetryState.RETRY_STATE_TIMEOUT


def test_a_timeout_is_retried() -> None:
    run = at_work(start_to_close=4, retry=commands.retry(2))
    assert run.later(4) == Step()
    assert run.later(2) == Step([], ["activity 5 on queue, 1"])


def test_a_heartbeat_keeps_it_alive_and_its_details() -> None:
    run = at_work(heartbeat=4, retry=ONCE)
    run.now += 3_000_000_000
    run.heartbeat(details="half")
    assert run.deadline == 4
    run.later(4)
    (timed_out,) = attributes_of(run, "activity_task_timed_out")
    assert timed_out.failure.timeout_failure_info.last_heartbeat_details.payloads[0].data == b'"half"'


def test_no_retry_beyond_the_time_of_the_whole() -> None:
    run = at_work(schedule_to_close=5, retry=commands.retry(10))
    assert run.fail_activity() == wakes("6 ActivityTaskStarted", "7 ActivityTaskFailed")
    (failed,) = attributes_of(run, "activity_task_failed")
    assert failed.retry_state == RetryState.RETRY_STATE_TIMEOUT


def test_cancel_before_a_worker_has_it() -> None:
    run = scheduled()
    run.signal()
    assert run.turn(commands.cancel_activity(5)) == Step(
        [
            "9 WorkflowTaskCompleted",
            "10 ActivityTaskCancelRequested",
            "11 ActivityTaskCanceled",
            "12 WorkflowTaskScheduled",
        ],
        ["workflow task 12 on queue"],
    )


def test_cancel_while_it_waits_for_a_retry() -> None:
    run = at_work(retry=commands.retry(60))
    run.fail_activity()
    run.signal()
    step = run.turn(commands.cancel_activity(5))
    assert step.events[1:3] == ["10 ActivityTaskCancelRequested", "11 ActivityTaskCanceled"]
    assert not run.state.activities


def test_cancel_at_the_worker() -> None:
    run = at_work()
    run.signal()
    assert run.turn(commands.cancel_activity(5)) == Step(["9 WorkflowTaskCompleted", "10 ActivityTaskCancelRequested"])
    step = run.cancel_activity()
    assert step.events == ["11 ActivityTaskStarted", "12 ActivityTaskCanceled", "13 WorkflowTaskScheduled"]
    (canceled,) = attributes_of(run, "activity_task_canceled")
    assert canceled.latest_cancel_requested_event_id == 10


def test_a_worker_may_not_cancel_what_nobody_asked_to_cancel() -> None:
    run = at_work()
    with pytest.raises(RpcError, match="without activity being request canceled first"):
        run.cancel_activity()


def test_no_retry_after_a_request_to_cancel() -> None:
    run = at_work(retry=commands.retry(1))
    run.signal()
    run.turn(commands.cancel_activity(5))
    step = run.fail_activity()
    assert step.events == ["11 ActivityTaskStarted", "12 ActivityTaskFailed", "13 WorkflowTaskScheduled"]
    (failed,) = attributes_of(run, "activity_task_failed")
    assert failed.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED


def test_a_second_request_to_cancel_is_refused() -> None:
    run = at_work()
    run.signal()
    run.turn(commands.cancel_activity(5))
    run.signal()
    run.take()
    with pytest.raises(TaskFailed, match="BadRequestCancelActivityAttributes"):
        run.answer(commands.cancel_activity(5))


def test_an_outcome_while_a_workflow_task_is_in_flight_is_buffered() -> None:
    run = at_work()
    run.signal()
    run.take()
    assert run.complete_activity() == Step(buffered=2)
    assert not run.state.activities


def test_two_activities_may_not_have_one_id() -> None:
    run = Run()
    run.take()
    with pytest.raises(TaskFailed, match="ScheduleActivityDuplicateId"):
        run.answer(commands.activity("a"), commands.activity("a"))


def test_an_activity_needs_a_timeout() -> None:
    run = Run()
    run.take()
    bare = commands.activity()
    bare.schedule_activity_task_command_attributes.ClearField("start_to_close_timeout")
    bare.schedule_activity_task_command_attributes.ClearField("schedule_to_close_timeout")
    with pytest.raises(TaskFailed, match="valid StartToCloseTimeout or ScheduleToCloseTimeout must be set"):
        run.answer(bare)
