"""Pause, unpause, reset and change of options of activities: what is offered, and what the next attempt is."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Priority, RetryPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from hotmesh_temporal.engine.activity_options import as_scheduled, options_of
from hotmesh_temporal.engine.protos import duration
from hotmesh_temporal.errors import RpcError
from tests.engine import commands
from tests.engine.support import Run, Stale, Step, failure, seconds

INFINITE = float("inf")
SLOW = commands.retry(initial=50, attempts=5)


def scheduled(**options: Any) -> Run:
    """A run with one pending activity (event 5) and no workflow task."""
    run = Run()
    given: dict[str, Any] = {"retry": SLOW, **options}
    run.turn(commands.activity(**given))
    return run


def at_work(**options: Any) -> Run:
    """The same, and a worker has it."""
    run = scheduled(**options)
    run.take_activity()
    return run


def waiting(**options: Any) -> Run:
    """The same, after its first attempt failed."""
    run = at_work(**options)
    run.fail_activity()
    return run


def offered(stamp: int, queue: str = "queue") -> Step:
    """The attempt is offered anew, with this stamp."""
    return Step(offers=[f"activity 5 on {queue}, {stamp}"])


def test_a_paused_one_is_not_taken() -> None:
    run = scheduled()
    assert run.pause() == Step()
    with pytest.raises(Stale):
        run.take_activity()
    assert run.unpause() == offered(2)
    assert run.take_activity() == Step()


def test_no_timeout_counts_while_it_is_paused() -> None:
    run = at_work(start_to_close=2, schedule_to_close=5, heartbeat=1)
    run.pause()
    assert run.deadline == INFINITE
    run.later(60)
    run.unpause()
    assert run.later(0).events[-2:] == ["7 ActivityTaskTimedOut", "8 WorkflowTaskScheduled"]


def test_pausing_twice_needs_the_same_request() -> None:
    run = scheduled()
    run.pause(request_id="one")
    assert run.pause(request_id="one") == Step()
    with pytest.raises(RpcError, match="activity is already paused"):
        run.pause(request_id="two")


def test_a_paused_attempt_that_fails_is_followed_by_none() -> None:
    run = at_work(retry=commands.retry(attempts=1))
    run.pause()
    assert run.fail_activity() == Step()
    pending = run.activity()
    assert (pending.attempt, pending.started, pending.retry_at, run.deadline) == (2, False, 0, INFINITE)
    assert run.unpause() == offered(2)


def test_a_paused_attempt_that_is_not_retried_ends_it() -> None:
    run = at_work()
    run.pause()
    assert run.fail_activity(error=failure(non_retryable=True)).events[1:2] == ["7 ActivityTaskFailed"]


def test_unpausing_ends_the_back_off() -> None:
    run = waiting()
    run.pause()
    assert run.deadline == INFINITE
    assert run.unpause(reset_attempts=True) == offered(3)
    assert run.activity().attempt == 1


def test_what_is_paused_is_told_by_type() -> None:
    run = scheduled()
    run.pause()
    assert run.state.paused_types == ["Activity"]
    run.unpause()
    assert run.state.paused_types == []


def test_reset_begins_again_at_once() -> None:
    run = waiting()
    assert run.reset() == offered(2)
    pending = run.activity()
    assert (pending.attempt, pending.last_failure, pending.reset) == (1, b"", False)


def test_reset_of_a_running_one_is_for_the_next_attempt() -> None:
    run = at_work()
    run.heartbeat()
    assert run.reset(reset_heartbeat=True) == Step()
    assert run.activity().reset
    run.fail_activity()
    pending = run.activity()
    assert (pending.attempt, pending.heartbeat_details, pending.reset) == (2, b"", False)


def test_reset_may_keep_the_pause() -> None:
    run = waiting()
    run.pause()
    assert run.reset(keep_paused=True) == Step()
    assert run.activity().paused
    assert run.reset() == offered(3)


def test_jitter_delays_the_offer() -> None:
    run = waiting()
    run.now += seconds(0.5)
    assert run.reset(jitter=4) == Step()
    assert run.deadline == 2
    assert run.later(2) == offered(2)


def test_another_queue_and_another_wait() -> None:
    run = waiting()
    policy = RetryPolicy(initial_interval=duration(seconds(2)))
    changed = run.change_options(
        "a", "task_queue.name", "retry_policy.initial_interval", task_queue=TaskQueue(name="far"), retry_policy=policy
    )
    assert changed == Step()
    assert run.deadline == 4
    assert run.later(4) == offered(2, "far")


def test_an_offered_one_is_offered_anew() -> None:
    run = scheduled()
    assert run.change_options("a", "task_queue.name", task_queue=TaskQueue(name="far")) == offered(1, "far")


def test_timeouts_count_at_once() -> None:
    run = at_work()
    run.change_options(start_to_close_timeout=duration(seconds(3)))
    assert run.deadline == 3


def test_the_options_of_the_beginning_are_kept() -> None:
    run = scheduled()
    before = options_of(run.activity())
    run.change_options(priority=Priority(priority_key=3), heartbeat_timeout=duration(seconds(3)))
    run.change_options(start_to_close_timeout=duration(seconds(3)))
    assert options_of(as_scheduled(run.activity())) == before
    run.restore_options()
    assert options_of(run.activity()) == before


def test_options_that_cannot_be_are_refused() -> None:
    run = scheduled()
    with pytest.raises(RpcError, match="invalid HeartbeatTimeout: negative duration"):
        run.change_options(heartbeat_timeout=duration(-seconds(1)))
    with pytest.raises(RpcError, match="Priority is not provided"):
        run.change_options("a", "priority.priority_key")
    assert not run.activity().original


def test_none_that_is_meant() -> None:
    run = scheduled()
    for operation in (run.pause, run.unpause, run.reset, run.restore_options):
        with pytest.raises(RpcError, match="Can't find pending activity"):
            operation("z")
