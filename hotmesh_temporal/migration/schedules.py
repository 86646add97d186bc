"""Move schedules."""

from __future__ import annotations

import uuid

from temporalio.api.history.v1 import HistoryEvent

from ..engine.schedules.ends import reference_to

_BY = "TemporalScheduledById"


def incarnation_of(reason: str, namespace: str, schedule_id: str) -> str:
    """What a moved schedule is known by to its runs, whichever of them is moved first."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{reason}/{namespace}/{schedule_id}"))


def scheduled_by(reason: str, namespace: str, started: HistoryEvent) -> str:
    """Which schedule waits for the run that began with this event (`ExecutionState.schedule`)."""
    attributes = started.workflow_execution_started_event_attributes.search_attributes.indexed_fields
    if _BY not in attributes:
        return ""
    schedule_id = attributes[_BY].data.decode().strip('"')
    return reference_to(incarnation_of(reason, namespace, schedule_id), schedule_id)
