"""Priorities: kept, and passed on. What a child or an activity does not say itself is as its workflow has it."""

from __future__ import annotations

from temporalio.api.common.v1 import Priority


def packed_priority(priority: Priority) -> bytes:
    """A priority as the state keeps it."""
    return priority.SerializeToString(deterministic=True)


def unpacked(data: bytes | None) -> Priority | None:
    """The priority that the state keeps; None if none was given."""
    return Priority.FromString(data) if data is not None else None


def inherited(own: Priority | None, above: Priority | None) -> Priority | None:
    """The priority of what a workflow starts, each part that it leaves out from that of the workflow, ``above``.

    None if neither has one.
    """
    if own is None or above is None:
        return above if own is None else own
    return Priority(
        priority_key=own.priority_key or above.priority_key,
        fairness_key=own.fairness_key or above.fairness_key,
        fairness_weight=own.fairness_weight or above.fairness_weight,
    )
