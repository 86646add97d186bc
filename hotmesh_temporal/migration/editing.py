"""Histories without some of their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from ..engine.events import CLOSES_PENDING, FIELD_OF, WAKES

_STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
_CANCELED = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED
_FROM_OUTSIDE = WAKES | {_STARTED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED}
_BEGUN_BY = ("scheduled_event_id", "initiated_event_id", "started_event_id")

EFFECTS = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
    }
)
"""What a workflow has done that others may have noticed."""


def without(events: Sequence[HistoryEvent], left_off: set[int]) -> list[HistoryEvent]:
    """Those that follow one that is left off move up, and name each other by their new ids."""
    if not left_off:
        return list(events)
    kept = [each for each in events if each.event_id not in left_off]
    moved = {event.event_id: index + 1 for index, event in enumerate(kept)}
    first = min(left_off)
    return [_renumbered(each, moved) if each.event_id > first else each for each in kept]


def rewound(events: Sequence[HistoryEvent], to: int, traces: set[int]) -> tuple[list[HistoryEvent], list[HistoryEvent]]:
    """The history as if event ``to``, and the other ``traces``, had never been; and what was done because of it.

    From there on only what came from outside is kept: signals, and the ends of what had been begun before.
    """
    after = [each for each in events if each.event_id >= to]
    kept = [each for each in after if each.event_id not in traces and _comes_from_outside(each, to)]
    ended = {_begun_by(each) for each in kept if each.event_type in CLOSES_PENDING}
    kept_ids = {each.event_id for each in kept if each.event_type != _STARTED or _begun_by(each) in ended}
    left_off = {each.event_id for each in after} - kept_ids
    return without(events, left_off), [each for each in after if each.event_type in EFFECTS]


def _comes_from_outside(event: HistoryEvent, to: int) -> bool:
    if event.event_type not in _FROM_OUTSIDE or _begun_by(event) >= to:
        return False
    if event.event_type == _CANCELED:
        return event.activity_task_canceled_event_attributes.latest_cancel_requested_event_id < to
    return True


def _begun_by(event: HistoryEvent) -> int:
    """The event that began what this one is about; 0 if there is none."""
    attributes: Any = getattr(event, FIELD_OF[event.event_type])
    for name in _BEGUN_BY:
        if value := getattr(attributes, name, 0):
            return value
    return 0


def _renumbered(event: HistoryEvent, moved: dict[int, int]) -> HistoryEvent:
    copy = HistoryEvent()
    copy.CopyFrom(event)
    copy.event_id = moved[event.event_id]
    attributes = getattr(copy, FIELD_OF[event.event_type])
    for name in attributes.DESCRIPTOR.fields_by_name:
        if name.endswith("event_id") and getattr(attributes, name) in moved:
            setattr(attributes, name, moved[getattr(attributes, name)])
    return copy
