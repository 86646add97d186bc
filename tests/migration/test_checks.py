"""What stays where it is, and the reason that is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.common.v1 import Callback, WorkflowExecution
from temporalio.api.enums.v1 import EventType, VersioningBehavior
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import CallbackInfo, PendingNexusOperationInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from hotmesh_temporal.engine.events import FIELD_OF
from hotmesh_temporal.migration.checks import obstacle
from hotmesh_temporal.runtime.keys import RunKey

KEY = RunKey("here", "order-1", "5d8b4b1c-4b43-4a9e-8c39-0f5c9f3a7a55")
Described = DescribeWorkflowExecutionResponse


def event(number: int, kind: EventType.ValueType) -> HistoryEvent:
    """One without content."""
    made = HistoryEvent(event_id=number, event_type=kind)
    getattr(made, FIELD_OF[kind]).SetInParent()
    return made


def begun() -> list[HistoryEvent]:
    """The shortest history."""
    return [event(1, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)]


def pin(described: Described) -> None:
    described.workflow_execution_info.versioning_info.behavior = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED


def override(described: Described) -> None:
    described.workflow_execution_info.versioning_info.versioning_override.auto_upgrade = True


def call_back(described: Described) -> None:
    described.callbacks.append(CallbackInfo(callback=Callback()))


def wait_for_nexus(described: Described) -> None:
    described.pending_nexus_operations.append(PendingNexusOperationInfo())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pin, "pinned to a version"),
        (override, "pinned to a version"),
        (call_back, "to be called back"),
        (wait_for_nexus, "waits for a Nexus operation"),
    ],
)
def test_what_the_server_says_of_it(change: Callable[[Described], None], reason: str) -> None:
    described = Described()
    assert not obstacle(KEY, begun(), described)
    change(described)
    assert reason in obstacle(KEY, begun(), described)


def test_events_that_are_not_known_here() -> None:
    events = [*begun(), event(2, EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED)]
    expected = "its history has an event that is not supported here: NexusOperationScheduled"
    assert obstacle(KEY, events, Described()) == expected


def test_a_history_that_cannot_be() -> None:
    assert "does not begin" in obstacle(KEY, [], Described())
    events = [*begun(), event(2, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)]
    assert "cannot be read" in obstacle(KEY, events, Described())


def test_families_across_namespaces() -> None:
    child = begun()
    started = child[0].workflow_execution_started_event_attributes
    started.parent_workflow_namespace = "elsewhere"
    started.parent_workflow_execution.CopyFrom(WorkflowExecution(workflow_id="parent", run_id="run"))
    assert obstacle(KEY, child, Described()) == "its parent is in another namespace (elsewhere)"
    parent = [*begun(), event(2, EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)]
    parent[1].start_child_workflow_execution_initiated_event_attributes.namespace = "elsewhere"
    assert obstacle(KEY, parent, Described()) == "it has a child in another namespace (elsewhere)"
