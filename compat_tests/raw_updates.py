"""Updates by hand: requests, and the protocol messages by which a worker answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as ProtoMessage
from temporalio.api.command.v1 import (
    Command,
    ProtocolMessageCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (
    Acceptance,
    Input,
    Meta,
    Outcome,
    Rejection,
    Request,
    Response,
    UpdateRef,
    WaitPolicy,
)
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, command, payloads
from compat_tests.targets import IDENTITY

ADMITTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
ACCEPTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
COMPLETED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
DISCARD = RespondWorkflowTaskCompletedRequest.Capabilities(discard_speculative_workflow_task_with_events=True)


def update_request(workflow_id: str, update_id: str = "u1", **fields: Any) -> UpdateWorkflowExecutionRequest:
    """A request that waits for the outcome; ``fields`` override."""
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_execution": WorkflowExecution(workflow_id=workflow_id),
        "wait_policy": WaitPolicy(lifecycle_stage=COMPLETED),
        "request": Request(
            meta=Meta(update_id=update_id, identity=IDENTITY), input=Input(name="change", args=payloads('"x"'))
        ),
    }
    return UpdateWorkflowExecutionRequest(**{**defaults, **fields})


def send(
    env: Env, workflow_id: str, update_id: str = "u1", timeout: float = 25, **fields: Any
) -> asyncio.Task[UpdateWorkflowExecutionResponse]:
    """Send an update, without waiting."""
    request = update_request(workflow_id, update_id, **fields)
    return later(env.rpc.update_workflow_execution(request, timeout=seconds(timeout)))


def poll_update(
    env: Env, workflow_id: str, update_id: str = "u1", stage: Stage.ValueType = COMPLETED, timeout: float = 5
) -> asyncio.Task[PollWorkflowExecutionUpdateResponse]:
    """Ask for an update."""
    request = PollWorkflowExecutionUpdateRequest(
        namespace=NAMESPACE,
        update_ref=UpdateRef(workflow_execution=WorkflowExecution(workflow_id=workflow_id), update_id=update_id),
        wait_policy=WaitPolicy(lifecycle_stage=stage),
        identity=IDENTITY,
    )
    return later(env.rpc.poll_workflow_execution_update(request, timeout=seconds(timeout)))


def later(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin it now, wait for it later."""
    return asyncio.create_task(work)


async def signal(env: Env, workflow_id: str, name: str = "s") -> None:
    """Send a signal."""
    await env.rpc.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name=name,
            identity=IDENTITY,
        )
    )


async def terminate(env: Env, workflow_id: str) -> None:
    """End the run."""
    await env.rpc.terminate_workflow_execution(
        TerminateWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason="enough",
            identity=IDENTITY,
        )
    )


def message(message_id: str, update_id: str, body: ProtoMessage) -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    return Message(id=message_id, protocol_instance_id=update_id, body=packed)


def request_of(asked: Message) -> Request:
    """The request in a message of a task."""
    request = Request()
    asked.body.Unpack(request)
    return request


def accept(asked: Message) -> Message:
    """Accept what a message asks for."""
    body = Acceptance(
        accepted_request_message_id=asked.id,
        accepted_request_sequencing_event_id=asked.event_id,
        accepted_request=request_of(asked),
    )
    return message(f"{asked.protocol_instance_id}/accept", asked.protocol_instance_id, body)


def reject(asked: Message) -> Message:
    """Reject it."""
    body = Rejection(
        rejected_request_message_id=asked.id,
        rejected_request_sequencing_event_id=asked.event_id,
        rejected_request=request_of(asked),
        failure=Failure(message="rejected"),
    )
    return message(f"{asked.protocol_instance_id}/reject", asked.protocol_instance_id, body)


def respond(update_id: str, outcome: Outcome | None = None) -> Message:
    """The outcome of an accepted update."""
    body = Response(
        meta=Meta(update_id=update_id, identity=IDENTITY), outcome=outcome or Outcome(success=payloads('"done"'))
    )
    return message(f"{update_id}/complete", update_id, body)


def deliver(message: Message) -> Command:
    """The command that gives a message its place."""
    attributes = ProtocolMessageCommandAttributes(message_id=message.id)
    return command("PROTOCOL_MESSAGE", protocol_message_command_attributes=attributes)


async def done(worker: RawWorker, task: PollWorkflowTaskQueueResponse, *rest: Command, **fields: Any) -> Any:
    """Accept and complete all updates of a task."""
    messages = [each for asked in task.messages for each in (accept(asked), respond(asked.protocol_instance_id))]
    return await worker.complete(task, *map(deliver, messages), *rest, messages=messages, **fields)


async def begun(env: Env, **fields: Any) -> tuple[str, RawWorker]:
    """A run whose first task was answered."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(**fields)
    return workflow_id, worker


async def admitted(env: Env, workflow_id: str, update_id: str = "u1") -> None:
    """Wait until the server knows of an update."""

    async def known() -> bool:
        try:
            await poll_update(env, workflow_id, update_id, ADMITTED)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    await env.until(known, f"update {update_id}")
