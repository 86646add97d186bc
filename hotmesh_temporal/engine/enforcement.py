"""A run that has grown beyond what one may be is terminated by whatever would make it grow further."""

from __future__ import annotations

from ..errors import LimitExceeded
from .events import BUFFERED
from .machines import workflow
from .turn import Turn


def exceeded(turn: Turn, state_size: int) -> LimitExceeded | None:
    """Why the decision must not be committed, although it is valid; None if it may.

    As on the server, sizes are those before the decision, and events from outside that come last are not counted yet.
    ``state_size``: bytes of the stored state before the decision.
    """
    state, limits = turn.state, turn.ctx.limits
    if not state.running:
        return None
    if turn.size_before > limits.history_size:
        return LimitExceeded("Workflow history size exceeds limit.")
    if state.next_event_id - 1 - _uncounted(turn) > limits.history_count:
        return LimitExceeded("Workflow history count exceeds limit.")
    if state_size > limits.state_size:
        return LimitExceeded("Workflow mutable state size exceeds limit.")
    return None


def _uncounted(turn: Turn) -> int:
    count = 0
    for event in reversed(turn.events):
        if event.event_type not in BUFFERED:
            break
        count += 1
    return count


def end(turn: Turn, error: LimitExceeded) -> None:
    """Terminate the run, on a turn that has decided nothing else."""
    workflow.terminate(turn, error.message, None, workflow.SERVER)
