"""Fold events into a state: the one place where history becomes state, live and in a rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from temporalio.api.history.v1 import HistoryEvent

from .machines import activity, child_workflow, external_cancel, external_signal, timer, update, workflow, workflow_task
from .model import ExecutionState

Fold = Callable[[ExecutionState, HistoryEvent], None]

_FOLDS: dict[int, Fold] = {
    **workflow.FOLDS,
    **workflow_task.FOLDS,
    **activity.FOLDS,
    **timer.FOLDS,
    **child_workflow.FOLDS,
    **external_signal.FOLDS,
    **external_cancel.FOLDS,
    **update.FOLDS,
}


def fold(state: ExecutionState, event: HistoryEvent) -> None:
    """Let the entity that the event is about take its step."""
    _FOLDS[event.event_type](state, event)


def append(state: ExecutionState, event: HistoryEvent) -> None:
    """Count an event that got its place in the history."""
    state.next_event_id = event.event_id + 1
    state.history_size += event.ByteSize()


def rebuild(state: ExecutionState, events: Iterable[HistoryEvent]) -> ExecutionState:
    """Fold a whole history into a fresh state."""
    for event in events:
        append(state, event)
        fold(state, event)
    return state
