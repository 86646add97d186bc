"""User timers.

(none) --TimerStarted--> pending
pending --TimerFired, TimerCanceled--> (none)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent, TimerFiredEventAttributes

from ..model import ExecutionState, Timer
from ..protos import moment, nanos

if TYPE_CHECKING:
    from ..turn import Turn


def fire(turn: Turn, timer: Timer) -> None:
    """Its time has come."""
    turn.record(TimerFiredEventAttributes(timer_id=timer.timer_id, started_event_id=timer.started_event_id))


def take_back_fired(turn: Turn, timer_id: str) -> int | None:
    """Remove a TimerFired event that the worker has not seen yet; the id of the start, None if there is none."""
    for index, data in enumerate(turn.state.buffered):
        event = HistoryEvent.FromString(data)
        if event.event_type != EventType.EVENT_TYPE_TIMER_FIRED:
            continue
        attributes = event.timer_fired_event_attributes
        if attributes.timer_id == timer_id:
            del turn.state.buffered[index]
            return attributes.started_event_id
    return None


def _started(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.timer_started_event_attributes
    fires_at = moment(event.event_time) + nanos(attributes.start_to_fire_timeout)
    state.timers[attributes.timer_id] = Timer(attributes.timer_id, event.event_id, fires_at)


def _fired(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.timer_fired_event_attributes
    _over(state, attributes.timer_id, attributes.started_event_id)


def _canceled(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.timer_canceled_event_attributes
    _over(state, attributes.timer_id, attributes.started_event_id)


def _over(state: ExecutionState, timer_id: str, started_event_id: int) -> None:
    """A timer that fired unseen leaves its id free: the one that has it by now may be another."""
    pending = state.timers.get(timer_id)
    if pending is not None and pending.started_event_id == started_event_id:
        del state.timers[timer_id]


FOLDS = {
    EventType.EVENT_TYPE_TIMER_STARTED: _started,
    EventType.EVENT_TYPE_TIMER_FIRED: _fired,
    EventType.EVENT_TYPE_TIMER_CANCELED: _canceled,
}
