"""How a chain of runs has ended, as its schedule has to know it: from the closing event of its last run."""

from __future__ import annotations

from temporalio.api.history.v1 import HistoryEvent

from ..model import ExecutionState
from .draft import Closed


def reference_to(incarnation: str, schedule_id: str) -> str:
    """What a run keeps of its schedule (`ExecutionState.schedule`)."""
    return f"{incarnation}/{schedule_id}"


def schedule_of(state: ExecutionState) -> tuple[str, str]:
    """``(incarnation, id)`` of the schedule that waits for the run."""
    incarnation, _, schedule_id = state.schedule.partition("/")
    return incarnation, schedule_id


def closed_of(state: ExecutionState, event: HistoryEvent) -> Closed:
    """The end of the run's chain. ``event``: the closing one. Runs that timed out or were ended leave no failure."""
    return closed_result(state.first_run_id, state.status, event)


def closed_result(first_run_id: str, status: int, event: HistoryEvent) -> Closed:
    """The same of a chain by its first run, and the status of its last."""
    closed = Closed(first_run_id, status)
    completed = event.workflow_execution_completed_event_attributes
    if completed.HasField("result"):
        closed.result = completed.result.SerializeToString()
    failed = event.workflow_execution_failed_event_attributes
    if failed.HasField("failure"):
        closed.failure, closed.message = failed.failure.SerializeToString(), failed.failure.message
    return closed
