"""What a run does to others, and hears of them: children, signals, requests to cancel."""

from __future__ import annotations

from typing import Any

import pytest

from hotmesh_temporal.errors import TaskFailed
from tests.engine import commands
from tests.engine.support import Run, attributes_of


def test_a_child_is_initiated_started_and_ends() -> None:
    run = Run()
    asked = run.turn(commands.child())
    assert (asked.events, asked.orders) == (
        ["4 WorkflowTaskCompleted", "5 StartChildWorkflowExecutionInitiated"],
        ["start 5"],
    )
    assert run.child_starts(5).events == ["6 ChildWorkflowExecutionStarted", "7 WorkflowTaskScheduled"]
    run.turn()
    assert run.child_ends(5).events == ["10 ChildWorkflowExecutionCompleted", "11 WorkflowTaskScheduled"]
    assert attributes_of(run, "child_workflow_execution_completed")[0].started_event_id == 6
    assert run.state.children == {}


def test_a_child_that_starts_and_ends_unseen_keeps_its_order() -> None:
    run = Run()
    run.turn(commands.child(), force_new=True)
    run.take()
    assert (run.child_starts(5).buffered, run.child_ends(5).buffered) == (1, 2)
    assert run.answer().events == [
        "8 WorkflowTaskCompleted",
        "9 ChildWorkflowExecutionStarted",
        "10 ChildWorkflowExecutionCompleted",
        "11 WorkflowTaskScheduled",
    ]
    assert attributes_of(run, "child_workflow_execution_completed")[0].started_event_id == 9


def test_a_child_that_started_unseen_has_its_place_when_it_ends() -> None:
    run = Run()
    run.turn(commands.child(), force_new=True)
    run.take()
    run.child_starts(5)
    run.answer()
    assert run.state.children[5].started_event_id == 9
    run.child_ends(5)
    run.turn()
    assert attributes_of(run, "child_workflow_execution_completed")[0].started_event_id == 9


def test_a_run_that_ends_leaves_its_started_children_to_the_engine() -> None:
    run = Run()
    run.turn(commands.child("one"), commands.child("other"))
    run.child_starts(5)
    assert run.terminate().orders == ["policy 5"]


def test_a_run_that_ends_asks_nothing_of_others_any_more() -> None:
    run = Run()
    assert run.turn(commands.child(), commands.signal_other(), commands.complete()).orders == []


@pytest.mark.parametrize("well", [True, False])
def test_a_signal_and_a_request_to_cancel_are_answered(well: bool) -> None:
    run = Run()
    asked = run.turn(commands.signal_other(), commands.cancel_other())
    assert asked.orders == ["signal 5", "cancel 6"]
    run.signal_is_answered(5, well=well)
    run.cancel_is_answered(6, well=well)
    assert (run.state.signals, run.state.cancels) == ({}, {})
    assert run.state.task is not None


@pytest.mark.parametrize("bad", [commands.child(""), commands.signal_other(""), commands.cancel_other("")])
def test_an_id_is_needed(bad: Any) -> None:
    run = Run()
    run.take()
    with pytest.raises(TaskFailed, match="WorkflowId is not set"):
        run.answer(bad)
