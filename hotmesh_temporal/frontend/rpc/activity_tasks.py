"""PollActivityTaskQueue, heartbeats, and the four outcomes of an activity, by token and by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatByIdResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledByIdResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCanceledResponse,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedByIdResponse,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
)

from ...engine import tasks
from ...engine.activity_options import retry_policy_of
from ...engine.failures import exceeds, too_large
from ...engine.limits import Limits
from ...engine.machines import activity, workflow_task
from ...engine.machines.activity import Answerer
from ...engine.model import Activity
from ...engine.priority import inherited, unpacked
from ...engine.protos import timestamp
from ...engine.turn import Turn
from ...errors import activity_not_found, invalid_argument, not_found
from ...runtime.keys import TaskMessage
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import tokens, validate
from ..tokens import ActivityTaskToken
from .lookup import change
from .polling import next_task

if TYPE_CHECKING:
    from ..server import Call

Locate = Callable[[Turn], Activity]


async def poll_activity_task_queue(
    runtime: Runtime, request: PollActivityTaskQueueRequest, call: Call
) -> PollActivityTaskQueueResponse:
    """The next activity task of the queue; empty if none came in time."""
    task = await next_task(runtime, request, call, _Poll(runtime, request))
    return task or PollActivityTaskQueueResponse()


@dataclass(frozen=True, slots=True)
class _Poll:
    """A worker's wish for an activity task."""

    runtime: Runtime
    request: PollActivityTaskQueueRequest

    def take(self, turn: Turn, event_id: int, stamp: int) -> Activity | None:
        return tasks.take_activity_task(turn, event_id, stamp, self.runtime.clock.new_id(), self.request.identity)

    async def answer(self, loaded: Loaded, task: Activity) -> PollActivityTaskQueueResponse:
        return await activity_response(self.runtime, loaded, task)

    async def query(self, message: TaskMessage) -> None:
        """Queries do not come to activity queues."""


async def activity_response(runtime: Runtime, loaded: Loaded, pending: Activity) -> PollActivityTaskQueueResponse:
    """A started attempt with its input, which is read from the history."""
    state = loaded.state
    event = await runtime.histories.event(loaded, pending.scheduled_event_id)
    scheduled = event.activity_task_scheduled_event_attributes
    token = ActivityTaskToken(
        state.namespace, state.workflow_id, state.run_id, pending.scheduled_event_id, pending.attempt
    )
    response = PollActivityTaskQueueResponse(
        task_token=tokens.encode(token),
        workflow_namespace=state.namespace,
        workflow_type=WorkflowType(name=state.workflow_type),
        workflow_execution=WorkflowExecution(workflow_id=state.workflow_id, run_id=state.run_id),
        activity_type=scheduled.activity_type,
        activity_id=pending.activity_id,
        header=scheduled.header if scheduled.HasField("header") else None,
        input=scheduled.input if scheduled.HasField("input") else None,
        scheduled_time=event.event_time,
        current_attempt_scheduled_time=timestamp(pending.scheduled_at),
        started_time=timestamp(pending.started_at),
        attempt=pending.attempt,
        # Like on the server, a worker is told the timeouts of the command, also when they have been changed since.
        schedule_to_close_timeout=scheduled.schedule_to_close_timeout,
        start_to_close_timeout=scheduled.start_to_close_timeout,
        heartbeat_timeout=scheduled.heartbeat_timeout,
        retry_policy=retry_policy_of(pending),
        priority=inherited(unpacked(pending.priority), unpacked(state.priority)),
    )
    response.retry_policy.non_retryable_error_types.extend(pending.non_retryable)
    if pending.heartbeat_details:
        response.heartbeat_details.ParseFromString(pending.heartbeat_details)
    return response


# -- by token and by id ---------------------------------------------------------------------------------------


