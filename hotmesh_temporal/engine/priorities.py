"""Priorities of workflows and activities: passed on, and checked."""

from __future__ import annotations

from temporalio.api.common.v1 import Priority

_FAIRNESS_KEY_LENGTH = 64


def problem(given: Priority) -> str | None:
    """What is wrong with a priority, in the server's words; None if nothing is."""
    if given.priority_key < 0:
        return "priority key can't be negative"
    if len(given.fairness_key.encode()) > _FAIRNESS_KEY_LENGTH:
        return "fairness key length exceeds limit"
    if given.fairness_weight < 0:
        return "must be greater than zero"
    return None
