"""Effects of a decision, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskDispatch:
    """Offer a task to the workers of a queue. ``stamp`` is the attempt that the task stands for."""

    activity: bool
    queue: str
    sticky: bool
    event_id: int
    stamp: int
