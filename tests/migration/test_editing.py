"""Histories without some of their events: who follows moves up, and what is left is a history again."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from hotmesh_temporal.engine.events import FIELD_OF
from hotmesh_temporal.migration.editing import rewound, without


def history(*steps: str | tuple[str, dict[str, int]]) -> list[HistoryEvent]:
    """Events by their short names, with the ids of others that they name."""
    events: list[HistoryEvent] = []
    for index, step in enumerate(steps):
        name, fields = step if isinstance(step, tuple) else (step, {})
        kind = EventType.Value(f"EVENT_TYPE_{name}")
        event = HistoryEvent(event_id=index + 1, event_type=kind)
        attributes = getattr(event, FIELD_OF[kind])
        attributes.SetInParent()
        for field, value in fields.items():
            setattr(attributes, field, value)
        events.append(event)
    return events


def names(events: list[HistoryEvent]) -> list[str]:
    """Ids and short names."""
    return [f"{each.event_id} {EventType.Name(each.event_type).removeprefix('EVENT_TYPE_')}" for each in events]


BEGIN = ("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")
CANCEL = "WORKFLOW_EXECUTION_CANCEL_REQUESTED"


def test_who_follows_moves_up() -> None:
    events = history(
        *BEGIN,
        CANCEL,
        ("WORKFLOW_TASK_SCHEDULED", {}),
        ("WORKFLOW_TASK_STARTED", {"scheduled_event_id": 6}),
        ("WORKFLOW_TASK_FAILED", {"scheduled_event_id": 6, "started_event_id": 7}),
    )
    left = without(events, {5})
    assert names(left)[4:] == ["5 WORKFLOW_TASK_SCHEDULED", "6 WORKFLOW_TASK_STARTED", "7 WORKFLOW_TASK_FAILED"]
    failed = left[-1].workflow_task_failed_event_attributes
    assert (failed.scheduled_event_id, failed.started_event_id) == (5, 6)
    assert events[-1].event_id == 8, "the history that was given stays as it is"


def test_what_came_from_outside_stays_when_a_run_is_wound_back() -> None:
    events = history(
        *BEGIN,
        "ACTIVITY_TASK_SCHEDULED",
        "TIMER_STARTED",
        CANCEL,
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "TIMER_CANCELED",
        ("ACTIVITY_TASK_CANCEL_REQUESTED", {"scheduled_event_id": 5}),
        "ACTIVITY_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_SIGNALED",
        ("ACTIVITY_TASK_STARTED", {"scheduled_event_id": 5}),
        ("ACTIVITY_TASK_COMPLETED", {"scheduled_event_id": 5, "started_event_id": 15}),
        ("ACTIVITY_TASK_STARTED", {"scheduled_event_id": 13}),
        ("ACTIVITY_TASK_COMPLETED", {"scheduled_event_id": 13, "started_event_id": 17}),
        "WORKFLOW_EXECUTION_CANCELED",
    )
    left, undone = rewound(events, 7, {7})
    assert names(left)[6:] == [
        "7 WORKFLOW_EXECUTION_SIGNALED",
        "8 ACTIVITY_TASK_STARTED",
        "9 ACTIVITY_TASK_COMPLETED",
    ]
    assert left[-1].activity_task_completed_event_attributes.started_event_id == 8
    assert names(undone) == ["13 ACTIVITY_TASK_SCHEDULED"]


def test_an_activity_that_was_cancelled_because_of_it_goes_on() -> None:
    events = history(
        *BEGIN,
        "ACTIVITY_TASK_SCHEDULED",
        CANCEL,
        "WORKFLOW_TASK_COMPLETED",
        ("ACTIVITY_TASK_CANCEL_REQUESTED", {"scheduled_event_id": 5}),
        ("ACTIVITY_TASK_STARTED", {"scheduled_event_id": 5}),
        (
            "ACTIVITY_TASK_CANCELED",
            {"scheduled_event_id": 5, "started_event_id": 9, "latest_cancel_requested_event_id": 8},
        ),
    )
    left, undone = rewound(events, 6, {6})
    assert names(left)[4:] == ["5 ACTIVITY_TASK_SCHEDULED"]
    assert not undone
