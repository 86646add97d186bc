"""The execution itself.

    (none) --started--> running
    running --signaled, cancel requested, options and properties changed--> running
    running --completed, failed, canceled, terminated, timed out, continued as new--> closed

A close may open the next run of the chain (see ``continuation.py``). Nothing follows the closing event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.common.v1 import Header, Link, Memo, Payload, Payloads, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
)
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from .. import model
from ..effects import Work, WorkOrder
from ..model import ExecutionState
from ..nulls import merge
from ..priority import packed_priority
from ..protos import moment, nanos
from ..search_attributes import merged
from . import workflow_task

SERVER = "history-service"
"""The identity under which the service itself acts."""
_RESETTER = "history-resetter"
"""The identity under which a reset ends a run."""

if TYPE_CHECKING:
    from ..turn import Turn


def signal(
    turn: Turn,
    name: str,
    payloads: Payloads | None,
    identity: str,
    header: Header | None,
    *,
    request_id: str = "",
    links: Sequence[Link] = (),
    schedule_task: bool = True,
    sender: WorkflowExecution | None = None,
) -> None:
    """Deliver a signal and, unless told otherwise, wake the workflow (not one that waits for its first task)."""
    attributes = WorkflowExecutionSignaledEventAttributes(
        signal_name=name,
        input=payloads,
        identity=identity,
        header=header,
        request_id=request_id,
        external_workflow_execution=sender,
    )
    turn.record(attributes, adjust=lambda event: event.links.extend(links))
    if schedule_task and not turn.state.waits_for_first_task:
        workflow_task.schedule(turn)


def request_cancel(
    turn: Turn,
    reason: str,
    identity: str,
    links: Sequence[Link] = (),
    *,
    sender: WorkflowExecution | None = None,
    initiated_id: int = 0,
) -> None:
    """Ask the workflow to cancel itself; this does not wait for a start delay to pass."""
    attributes = WorkflowExecutionCancelRequestedEventAttributes(
        cause=reason, identity=identity, external_workflow_execution=sender, external_initiated_event_id=initiated_id
    )
    turn.record(attributes, adjust=lambda event: event.links.extend(links))
    workflow_task.schedule(turn)


def terminate(turn: Turn, reason: str, details: Payloads | None, identity: str, links: Sequence[Link] = ()) -> None:
    """End the run at once; a workflow task in flight fails first, so that its buffered events are kept."""
    if turn.state.task_in_flight:
        workflow_task.fail(turn, workflow_task.FORCE_CLOSE, None, SERVER)
    turn.flush()
    close(turn, WorkflowExecutionTerminatedEventAttributes(reason=reason, details=details, identity=identity), links)


def give_way(turn: Turn, reason: str) -> None:
    """End the run because of a reset. Children and the parent are left to the run that the reset makes."""
    if turn.state.task_in_flight:
        workflow_task.fail(turn, workflow_task.FORCE_CLOSE, None, SERVER)
    turn.flush()
    turn.state.gave_way = True
    close(turn, WorkflowExecutionTerminatedEventAttributes(reason=reason, identity=_RESETTER))


def close(turn: Turn, attributes: Message, links: Sequence[Link] = ()) -> None:
    """Write the closing event; whatever is pending is dropped with the run. Children and the parent get to know."""
    workflow_task.drop_untaken_speculative(turn)
    turn.record(attributes, adjust=lambda event: event.links.extend(links))
    turn.visibility_changed = True
    turn.dispatches.clear()
    turn.state.asked_updates = {}
    turn.orders = list(last_orders(turn.state))


def last_orders(state: ExecutionState) -> Iterator[WorkOrder]:
    """What the end of a run means for others: for its children, and for its parent or schedule unless the chain
    goes on.
    """
    if state.gave_way:
        return
    for each in state.children.values():
        if each.run_id and each.policy != ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
            yield WorkOrder(Work.CLOSE_CHILD, each.initiated_event_id)
    if state.parent_run_id and not state.new_run_id:
        yield WorkOrder(Work.TELL_PARENT, state.next_event_id - 1)
    if state.schedule and not state.new_run_id:
        yield WorkOrder(Work.TELL_SCHEDULE, state.next_event_id - 1)


def delete(turn: Turn) -> None:
    """Have the run removed; one that is open is terminated first. Asking again changes nothing."""
    if turn.state.running:
        terminate(turn, "Delete workflow execution", None, SERVER)
    if not turn.state.deleting:
        turn.state.deleting = True
        turn.visibility_changed = True
        turn.order(WorkOrder(Work.DELETE, turn.state.next_event_id - 1))


def update_options(turn: Turn, options: WorkflowExecutionOptions, identity: str) -> None:
    """The options have changed to these; no worker is woken for it. Versioning is never overridden here."""
    attributes = WorkflowExecutionOptionsUpdatedEventAttributes(
        identity=identity,
        priority=options.priority if options.HasField("priority") else None,
        unset_versioning_override=True,
    )

    def adjust(event: HistoryEvent) -> None:
        event.worker_may_ignore = True

    turn.record(attributes, adjust=adjust)


def make_room(turn: Turn, new_run_id: str) -> None:
    """End the run because another one starts under its workflow id."""
    text = f"terminated by new runID: {new_run_id}".encode()
    details = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"' + text + b'"')])
    terminate(turn, "TerminateIfRunning WorkflowIdReusePolicy", details, SERVER)


def _started(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_started_event_attributes
    at = moment(event.event_time)
    wait = nanos(attributes.first_workflow_task_backoff)
    state.workflow_type = attributes.workflow_type.name
    state.task_queue = attributes.task_queue.name
    state.first_run_id = attributes.first_execution_run_id
    state.started_at, state.execution_at = at, at + wait
    state.first_task_at = at + wait if wait else 0
    state.run_timeout = nanos(attributes.workflow_run_timeout)
    state.execution_timeout = nanos(attributes.workflow_execution_timeout)
    state.task_timeout = nanos(attributes.workflow_task_timeout)
    state.execution_expires_at = moment(attributes.workflow_execution_expiration_time)
    if state.run_timeout:
        run_expires_at = at + wait + state.run_timeout
        state.run_expires_at = min(run_expires_at, state.execution_expires_at or run_expires_at)
    state.attempt = attributes.attempt
    parent, root = attributes.parent_workflow_execution, attributes.root_workflow_execution
    state.parent_workflow_id, state.parent_run_id = parent.workflow_id, parent.run_id
    state.parent_initiated_id = attributes.parent_initiated_event_id
    state.root_workflow_id, state.root_run_id = root.workflow_id, root.run_id
    state.priority = packed_priority(attributes.priority) if attributes.HasField("priority") else None
    state.memo = attributes.memo.SerializeToString()
    state.search_attributes = attributes.search_attributes.SerializeToString()


def _signaled(state: ExecutionState, event: HistoryEvent) -> None:
    del event
    state.signal_count += 1


def _cancel_requested(state: ExecutionState, event: HistoryEvent) -> None:
    del event
    state.cancel_requested = True


def _closing(status: int) -> Callable[[ExecutionState, HistoryEvent], None]:
    def apply(state: ExecutionState, event: HistoryEvent) -> None:
        state.status, state.closed_at = status, moment(event.event_time)
        state.new_run_id = _next_run_id(event)

    return apply


def _next_run_id(event: HistoryEvent) -> str:
    name = event.WhichOneof("attributes")
    return getattr(getattr(event, name), "new_execution_run_id", "") if name else ""


def _attributes_upserted(state: ExecutionState, event: HistoryEvent) -> None:
    current = SearchAttributes.FromString(state.search_attributes)
    changes = event.upsert_workflow_search_attributes_event_attributes.search_attributes
    state.search_attributes = merged(current, changes).SerializeToString(deterministic=True)


def _properties_modified(state: ExecutionState, event: HistoryEvent) -> None:
    current = Memo.FromString(state.memo)
    for key, value in event.workflow_properties_modified_event_attributes.upserted_memo.fields.items():
        merge(current.fields, key, value)
    state.memo = current.SerializeToString(deterministic=True)


def _options_updated(state: ExecutionState, event: HistoryEvent) -> None:
    """As on the server, an event without a priority leaves the one that was there."""
    attributes = event.workflow_execution_options_updated_event_attributes
    if attributes.HasField("priority"):
        state.priority = packed_priority(attributes.priority)


def _nothing(state: ExecutionState, event: HistoryEvent) -> None:
    """An event that only the worker reads."""
    del state, event


FOLDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _started,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signaled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _cancel_requested,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _closing(model.COMPLETED),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _closing(model.FAILED),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _closing(model.CANCELED),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _closing(model.TERMINATED),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _closing(model.TIMED_OUT),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: _closing(model.CONTINUED_AS_NEW),
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _attributes_upserted,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: _properties_modified,
    EventType.EVENT_TYPE_MARKER_RECORDED: _nothing,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: _options_updated,
}
