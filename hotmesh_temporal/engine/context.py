"""All that a decision may know beside the run: the time, new ids, limits.

The runtime gives it, so that the engine has no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The Temporal server's defaults (its dynamic configuration), durations in nanoseconds, sizes in bytes."""

    task_timeout: int = 10 * SECOND
    task_timeout_maximum: int = 120 * SECOND
    task_heartbeat: int = 1800 * SECOND
    task_retry_minimum_attempts: int = 3
    task_retry_initial: int = 5 * SECOND
    task_retry_maximum: int = 600 * SECOND
    history_suggest_count: int = 4 * 1024
    history_suggest_size: int = 4 * 1024 * 1024
    history_count: int = 50 * 1024
    history_size: int = 50 * 1024 * 1024
    blob_size: int = 2 * 1024 * 1024
    memo_size: int = 2 * 1024 * 1024
    answer_size: int = 40 * 1024 * 1024
    id_length: int = 1000
    pending_activities: int = 2000
    pending_children: int = 2000
    pending_signals: int = 2000
    pending_cancels: int = 2000
    signals: int = 10_000
    updates: int = 2000
    updates_in_flight: int = 10
    speculative_schedule_to_start: int = 5 * SECOND
    eager_activities: bool = True
    run_minimum_interval: int = SECOND
    reset_points: int = 20


@dataclass(frozen=True, slots=True)
class Context:
    """One decision's surroundings. ``now`` is nanoseconds since the epoch; ``new_id`` makes a fresh UUID text.

    ``namespace_id`` gives the id of a namespace.
    """

    now: int
    new_id: Callable[[], str]
    limits: Limits = field(default_factory=Limits)
    namespace_id: Callable[[str], str] = lambda name: f"id of {name}"