def _target(request: Any) -> tuple[WorkflowExecution, Locate]:
    """The run and the activity of a request: by its task token, or by the ids of workflow and activity."""
    if not hasattr(request, "activity_id"):
        token = tokens.decode_task(ActivityTaskToken, request.task_token, request.namespace)
        request.namespace = token.namespace
        _check_identity(request)
        execution = WorkflowExecution(workflow_id=token.workflow_id, run_id=token.run_id)
        return execution, lambda turn: tasks.check_activity(turn.state, token.scheduled_event_id, token.attempt)
    if not request.activity_id:
        raise invalid_argument("ActivityId is not set on request.")
    if request.run_id:
        validate.run_id(request.run_id, "RunId is not valid UUID.")
    _check_identity(request)
    if not request.workflow_id:
        raise not_found(f"activity not found for ID: {request.activity_id}")

    def locate(turn: Turn) -> Activity:
        pending = tasks.find_activity(turn.state, request.activity_id)
        if not pending.started:
            # Only a completion may come before any worker has taken the activity.
            if not isinstance(request, RespondActivityTaskCompletedByIdRequest):
                raise activity_not_found()
            activity.start(turn, pending, "", request.identity)
        return pending

    return WorkflowExecution(workflow_id=request.workflow_id, run_id=request.run_id), locate


def _check_identity(request: Any) -> None:
    """An outcome names its worker; a heartbeat's is dropped."""
    if not isinstance(request, _HEARTBEATS):
        validate.identity(request.identity)


_HEARTBEATS = (RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatByIdRequest)


async def _change(runtime: Runtime, request: Any, outcome: Callable[[Turn, Activity], bool]) -> None:
    """Apply an outcome; ``outcome`` says whether the workflow has to hear of it."""
    execution, locate = _target(request)

    def decide(turn: Turn) -> None:
        if outcome(turn, locate(turn)):
            workflow_task.schedule(turn)

    await change(runtime, request.namespace, execution, decide)


# -- heartbeats -----------------------------------------------------------------------------------------------


async def record_activity_task_heartbeat(
    runtime: Runtime, request: RecordActivityTaskHeartbeatRequest, call: Call
) -> RecordActivityTaskHeartbeatResponse:
    """The worker is alive; it learns whether it should stop."""
    del call
    pending = await _heartbeat(runtime, request)
    return RecordActivityTaskHeartbeatResponse(
        cancel_requested=pending.cancel_requested, activity_paused=pending.paused, activity_reset=pending.reset
    )


async def record_activity_task_heartbeat_by_id(
    runtime: Runtime, request: RecordActivityTaskHeartbeatByIdRequest, call: Call
) -> RecordActivityTaskHeartbeatByIdResponse:
    """As `record_activity_task_heartbeat`."""
    del call
    pending = await _heartbeat(runtime, request)
    return RecordActivityTaskHeartbeatByIdResponse(
        cancel_requested=pending.cancel_requested, activity_paused=pending.paused, activity_reset=pending.reset
    )


async def _heartbeat(
    runtime: Runtime, request: RecordActivityTaskHeartbeatRequest | RecordActivityTaskHeartbeatByIdRequest
) -> Activity:
    execution, locate = _target(request)

    def decide(turn: Turn) -> Activity:
        pending = locate(turn)
        if request.details.ByteSize() > turn.ctx.limits.blob_size:
            _fail_as_too_large(turn, pending, "Heartbeat details exceed", request.identity)
            workflow_task.schedule(turn)
            return Activity(0, "", "", "", 0, 0, cancel_requested=True)  # the worker shall stop
        activity.heartbeat(turn, pending, request.details if request.HasField("details") else None)
        return pending

    pending, _ = await change(runtime, request.namespace, execution, decide)
    assert pending is not None
    return pending


def _answerer(request: Any) -> Answerer:
    has_version = hasattr(request, "worker_version") and request.HasField("worker_version")
    return Answerer(request.identity, request.worker_version if has_version else None)


def _fail_as_too_large(turn: Turn, pending: Activity, what: str, identity: str) -> bool:
    """An outcome beyond the limit fails the activity for good. True: the workflow has to hear of it."""
    activity.fail(turn, pending, exceeds(what), Answerer(identity))
    return True


# -- outcomes -------------------------------------------------------------------------------------------------


async def respond_activity_task_completed(
    runtime: Runtime, request: RespondActivityTaskCompletedRequest, call: Call
) -> RespondActivityTaskCompletedResponse:
    """The attempt succeeded."""
    del call
    await _change(runtime, request, _completion(request))
    return RespondActivityTaskCompletedResponse()


