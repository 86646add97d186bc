"""Where something new starts."""

from __future__ import annotations

import pytest

from hotmesh_temporal.side_by_side import Choice, NewWorkflow, Side


def new(id: str, *, type: str = "Order", queue: str = "orders") -> NewWorkflow:
    return NewWorkflow("default", id, type, queue, None)


IDS = [f"order-{number}" for number in range(2000)]


def in_database(choice: Choice) -> set[str]:
    return {id for id in IDS if choice.side_of(new(id)) is Side.HOTMESH}


def test_a_share_is_that_share_and_only_grows() -> None:
    tenth, half = in_database(Choice(0.1)), in_database(Choice(0.5))
    assert 140 < len(tenth) < 260
    assert 900 < len(half) < 1100
    assert tenth < half
    assert in_database(Choice(0)) == set()
    assert in_database(Choice(1)) == set(IDS)


def test_the_rule_comes_before_the_type_before_the_queue_before_the_share() -> None:
    choice = Choice(
        1.0,
        by_workflow_type={"Refund": 0.0},
        by_task_queue={"money": 0.0, "orders": 1.0},
        rule=lambda new: "temporal" if new.workflow_id.startswith("old-") else None,
    )
    assert choice.side_of(new("a")) is Side.HOTMESH
    assert choice.side_of(new("a", queue="money")) is Side.TEMPORAL
    assert choice.side_of(new("a", type="Refund")) is Side.TEMPORAL
    assert choice.side_of(new("old-a")) is Side.TEMPORAL


def test_what_is_no_share_and_no_side_is_refused() -> None:
    with pytest.raises(ValueError, match="a number from 0"):
        Choice(1.5)
    with pytest.raises(ValueError, match="elsewhere"):
        Choice(rule=lambda new: "elsewhere").side_of(new("a"))
