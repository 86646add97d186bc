"""Priorities: kept, and passed on from a workflow to its activities."""

from __future__ import annotations

from temporalio.api.common.v1 import Priority


def packed_priority(priority: Priority) -> bytes:
    """A priority as the state keeps it."""
    return priority.SerializeToString(deterministic=True)


def unpacked(data: bytes | None) -> Priority | None:
    """The priority that the state keeps; None if none was given."""
    return Priority.FromString(data) if data is not None else None


def inherited(of_workflow: bytes | None, of_activity: bytes | None) -> Priority | None:
    """What the worker of an activity is told: what the activity does not say is the workflow's."""
    base, own = unpacked(of_workflow), unpacked(of_activity)
    if base is None or own is None:
        return own if base is None else base
    return Priority(
        priority_key=own.priority_key or base.priority_key,
        fairness_key=own.fairness_key or base.fairness_key,
        fairness_weight=own.fairness_weight or base.fairness_weight,
    )
