"""Updates: what they leave in the history, and what becomes of the speculative task that brings them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.protocol.v1 import Message

from hotmesh_temporal.engine.context import Limits
from hotmesh_temporal.errors import RpcError, TaskFailed
from tests.engine import commands
from tests.engine.support import Run, Step, accept, accept_given, attributes_of, reject, reject_given, respond


def idle(limits: Limits | None = None) -> Run:
    """A run whose worker has answered the first task; four events."""
    run = Run(limits=limits)
    run.turn()
    return run


def test_an_update_is_offered_without_events() -> None:
    assert idle().ask() == Step([], ["workflow task 5 on queue"])


def test_a_rejected_update_leaves_nothing() -> None:
    run = idle()
    run.ask()
    assert run.take() == Step()
    assert run.sent() == ["u"]
    assert run.answer(messages=[reject()]) == Step()
    assert (run.state.task, run.state.asked_updates, run.state.next_event_id) == (None, {}, 5)
    assert [each.number for each in run.state.rejected_updates] == [1]


def test_an_accepted_update_makes_the_task_a_normal_one() -> None:
    run = idle()
    run.ask()
    run.take()
    assert run.answer(messages=[accept(), respond()]).events == [
        "5 WorkflowTaskScheduled",
        "6 WorkflowTaskStarted",
        "7 WorkflowTaskCompleted",
        "8 WorkflowExecutionUpdateAccepted",
        "9 WorkflowExecutionUpdateCompleted",
    ]


def test_a_signal_comes_after_the_task_that_was_offered_before_it() -> None:
    run = idle()
    run.ask()
    assert run.signal() == Step(["5 WorkflowTaskScheduled", "6 WorkflowExecutionSignaled"])


def test_a_signal_during_a_speculative_task_is_kept_back() -> None:
    run = idle()
    run.ask()
    run.take()
    assert run.signal() == Step(["5 WorkflowTaskScheduled", "6 WorkflowTaskStarted"], [], 1)


def test_a_change_without_events_makes_the_task_a_normal_one() -> None:
    run = Run()
    run.turn(commands.activity("a", heartbeat=5))
    run.take_activity()
    run.ask()
    assert run.heartbeat() == Step(["6 WorkflowTaskScheduled"])


def test_an_update_goes_along_with_a_task_that_is_offered_already() -> None:
    run = Run()
    assert run.ask() == Step()
    run.take()
    assert run.sent() == ["u"]


def test_an_update_during_a_task_leads_to_the_next() -> None:
    run = Run()
    run.take()
    assert run.ask() == Step()
    assert run.sent() == []
    assert run.answer().offers == ["workflow task 5 on queue"]


def test_an_update_during_a_task_goes_with_its_answer_speculatively() -> None:
    run = Run()
    run.take()
    run.ask()
    assert run.answer(inline=True) == Step(["4 WorkflowTaskCompleted"])
    assert run.sent() == ["u"]


def test_nobody_takes_the_task() -> None:
    run = idle()
    run.ask()
    assert run.deadline == 5
    assert run.later(5) == Step(
        ["5 WorkflowTaskScheduled", "6 WorkflowTaskTimedOut", "7 WorkflowTaskScheduled"], ["workflow task 7 on queue"]
    )


def test_a_failed_task_brings_its_updates_again() -> None:
    run = idle()
    run.ask()
    run.take()
    assert run.fail_task().events == ["5 WorkflowTaskScheduled", "6 WorkflowTaskStarted", "7 WorkflowTaskFailed"]
    run.take()
    assert run.sent() == ["u"]


def test_updates_of_an_invalid_answer_are_given_up() -> None:
    run = idle()
    run.ask()
    run.take()
    run.answer_badly(messages=[respond()])
    assert run.state.asked_updates == {}
    assert [each.failure for each in run.state.rejected_updates] == [b""]


def test_an_update_that_came_meanwhile_is_not_given_up() -> None:
    run = idle()
    run.signal()
    run.take()
    run.ask()
    run.answer_badly(messages=[respond()])
    assert list(run.state.asked_updates) == ["u"]
    run.take()
    assert run.sent() == ["u"]


def test_a_heartbeat_does_not_bring_them_again() -> None:
    run = idle()
    run.ask()
    run.take()
    run.now += 1
    run.answer(force_new=True, inline=True)
    assert run.sent() == []
    run.answer(messages=[accept()])
    assert list(run.state.updates) == ["u"]


def test_an_update_does_not_wait_for_a_delayed_start_and_does_not_end_the_delay() -> None:
    run = Run(wait=100)
    assert run.ask().offers == ["workflow task 2 on queue"]
    run.take()
    run.answer(messages=[reject()])
    assert run.later(100).events == ["2 WorkflowTaskScheduled"]


def test_the_delay_ends_while_an_update_is_offered() -> None:
    run = Run(wait=3)
    run.ask()
    assert run.later(3) == Step(["2 WorkflowTaskScheduled"])


def test_a_known_update_is_not_asked_again() -> None:
    run = idle()
    run.ask()
    assert run.ask() == Step()
    run.take()
    run.answer(messages=[accept()])
    assert run.ask() == Step()
    assert run.state.asked_updates == {}


def test_limits() -> None:
    run = idle(Limits(updates=3, updates_in_flight=2))
    run.ask("a")
    run.ask("b")
    with pytest.raises(RpcError, match=r"in-flight updates has been reached \(2\)"):
        run.ask("c")
    run.take()
    run.answer(messages=[accept("a"), respond("a"), accept("b"), respond("b")])
    run.ask("c")
    run.take()
    run.answer(messages=[accept("c"), respond("c")])
    with pytest.raises(RpcError, match=r"distinct updates in this workflow has been reached \(3\)"):
        run.ask("d")


@pytest.mark.parametrize("say", [accept, reject])
def test_what_is_not_known_is_neither_accepted_nor_rejected(say: Callable[[str], Message]) -> None:
    run = idle()
    run.signal()
    run.take()
    with pytest.raises(TaskFailed, match="wasn't found on the server"):
        run.answer(messages=[say("u")])


def test_what_is_not_known_is_accepted_along_with_its_request() -> None:
    run = idle()
    run.signal()
    run.take()
    step = run.answer(messages=[accept_given(), respond()])
    assert step.events[1:] == ["9 WorkflowExecutionUpdateAccepted", "10 WorkflowExecutionUpdateCompleted"]
    (accepted,) = attributes_of(run, "workflow_execution_update_accepted")
    assert accepted.accepted_request.meta.update_id == "u"


def test_nobody_waits_for_the_rejection_of_what_is_not_known() -> None:
    run = idle()
    run.signal()
    run.take()
    assert run.answer(messages=[reject_given()]).events == ["8 WorkflowTaskCompleted"]
    assert run.state.rejected_updates == []
