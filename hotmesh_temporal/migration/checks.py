"""What of a run there is nothing for here. Such a run stays where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from temporalio.api.enums.v1 import EventType, VersioningBehavior
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from ..engine.model import ExecutionState
from ..runtime.imports import rebuilt
from ..runtime.keys import RunKey

_PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
_STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
_INITIATED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED


def obstacle(key: RunKey, events: Sequence[HistoryEvent], described: DescribeWorkflowExecutionResponse) -> str:
    """Why a run cannot be moved; "" if it can."""
    if not events or events[0].event_type != _STARTED:
        return "its history does not begin with WorkflowExecutionStarted"
    return next(_obstacles(key, events, described), "")


def _obstacles(
    key: RunKey, events: Sequence[HistoryEvent], described: DescribeWorkflowExecutionResponse
) -> Iterator[str]:
    yield from _of_versioning(described)
    if described.callbacks or events[0].workflow_execution_started_event_attributes.completion_callbacks:
        yield "somebody is to be called back when it ends (a Nexus operation, say)"
    if described.pending_nexus_operations:
        yield "it waits for a Nexus operation"
    yield from _of_namespaces(key, events)
    known: ExecutionState | None = None
    try:
        known = rebuilt(key, events).state
    except (KeyError, AssertionError, AttributeError) as error:
        yield _unreadable(events, error)
    if known is not None:
        yield from _of_activities(known, events)


def _of_versioning(described: DescribeWorkflowExecutionResponse) -> Iterator[str]:
    versioning = described.workflow_execution_info.versioning_info
    if versioning.behavior == _PINNED or versioning.HasField("versioning_override"):
        yield "it is pinned to a version of a worker deployment"


def _of_namespaces(key: RunKey, events: Sequence[HistoryEvent]) -> Iterator[str]:
    """Families across namespaces."""
    parent = events[0].workflow_execution_started_event_attributes.parent_workflow_namespace
    if parent not in ("", key.namespace):
        yield f"its parent is in another namespace ({parent})"
    for event in events:
        child = event.start_child_workflow_execution_initiated_event_attributes.namespace
        if event.event_type == _INITIATED and child not in ("", key.namespace):
            yield f"it has a child in another namespace ({child})"


def _of_activities(state: ExecutionState, events: Sequence[HistoryEvent]) -> Iterator[str]:
    for each in state.activities.values():
        if each.started:
            yield f"activity {each.activity_id!r} has no retry policy and is running: wait until it has ended"


def _unreadable(events: Sequence[HistoryEvent], error: Exception) -> str:
    """An event of a kind that is not known here is what it is nearly always."""
    if isinstance(error, KeyError) and error.args and error.args[0] in EventType.values():
        name = EventType.Name(error.args[0]).removeprefix("EVENT_TYPE_").title().replace("_", "")
        return f"its history has an event that is not supported here: {name}"
    return f"its history cannot be read: {error!r}"
