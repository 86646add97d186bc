"""Signals between workflows that were under way when their sender was taken away: have they arrived?"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from ..engine.model import ExecutionState, External
from ..runtime.keys import RunKey
from .source import Source

_INITIATED = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
_TOLD = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


async def arrived_signals(source: Source, events: Sequence[HistoryEvent], sender: ExecutionState) -> frozenset[int]:
    """Which of the sender's pending signals (by event id) have arrived, though it could not be told.

    The receiver has more signals of this name from this run than the run was told of: then the oldest pending ones of
    that name are there already.
    """
    found: set[int] = set()
    for sent in sender.signals.values():
        name = _name(events[sent.initiated_event_id - 1])
        rivals = [each for each in sender.signals.values() if _is_alike(events, each, sent, name)]
        unknown = await _received(source, sender, sent, name) - _told(events, sent, name)
        if rivals.index(sent) < unknown:
            found.add(sent.initiated_event_id)
    return frozenset(found)


def _name(event: HistoryEvent) -> str:
    return event.signal_external_workflow_execution_initiated_event_attributes.signal_name


def _is_alike(events: Sequence[HistoryEvent], one: External, other: External, name: str) -> bool:
    return one.workflow_id == other.workflow_id and _name(events[one.initiated_event_id - 1]) == name


def _told(events: Sequence[HistoryEvent], sent: External, name: str) -> int:
    """Of how many signals of this kind the sender knows that they have arrived."""
    count = 0
    for event in events:
        told = event.external_workflow_execution_signaled_event_attributes
        if event.event_type == _TOLD and told.workflow_execution.workflow_id == sent.workflow_id:
            count += _name(events[told.initiated_event_id - 1]) == name
    return count


async def _received(source: Source, sender: ExecutionState, sent: External, name: str) -> int:
    """How many signals of this kind from this sender are in the receiver's history."""
    key = RunKey(sender.namespace, sent.workflow_id, sent.run_id)
    described = await source.describe(key)
    if described is None:
        return 0
    key = key._replace(run_id=described.workflow_execution_info.execution.run_id)
    count = 0
    for event in await source.history(key):
        signal = event.workflow_execution_signaled_event_attributes
        by = signal.external_workflow_execution
        is_alike = event.event_type == _SIGNALED and signal.signal_name == name
        count += is_alike and (by.workflow_id, by.run_id) == (sender.workflow_id, sender.run_id)
    return count
