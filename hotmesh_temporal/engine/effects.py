"""Effects of a decision, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class TaskDispatch:
    """Offer a task to the workers of a queue. ``stamp`` is the attempt that the task stands for."""

    activity: bool
    queue: str
    sticky: bool
    event_id: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A task that was offered on a sticky queue is off, because nobody took it in ``waited`` (nanoseconds).

    As all tasks of a sticky queue wait equally long, whatever has waited there for that time is off too.
    """

    queue: str
    waited: int


class Work(str, Enum):
    """What one run has to do to another; the engine itself carries it out after the decision is committed."""

    START_CHILD = "start"
    SIGNAL = "signal"
    CANCEL = "cancel"
    CLOSE_CHILD = "policy"
    """The parent is over: do to the child what its parent close policy says."""
    TELL_PARENT = "closed"
    """The last run of a chain is over: its parent has to hear how."""
    TELL_SCHEDULE = "scheduled"
    """The last run of a chain is over: the schedule that has started it has to hear how."""
    DELETE = "delete"
    """Remove the run, once its children and its parent have got to know of its end."""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """Work that follows from an event of the run: the initiated event, or the closing one (`TELL_PARENT`,
    `TELL_SCHEDULE`, `DELETE`)."""

    work: Work
    event_id: int
