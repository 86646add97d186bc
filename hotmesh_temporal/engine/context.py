"""All that a decision may know beside the run: the time, new ids, limits.

The runtime gives it, so that the engine has no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .limits import SECOND, Limits

__all__ = ["MILLISECOND", "SECOND", "Context", "Limits"]

MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """One decision's surroundings. ``now`` is nanoseconds since the epoch; ``new_id`` makes a fresh UUID text.

    ``namespace_id`` gives the id of a namespace.
    """

    now: int
    new_id: Callable[[], str]
    limits: Limits = field(default_factory=Limits)
    namespace_id: Callable[[str], str] = lambda name: f"id of {name}"
