"""An update: a request that the workflow itself accepts or rejects, and answers.

    (none) --asked, admitted--> asked
    asked --sent with a task--> sent
    sent --rejected, task failed--> (none)
    sent --accepted--> accepted
    (none) --accepted along with its request, though it is not known (any more)--> accepted
    accepted --completed--> completed

Only accepted and completed are events, and admitted: what a reset takes over from the run before it. Up to
there an update is kept in the state of the run, so that it reaches a worker in whichever process, and so that nobody
who waits for it has to be in the process of the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowExecutionUpdateAdmittedEventAttributes,
    WorkflowExecutionUpdateCompletedEventAttributes,
)
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Request, Response

from ...errors import TaskFailed, too_many_updates, update_limit, update_payloads_limit, workflow_not_ready
from ..context import SECOND
from ..model import AskedUpdate, ExecutionState, RejectedUpdate, Update, WorkflowTask
from . import workflow_task

if TYPE_CHECKING:
    from ..turn import Turn

BAD_MESSAGE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE

_FAILING_ATTEMPTS = 3
_REJECTED_KEPT = 30 * SECOND
_REJECTED_KEPT_COUNT = 200


def ask(turn: Turn, request: Request) -> int:
    """Let a worker have the request; the number by which its rejection is found. 0 if it was accepted before.

    An update that is known by its id is not asked a second time.
    """
    state, update_id = turn.state, request.meta.update_id
    if update_id in state.updates:
        return 0
    if state.task_attempt >= _FAILING_ATTEMPTS:
        raise workflow_not_ready("Unable to perform workflow execution update due to Workflow Task in failed state.")
    if update_id in state.asked_updates:
        return state.asked_updates[update_id].number
    _check_limits(turn, request)
    state.update_count += 1
    state.asked_updates[update_id] = AskedUpdate(state.update_count, request.SerializeToString())
    workflow_task.schedule_speculative(turn)
    turn.keeps_speculative = True
    return state.update_count


def _check_limits(turn: Turn, request: Request) -> None:
    state, limits = turn.state, turn.ctx.limits
    running = sum(not each.completed_event_id for each in state.updates.values())
    if len(state.asked_updates) + running >= limits.updates_in_flight:
        raise too_many_updates(limits.updates_in_flight)
    size = sum(len(each.request) for each in state.asked_updates.values())
    size += sum(each.size for each in state.updates.values() if not each.completed_event_id)
    if size + request.ByteSize() > limits.updates_in_flight_size:
        raise update_payloads_limit(limits.updates_in_flight_size)
    if len(state.asked_updates) + len(state.updates) >= limits.updates:
        raise update_limit(limits.updates)


def send(turn: Turn, task: WorkflowTask) -> None:
    """A worker takes the task: it gets what is asked.

    What was given to a worker before is given again, unless that worker still has it and only keeps its task alive.
    """
    heartbeat = task.original_scheduled_at != task.scheduled_at
    for each in turn.state.asked_updates.values():
        if not each.sent_with or not heartbeat:
            each.sent_with = task.started_event_id


def messages(state: ExecutionState, task: WorkflowTask) -> list[Message]:
    """What goes to the worker along with its task."""
    return [
        _request_message(update_id, each.request, task.started_event_id - 1)
        for update_id, each in state.asked_updates.items()
        if each.request and each.sent_with == task.started_event_id
    ]


def _request_message(update_id: str, request: bytes, event_id: int) -> Message:
    body = AnyMessage(type_url=f"type.googleapis.com/{Request.DESCRIPTOR.full_name}", value=request)
    return Message(id=f"{update_id}/request", protocol_instance_id=update_id, event_id=event_id, body=body)


def admit(turn: Turn, request: Request, origin: int) -> None:
    """Give a request a place in the history, for the worker to find it there. One that the run knows is left out."""
    update_id = request.meta.update_id
    if update_id not in turn.state.updates and update_id not in turn.state.asked_updates:
        turn.record(
            WorkflowExecutionUpdateAdmittedEventAttributes(
                request=request,
                origin=origin,  # type: ignore[arg-type]  # enum values are ints
            )
        )


def accept(turn: Turn, update_id: str, acceptance: Acceptance) -> None:
    """The worker takes it on. One that is not known is as good if the worker gives the request back."""
    state = turn.state
    unknown = update_id not in state.asked_updates and not acceptance.HasField("accepted_request")
    if update_id in state.updates or unknown:
        raise _wrong_state(state, update_id, "Acceptance")
    asked = state.asked_updates.pop(update_id, None)
    request: Request | None = acceptance.accepted_request
    if asked is not None:
        request = Request.FromString(asked.request) if asked.request else None
    turn.record(
        WorkflowExecutionUpdateAcceptedEventAttributes(
            protocol_instance_id=update_id,
            accepted_request_message_id=f"{update_id}/request",
            accepted_request_sequencing_event_id=acceptance.accepted_request_sequencing_event_id,
            accepted_request=request,
        )
    )


def complete(turn: Turn, update_id: str, response: Response) -> None:
    """The worker has the outcome."""
    state = turn.state
    known = state.updates.get(update_id)
    if known is None or known.completed_event_id:
        raise _wrong_state(state, update_id, "Response")
    turn.record(
        WorkflowExecutionUpdateCompletedEventAttributes(
            meta=response.meta, accepted_event_id=known.accepted_event_id, outcome=response.outcome
        )
    )


def reject(turn: Turn, update_id: str, failure: Failure, *, gives_request: bool = False) -> None:
    """The worker refuses it; this leaves no event.

    ``gives_request``: it gives the request back, so that it may be one that is not known: nobody waits for it.
    """
    state = turn.state
    asked = state.asked_updates.pop(update_id, None)
    if asked is None:
        if gives_request and update_id not in state.updates:
            return
        raise _wrong_state(state, update_id, "Rejection")
    _keep_rejection(turn, asked, failure.SerializeToString())


def _keep_rejection(turn: Turn, asked: AskedUpdate, failure: bytes) -> None:
    """For those who wait for the answer, maybe in another process."""
    oldest = turn.ctx.now - _REJECTED_KEPT
    kept = [each for each in turn.state.rejected_updates if each.at >= oldest]
    kept.append(RejectedUpdate(asked.number, turn.ctx.now, failure))
    turn.state.rejected_updates = kept[-_REJECTED_KEPT_COUNT:]


def reject_unprocessed(turn: Turn, task: WorkflowTask) -> None:
    """The worker has answered its task, but not what came with it: it does not know updates."""
    failure = Failure(
        message="Workflow Update is rejected because it wasn't processed by worker. "
        "Probably, Workflow Update is not supported by the worker.",
        source="Server",
        application_failure_info=ApplicationFailureInfo(type="UnprocessedUpdate", non_retryable=True),
    )
    asked = turn.state.asked_updates
    for update_id in [each for each, update in asked.items() if update.sent_with == task.started_event_id]:
        reject(turn, update_id, failure)


def abort(turn: Turn) -> None:
    """The answer was invalid that should have brought the outcomes of what the worker has: nobody waits for those any
    more. What has come meanwhile goes with the next task, and what is in the history is asked again.
    """
    asked = turn.state.asked_updates
    sent = [each for each, update in asked.items() if update.sent_with and not update.admitted_event_id]
    for update_id in sent:
        _keep_rejection(turn, asked.pop(update_id), b"")


def _wrong_state(state: ExecutionState, update_id: str, received: str) -> TaskFailed:
    known = state.updates.get(update_id)
    if known is None and update_id not in state.asked_updates:
        problem = (
            f"update {update_id} wasn't found on the server. "
            "This is most likely a transient error which will be resolved automatically by retries"
        )
        return TaskFailed(BAD_MESSAGE, problem)
    name = "Sent" if known is None else _state_name(state, known)
    problem = f"received *update.{received} message while in state {name}"
    return TaskFailed(BAD_MESSAGE, f"invalid state transition attempted for Update {update_id}: {problem}")


def _state_name(state: ExecutionState, known: Update) -> str:
    """As the server calls it, which tells apart what this very answer has brought about."""
    name, event_id = ("Accepted", known.accepted_event_id)
    if known.completed_event_id:
        name, event_id = ("Completed", known.completed_event_id)
    return f"Provisionally{name}" if event_id > state.last_task_completed_id else name


def _admitted(state: ExecutionState, event: HistoryEvent) -> None:
    update_id = event.workflow_execution_update_admitted_event_attributes.request.meta.update_id
    state.update_count += 1
    state.asked_updates[update_id] = AskedUpdate(state.update_count, b"", admitted_event_id=event.event_id)


def _accepted(state: ExecutionState, event: HistoryEvent) -> None:
    attributes = event.workflow_execution_update_accepted_event_attributes
    state.asked_updates.pop(attributes.protocol_instance_id, None)
    size = attributes.accepted_request.ByteSize()
    state.updates[attributes.protocol_instance_id] = Update(event.event_id, size=size)


def _completed(state: ExecutionState, event: HistoryEvent) -> None:
    accepted_id = event.workflow_execution_update_completed_event_attributes.accepted_event_id
    for known in state.updates.values():
        if known.accepted_event_id == accepted_id:
            known.completed_event_id = event.event_id


FOLDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED: _admitted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _accepted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: _completed,
}
