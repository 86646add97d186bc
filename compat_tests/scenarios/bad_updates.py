"""Updates and polls of them that are refused, and answers of workers that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.api.command.v1 import (
    Command,
)
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (
    Input,
    Meta,
    Outcome,
    Request,
    UpdateRef,
    WaitPolicy,
)
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
)

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker
from compat_tests.raw_updates import (
    ADMITTED,
    COMPLETED,
    accept,
    begun,
    deliver,
    message,
    respond,
    send,
    terminate,
)


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
    odd = accept(asked)
    odd.MergeFrom(Message(**fields))
    return odd


async def scenario_raw_update_bad_answers(env: Env) -> None:
    def unknown(asked: Message) -> Message:
        return Message(id="m", protocol_instance_id="nobody", body=accept(asked).body)

    def strange(asked: Message) -> Message:
        return message("m", asked.protocol_instance_id, Failure(message="x"))

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
