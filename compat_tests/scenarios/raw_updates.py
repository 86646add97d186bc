"""Updates by hand: protocol messages, speculative workflow tasks, limits and errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message as ProtoMessage
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ProtocolMessageCommandAttributes,
)
from temporalio.api.common.v1 import Link, WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import TaskQueue
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
from compat_tests.raw import RawWorker, command, complete_workflow, payloads, schedule_activity, start_timer, sticky
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


def _message(message_id: str, update_id: str, body: ProtoMessage) -> Message:
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
    return _message(f"{asked.protocol_instance_id}/accept", asked.protocol_instance_id, body)


def reject(asked: Message) -> Message:
    """Reject it."""
    body = Rejection(
        rejected_request_message_id=asked.id,
        rejected_request_sequencing_event_id=asked.event_id,
        rejected_request=request_of(asked),
        failure=Failure(message="rejected"),
    )
    return _message(f"{asked.protocol_instance_id}/reject", asked.protocol_instance_id, body)


def respond(update_id: str, outcome: Outcome | None = None) -> Message:
    """The outcome of an accepted update."""
    body = Response(
        meta=Meta(update_id=update_id, identity=IDENTITY), outcome=outcome or Outcome(success=payloads('"done"'))
    )
    return _message(f"{update_id}/complete", update_id, body)


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


async def scenario_raw_update(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await env.history(workflow_id, "while the task is started")
    env.record("answer", await done(worker, task))
    await env.outcome("update", waiting)
    await env.outcome("again", send(env, workflow_id))
    for stage in (ADMITTED, ACCEPTED, COMPLETED):
        await env.outcome("polled", poll_update(env, workflow_id, stage=stage))
    await env.history(workflow_id)


async def scenario_raw_update_rejected(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    env.record("answer", await worker.complete(task, messages=messages, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)
    await signal(env, workflow_id)
    task = await worker.poll()
    env.record("next task", task)
    await worker.complete(task, complete_workflow())
    await env.history(workflow_id, "at the end")


async def scenario_raw_update_rejected_without_capability(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("answer", await worker.complete(task, messages=[reject(each) for each in task.messages]))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_rejected_with_command(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    env.record("answer", await worker.complete(task, start_timer("t", 100), messages=messages, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_rejected_heartbeat(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    fields: dict[str, Any] = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    env.record("answer", await worker.complete(task, messages=messages, capabilities=DISCARD, **fields))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_two_steps(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    early = send(env, workflow_id, wait_policy=WaitPolicy(lifecycle_stage=ACCEPTED))
    task = await worker.poll()
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("accepted", early)
    await env.outcome("polled", poll_update(env, workflow_id, stage=ACCEPTED))
    with pytest.raises(RPCError):
        await poll_update(env, workflow_id, timeout=3)
    await signal(env, workflow_id)
    task = await worker.poll()
    env.record("second task", task)
    messages = [respond("u1", Outcome(failure=Failure(message="no")))]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_before_first_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await worker.complete(task)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_during_task_inline(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    answer = await worker.complete(task, return_new_workflow_task=True)
    env.record("answer", answer)
    await env.history(workflow_id, "started inline")
    messages = [reject(each) for each in answer.workflow_task.messages]
    await worker.complete(answer.workflow_task, messages=messages, capabilities=DISCARD)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_with_signal(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await signal(env, workflow_id)
    await env.history(workflow_id, "signal after the update")
    task = await worker.poll()
    env.record("task", task)
    await signal(env, workflow_id, "during")
    await env.history(workflow_id, "signal during the task")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    task = await worker.poll()
    env.record("second task", task)
    await worker.complete(task)
    await env.history(workflow_id)


async def scenario_raw_update_signal_during_speculative(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id, "during")
    await env.history(workflow_id, "signal during the task")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    await worker.run_task()
    await env.history(workflow_id)


async def scenario_raw_update_task_fails(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.fail(task)
    await env.history(workflow_id, "failed")
    task = await worker.poll()
    env.record("second attempt", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_not_processed(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("answer", await worker.complete(task, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_nobody_polls(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await env.wait_event(workflow_id, "WORKFLOW_TASK_TIMED_OUT")
    await env.history(workflow_id, "after 5 seconds")
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_sticky(env: Env) -> None:
    queue = env.unique("sticky")
    workflow_id, worker = await begun(env, sticky_attributes=sticky(queue))
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    polling = later(worker.poll(queue=sticky_queue))
    await asyncio.sleep(0.3)
    waiting = send(env, workflow_id)
    task = await polling
    env.record("task", task)
    await done(worker, task, sticky_attributes=sticky(queue))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_limit_in_flight(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting: list[asyncio.Task[Any]] = []
    for number in range(10):
        waiting.append(send(env, workflow_id, f"u{number}"))
        await admitted(env, workflow_id, f"u{number}")
    await env.outcome("eleventh", send(env, workflow_id, "u10", timeout=5))
    for number in range(10):
        await admitted(env, workflow_id, f"u{number}")
    task = await worker.poll()
    env.record("messages", sorted(each.protocol_instance_id for each in task.messages))
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("accepted ones count", send(env, workflow_id, "u10", timeout=5))
    await terminate(env, workflow_id)
    await asyncio.gather(*waiting, return_exceptions=True)


async def scenario_raw_update_continued_as_new_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    started = await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    again = ContinueAsNewWorkflowExecutionCommandAttributes()
    await worker.complete(
        task,
        command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=again),
    )
    task = await worker.poll()
    env.record("task of the next run", task)
    if task.messages:
        await done(worker, task)
    await env.outcome("update", waiting)
    await env.chain(workflow_id, started.run_id)


async def scenario_raw_update_start_delay(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id, workflow_start_delay=Duration(seconds=100))
    worker = RawWorker(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("rejected", waiting)
    await env.history(workflow_id, "still waiting for its start")
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll())
    await env.outcome("accepted", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_workflow_closing(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id)
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    task = await worker.poll()
    await env.outcome("update", send(env, workflow_id, timeout=5))
    await worker.complete(task, complete_workflow())


async def scenario_raw_update_task_fails_twice(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    for _ in range(2):
        await worker.fail(await worker.poll())
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_task_keeps_failing(env: Env) -> None:
    workflow_id, worker = await begun(env)
    await signal(env, workflow_id)
    for _ in range(2):
        await worker.fail(await worker.poll())
    await env.outcome("update", send(env, workflow_id))


async def scenario_raw_update_task_times_out(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, workflow_task_timeout=Duration(seconds=1))
    await worker.run_task()
    waiting = send(env, workflow_id)
    await worker.poll()
    task = await worker.poll()
    env.record("second attempt", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_unhandled_command(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id)
    await env.outcome("completion", done(worker, task, complete_workflow()))
    await env.history(workflow_id, "refused")
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task, complete_workflow())
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_heartbeat(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    asked = task.messages[0]
    fields: dict[str, Any] = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    answer = await worker.complete(task, **fields)
    env.record("answer", answer)
    messages = [accept(asked), respond("u1")]
    await worker.complete(answer.workflow_task, *map(deliver, messages), messages=messages)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_request_fields(env: Env) -> None:
    workflow_id, worker = await begun(env)
    link = Link(batch_job=Link.BatchJob(job_id="job"))
    request = Request(
        meta=Meta(update_id="u1", identity="me"), input=Input(name="change"), request_id="r", links=[link]
    )
    waiting = send(env, workflow_id, request=request, wait_policy=None)
    task = await worker.poll()
    env.record("messages", list(task.messages))
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    begin = time.monotonic()
    await env.outcome("no wait policy", send(env, workflow_id, wait_policy=None))
    await env.outcome("first", waiting)
    env.record("without a policy", "waits" if time.monotonic() - begin > 5 else "does not wait for the outcome")
    await env.history(workflow_id)


async def scenario_raw_update_without_id(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id, "")
    task = await worker.poll()
    env.record("messages", list(task.messages))
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_after_activity(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env))
    for label, fields in (("without capability", {}), ("with capability", {"capabilities": DISCARD})):
        waiting = send(env, workflow_id, label)
        task = await worker.poll()
        env.record("task", task)
        messages = [reject(each) for each in task.messages]
        env.record(label, await worker.complete(task, messages=messages, **fields))
        await env.outcome("update", waiting)
        await env.history(workflow_id)


async def scenario_raw_update_activity_during_speculative(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env))
    waiting = send(env, workflow_id)
    task = await worker.poll()
    activity = await worker.poll_activity()
    await env.history(workflow_id, "activity started")
    await worker.complete_activity(activity)
    await env.history(workflow_id, "activity completed")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_mixed(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting: dict[str, asyncio.Task[Any]] = {}
    for name in ("a", "b", "c"):
        waiting[name] = send(env, workflow_id, name)
        await admitted(env, workflow_id, name)
    task = await worker.poll()
    first, second, _ = task.messages
    messages = [accept(first), reject(second), respond("a")]
    commands = [start_timer("before", 100), deliver(messages[0]), start_timer("after", 100)]
    await worker.complete(task, *commands, messages=messages)
    for name, each in waiting.items():
        await env.outcome(name, each)
    await env.history(workflow_id)


async def scenario_raw_update_late_answer(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    first = await worker.poll()
    await worker.complete(first, messages=[reject(each) for each in first.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    waiting = send(env, workflow_id, "u2")
    second = await worker.poll()
    await env.outcome("answered again", worker.complete(first))
    await done(worker, second)
    await env.outcome("second update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_closed_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_closed_with_update(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_terminated(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await worker.poll()
    await terminate(env, workflow_id)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_bad_requests(env: Env) -> None:
    workflow_id, _ = await begun(env)

    async def refused(label: str, update_id: str = "u1", **fields: Any) -> None:
        await env.outcome(label, send(env, workflow_id, update_id, timeout=5, **fields))

    await refused("namespace", namespace="nope")
    await refused("no execution", workflow_execution=None)
    await refused("no workflow id", workflow_execution=WorkflowExecution())
    await refused("bad run id", workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id="x"))
    unknown = WorkflowExecution(workflow_id=workflow_id, run_id="8b2d2e5f-8b0c-4d8f-a8a5-1d8f0f1a2b3c")
    await refused("unknown run id", workflow_execution=unknown)
    await refused("other first run", first_execution_run_id="8b2d2e5f-8b0c-4d8f-a8a5-1d8f0f1a2b3c")
    await refused("no request", request=None)
    await refused("no input", request=Request(meta=Meta(update_id="u1")))
    await refused("no name", request=Request(meta=Meta(update_id="u1"), input=Input()))
    await refused("no meta, no worker", request=Request(input=Input()))
    await refused("long id", "x" * 1001)
    await refused("admitted", wait_policy=WaitPolicy(lifecycle_stage=ADMITTED))
    await env.history(workflow_id)


async def scenario_raw_update_bad_polls(env: Env) -> None:
    workflow_id, _ = await begun(env)
    execution = WorkflowExecution(workflow_id=workflow_id)
    ref = UpdateRef(workflow_execution=execution, update_id="u1")
    policy = WaitPolicy(lifecycle_stage=COMPLETED)
    cases: dict[str, PollWorkflowExecutionUpdateRequest] = {
        "namespace": PollWorkflowExecutionUpdateRequest(namespace="nope", update_ref=ref, wait_policy=policy),
        "no ref": PollWorkflowExecutionUpdateRequest(namespace=NAMESPACE, wait_policy=policy),
        "no policy": PollWorkflowExecutionUpdateRequest(namespace=NAMESPACE, update_ref=ref),
        "no execution": PollWorkflowExecutionUpdateRequest(
            namespace=NAMESPACE, update_ref=UpdateRef(update_id="u1"), wait_policy=policy
        ),
        "no update id": PollWorkflowExecutionUpdateRequest(
            namespace=NAMESPACE, update_ref=UpdateRef(workflow_execution=execution), wait_policy=policy
        ),
        "unknown": PollWorkflowExecutionUpdateRequest(namespace=NAMESPACE, update_ref=ref, wait_policy=policy),
    }
    for label, request in cases.items():
        await env.outcome(label, env.rpc.poll_workflow_execution_update(request, timeout=seconds(5)))


async def bad_answer(
    env: Env, label: str, messages: Callable[[Message], list[Message]], commands: Callable[[Message], list[Command]]
) -> None:
    """Answer an update wrongly; record the error and what is left."""
    workflow_id, worker = env.id(label.replace(" ", "-")), RawWorker(env, env.unique(f"queue of {label}"))
    await env.start_raw(workflow_id, task_queue=worker.task_queue)
    await worker.run_task()
    waiting = send(env, workflow_id)
    task = await worker.poll()
    asked = task.messages[0]
    await env.outcome(label, worker.complete(task, *commands(asked), messages=messages(asked)))
    await env.history(workflow_id, f"{label}: history")
    await terminate(env, workflow_id)
    await env.outcome(f"{label}: update", waiting)


def _nothing(asked: Message) -> list[Any]:
    del asked
    return []


def _odd(asked: Message, **fields: Any) -> Message:
    message = accept(asked)
    message.MergeFrom(Message(**fields))
    return message


async def scenario_raw_update_bad_answers(env: Env) -> None:
    def unknown(asked: Message) -> Message:
        return Message(id="m", protocol_instance_id="nobody", body=accept(asked).body)

    def strange(asked: Message) -> Message:
        return _message("m", asked.protocol_instance_id, Failure(message="x"))

    def nameless(asked: Message) -> Message:
        return Message(id="m", body=accept(asked).body)

    await bad_answer(env, "no such message", _nothing, lambda asked: [deliver(accept(asked))])
    await bad_answer(env, "no message id", _nothing, lambda _: [deliver(Message())])
    await bad_answer(env, "completed first", lambda _: [respond("u1")], lambda _: [deliver(respond("u1"))])
    await bad_answer(env, "accepted twice", lambda a: [accept(a), _odd(a, id="again")], lambda a: [deliver(accept(a))])
    await bad_answer(env, "unknown body", lambda a: [strange(a)], _nothing)
    await bad_answer(env, "no instance", lambda a: [nameless(a)], _nothing)
    await bad_answer(env, "completion of unknown", lambda _: [respond("nobody")], _nothing)
    await bad_answer(env, "acceptance of unknown", lambda a: [unknown(a)], _nothing)
    await bad_answer(env, "accepted without command", lambda a: [accept(a)], _nothing)
    await bad_answer(env, "no outcome", lambda a: [accept(a), respond("u1", Outcome())], _nothing)
