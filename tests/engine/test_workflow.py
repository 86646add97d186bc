"""The execution itself: signals, cancellation, the ways to close, and the run that follows."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import ContinueAsNewInitiator, RetryState

from hotmesh_temporal.engine import model
from tests.engine import commands
from tests.engine.support import BEGIN, Run, Step, attributes_of, failure, seconds, started


def test_a_signal_wakes_the_workflow() -> None:
    run = Run()
    run.turn()
    assert run.signal() == Step(
        ["5 WorkflowExecutionSignaled", "6 WorkflowTaskScheduled"], ["workflow task 6 on queue"]
    )
    assert run.signal() == Step(["7 WorkflowExecutionSignaled"])
    assert run.state.signal_count == 2


def test_a_request_to_cancel_wakes_the_workflow() -> None:
    run = Run()
    run.turn()
    assert run.request_cancel() == Step(
        ["5 WorkflowExecutionCancelRequested", "6 WorkflowTaskScheduled"], ["workflow task 6 on queue"]
    )
    assert run.state.cancel_requested


def test_a_request_to_cancel_does_not_wait_for_the_start() -> None:
    run = Run(wait=60)
    assert run.request_cancel().offers == ["workflow task 3 on queue"]


@pytest.mark.parametrize(
    ("command", "event", "status"),
    [
        (commands.complete(), "WorkflowExecutionCompleted", model.COMPLETED),
        (commands.fail(), "WorkflowExecutionFailed", model.FAILED),
        (commands.cancel(), "WorkflowExecutionCanceled", model.CANCELED),
        (commands.continue_as_new(), "WorkflowExecutionContinuedAsNew", model.CONTINUED_AS_NEW),
    ],
)
def test_closed_by_its_worker(command: commands.Command, event: str, status: int) -> None:
    run = Run()
    run.take()
    run.now += seconds(2)
    assert run.answer(command) == Step(["4 WorkflowTaskCompleted", f"5 {event}"])
    assert run.state.status == status
    assert run.state.closed_at == BEGIN + seconds(2)
    assert run.deadline == float("inf")


def test_nothing_is_offered_by_an_answer_that_closes() -> None:
    run = Run()
    step = run.turn(commands.activity(), commands.complete())
    assert step == Step(["4 WorkflowTaskCompleted", "5 ActivityTaskScheduled", "6 WorkflowExecutionCompleted"])


def test_only_the_first_of_several_closing_commands_counts() -> None:
    run = Run()
    step = run.turn(commands.complete(), commands.fail())
    assert step.events == ["4 WorkflowTaskCompleted", "5 WorkflowExecutionCompleted"]


def test_deleted() -> None:
    """An open run is terminated; whoever asks again changes nothing."""
    run = Run()
    step = run.delete()
    assert step == Step(["3 WorkflowExecutionTerminated"], orders=["delete 3"])
    assert run.delete() == Step()


def test_deleted_when_closed() -> None:
    run = Run()
    run.terminate()
    assert run.delete() == Step(orders=["delete 3"])


def test_terminated() -> None:
    run = Run()
    run.turn()
    assert run.terminate() == Step(["5 WorkflowExecutionTerminated"])
    assert run.state.status == model.TERMINATED


def test_terminated_while_a_worker_is_busy_keeps_what_was_buffered() -> None:
    run = Run()
    run.take()
    run.signal()
    assert run.terminate() == Step(
        ["4 WorkflowTaskFailed", "5 WorkflowExecutionSignaled", "6 WorkflowExecutionTerminated"]
    )


def test_the_run_times_out() -> None:
    run = Run(started(run_timeout=5))
    run.turn()
    assert run.deadline == 5
    assert run.later(5) == Step(["5 WorkflowExecutionTimedOut"])
    assert run.state.status == model.TIMED_OUT


def test_a_start_delay_does_not_count_into_the_time_of_the_run() -> None:
    run = Run(started(run_timeout=5), wait=3)
    run.later(3)
    assert run.deadline == 5


def test_a_run_that_times_out_is_retried_by_its_policy() -> None:
    run = Run(started(run_timeout=5, retry_policy=commands.retry(2)))
    run.turn()
    run.later(5)
    assert run.next_run is not None
    (timed_out,) = attributes_of(run, "workflow_execution_timed_out")
    assert timed_out.new_execution_run_id == run.next_run.state.run_id
    assert timed_out.retry_state == RetryState.RETRY_STATE_IN_PROGRESS


def test_the_whole_chain_times_out_and_is_not_retried() -> None:
    run = Run(started(run_timeout=3, execution_timeout=4, retry_policy=commands.retry(2)))
    run.turn()
    run.later(3)
    assert run.next_run is None
    (timed_out,) = attributes_of(run, "workflow_execution_timed_out")
    assert timed_out.retry_state == RetryState.RETRY_STATE_TIMEOUT


def test_a_failed_run_is_retried_after_its_backoff() -> None:
    run = Run(started(retry_policy=commands.retry(3)))
    run.turn(commands.fail(failure("first")))
    following = run.next_run
    assert following is not None
    assert following.opened == Step(["1 WorkflowExecutionStarted"])
    assert following.deadline == 3
    (begun,) = attributes_of(following, "workflow_execution_started")
    assert begun.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    assert (begun.attempt, begun.continued_failure.message) == (2, "first")
    assert begun.continued_execution_run_id == run.state.run_id
    assert begun.first_execution_run_id == run.state.run_id
    assert following.later(3).offers == ["workflow task 2 on queue"]


def test_a_run_is_retried_until_its_attempts_are_used_up() -> None:
    run = Run(started(retry_policy=commands.retry(1, attempts=2)))
    run.turn(commands.fail())
    following = run.next_run
    assert following is not None
    following.later(1)
    following.turn(commands.fail())
    assert following.next_run is None
    (failed,) = attributes_of(following, "workflow_execution_failed")
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def test_a_cron_workflow_runs_again_with_its_result() -> None:
    run = Run(started(cron_schedule="@every 10s"))
    run.turn(commands.complete())
    following = run.next_run
    assert following is not None
    (begun,) = attributes_of(following, "workflow_execution_started")
    assert begun.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    assert begun.last_completion_result.payloads[0].data == b'"result"'
    assert following.deadline == 10


def test_a_canceled_cron_workflow_ends() -> None:
    run = Run(started(cron_schedule="@every 10s"))
    run.turn(commands.cancel())
    assert run.next_run is None


def test_continued_as_new() -> None:
    run = Run()
    run.take()
    run.now += seconds(5)
    run.answer(commands.continue_as_new("Other"))
    following = run.next_run
    assert following is not None
    assert following.opened == Step(
        ["1 WorkflowExecutionStarted", "2 WorkflowTaskScheduled"], ["workflow task 2 on queue"]
    )
    (begun,) = attributes_of(following, "workflow_execution_started")
    assert (begun.workflow_type.name, begun.input.payloads[0].data) == ("Other", b'"again"')
    (closed,) = attributes_of(run, "workflow_execution_continued_as_new")
    assert closed.new_execution_run_id == following.state.run_id


def test_runs_of_a_chain_do_not_follow_each_other_too_fast() -> None:
    run = Run()
    run.turn(commands.continue_as_new())
    assert run.next_run is not None
    assert run.next_run.deadline == 1


def test_the_memo_is_merged() -> None:
    run = Run()
    run.turn(commands.memo({"a": b"1", "b": b"2"}))
    run.signal()
    run.turn(commands.memo({"a": b"3", "b": b""}))
    memo = Memo.FromString(run.state.memo)
    assert {key: value.data for key, value in memo.fields.items()} == {"a": b"3"}


def test_search_attributes_are_merged() -> None:
    run = Run()
    run.turn(commands.search_attributes({"BinaryChecksums": b'["a"]', "BatcherUser": b'"b"'}))
    run.signal()
    run.turn(commands.search_attributes({"BatcherUser": b'"c"'}))
    found = SearchAttributes.FromString(run.state.search_attributes)
    assert {key: value.data for key, value in found.indexed_fields.items()} == {
        "BinaryChecksums": b'["a"]',
        "BatcherUser": b'"c"',
    }


def test_a_marker_is_only_recorded() -> None:
    run = Run()
    assert run.turn(commands.marker()) == Step(["4 WorkflowTaskCompleted", "5 MarkerRecorded"])
