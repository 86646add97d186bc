"""What may be started now, and what has to wait or is skipped, because runs of a schedule would overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import ScheduleOverlapPolicy

from .state import Start

SKIP = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP
BUFFER_ONE = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
CANCEL_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
TERMINATE_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
ALLOW_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL


@dataclass(slots=True)
class Choice:
    """``free`` starts regard no other run; ``single`` is the one that may start because nothing runs.

    ``waiting`` stay in the buffer. ``cancel`` and ``terminate``: the runs that stand in the way are to be ended.
    ``dropped`` were due and are given up for a reason that is no policy: nothing is counted for them.
    """

    free: list[Start] = field(default_factory=list[Start])
    single: Start | None = None
    waiting: list[Start] = field(default_factory=list[Start])
    skipped: int = 0
    replaced: int = 0
    dropped: int = 0
    cancel: bool = False
    terminate: bool = False


def choose(buffer: Sequence[Start], *, is_running: bool, policy_of: Callable[[Start], int]) -> Choice:
    """What becomes of each start in the buffer, in their order."""
    choice = Choice()
    for start in buffer:
        policy = policy_of(start)
        if policy == ALLOW_ALL:
            choice.free.append(start)
        elif not is_running and choice.single is None:
            choice.single = start
        else:
            _overlaps(choice, start, policy, is_running=is_running)
    if choice.cancel or choice.terminate:
        # They would be ended as soon as they are begun.
        choice.dropped += len(choice.free)
        choice.free = []
    return choice


def _overlaps(choice: Choice, start: Start, policy: int, *, is_running: bool) -> None:
    if policy == BUFFER_ALL or (policy == BUFFER_ONE and not choice.waiting):
        choice.waiting.append(start)
    elif policy in (SKIP, BUFFER_ONE):
        choice.skipped += 1
    elif policy not in (CANCEL_OTHER, TERMINATE_OTHER):
        choice.dropped += 1
    elif is_running:
        choice.waiting.append(start)
        choice.cancel = choice.cancel or policy == CANCEL_OTHER
        choice.terminate = choice.terminate or policy == TERMINATE_OTHER
    else:
        # What it would end is not begun yet: it takes its place.
        choice.single = start
        choice.replaced += 1