async def respond_activity_task_completed_by_id(
    runtime: Runtime, request: RespondActivityTaskCompletedByIdRequest, call: Call
) -> RespondActivityTaskCompletedByIdResponse:
    """As `respond_activity_task_completed`."""
    del call
    await _change(runtime, request, _completion(request))
    return RespondActivityTaskCompletedByIdResponse()


def _completion(
    request: RespondActivityTaskCompletedRequest | RespondActivityTaskCompletedByIdRequest,
) -> Callable[[Turn, Activity], bool]:
    def outcome(turn: Turn, pending: Activity) -> bool:
        if request.result.ByteSize() > turn.ctx.limits.blob_size:
            return _fail_as_too_large(turn, pending, "Complete result exceeds", request.identity)
        activity.complete(turn, pending, request.result if request.HasField("result") else None, _answerer(request))
        return True

    return outcome


async def respond_activity_task_failed(
    runtime: Runtime, request: RespondActivityTaskFailedRequest, call: Call
) -> RespondActivityTaskFailedResponse:
    """The attempt failed; its retry policy decides what follows."""
    del call
    if request.HasField("failure") and not request.failure.HasField("application_failure_info"):
        raise invalid_argument("Failure must have ApplicationFailureInfo.")
    oversized = _shrink(request, runtime.limits)
    await _change(runtime, request, _failing(request))
    return RespondActivityTaskFailedResponse(failures=oversized)


async def respond_activity_task_failed_by_id(
    runtime: Runtime, request: RespondActivityTaskFailedByIdRequest, call: Call
) -> RespondActivityTaskFailedByIdResponse:
    """As `respond_activity_task_failed`."""
    del call
    oversized = _shrink(request, runtime.limits)
    await _change(runtime, request, _failing(request))
    return RespondActivityTaskFailedByIdResponse(failures=oversized)


def _shrink(
    request: RespondActivityTaskFailedRequest | RespondActivityTaskFailedByIdRequest, limits: Limits
) -> list[Failure]:
    """Cut down what is too large; the worker is told of it."""
    oversized: list[Failure] = []
    if request.last_heartbeat_details.ByteSize() > limits.blob_size:
        request.ClearField("last_heartbeat_details")
        oversized.append(exceeds("Heartbeat details exceed"))
    if request.failure.ByteSize() > limits.blob_size:
        oversized.append(too_large(request.failure, limits.blob_kept, non_retryable=True))
        request.failure.CopyFrom(oversized[-1])
    return oversized


def _failing(
    request: RespondActivityTaskFailedRequest | RespondActivityTaskFailedByIdRequest,
) -> Callable[[Turn, Activity], bool]:
    failure = request.failure if request.HasField("failure") else Failure()

    def outcome(turn: Turn, pending: Activity) -> bool:
        if request.HasField("last_heartbeat_details"):
            activity.heartbeat(turn, pending, request.last_heartbeat_details)
        return not activity.fail(turn, pending, failure, _answerer(request))

    return outcome


async def respond_activity_task_canceled(
    runtime: Runtime, request: RespondActivityTaskCanceledRequest, call: Call
) -> RespondActivityTaskCanceledResponse:
    """The worker stopped because it was asked to."""
    del call
    await _change(runtime, request, _cancellation(request))
    return RespondActivityTaskCanceledResponse()


async def respond_activity_task_canceled_by_id(
    runtime: Runtime, request: RespondActivityTaskCanceledByIdRequest, call: Call
) -> RespondActivityTaskCanceledByIdResponse:
    """As `respond_activity_task_canceled`."""
    del call
    await _change(runtime, request, _cancellation(request))
    return RespondActivityTaskCanceledByIdResponse()


def _cancellation(
    request: RespondActivityTaskCanceledRequest | RespondActivityTaskCanceledByIdRequest,
) -> Callable[[Turn, Activity], bool]:
    details: Payloads | None = request.details if request.HasField("details") else None

    def outcome(turn: Turn, pending: Activity) -> bool:
        if details is not None and details.ByteSize() > turn.ctx.limits.blob_size:
            return _fail_as_too_large(turn, pending, "Cancel details exceed", request.identity)
        activity.cancel_at_worker(turn, pending, details, request.identity)
        return True

    return outcome
