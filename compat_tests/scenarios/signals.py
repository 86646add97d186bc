"""Signals and signal-with-start."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import Header, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy as ConflictPolicy
from temporalio.api.enums.v1 import WorkflowIdReusePolicy as ReusePolicy
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
    SignalWorkflowExecutionRequest,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import RawWorker, complete_workflow, payloads
from compat_tests.scenarios.core import Signals, Sleeper
from compat_tests.targets import IDENTITY


@workflow.defn
class Dynamic:
    """Takes any signal."""

    def __init__(self) -> None:
        self._seen: list[Any] = []

    @workflow.run
    async def run(self, count: int) -> list[Any]:
        await workflow.wait_condition(lambda: len(self._seen) >= count)
        return self._seen

    @workflow.signal(dynamic=True)
    def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        self._seen.append([name, [workflow.payload_converter().from_payload(arg.payload, str) for arg in args]])


@workflow.defn
class LateHandler:
    """Adds its handler after the signal came."""

    def __init__(self) -> None:
        self._go = False
        self._seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self._go)
        workflow.set_signal_handler("late", self._seen.append)  # pyright: ignore[reportUnknownMemberType]  (SDK)
        await workflow.wait_condition(lambda: len(self._seen) == 2)
        return self._seen

    @workflow.signal
    def go(self) -> None:
        self._go = True


@workflow.defn
class BadHandler:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def fail(self) -> None:
        raise ApplicationError("from the handler", type="Handler")


async def scenario_signal_before_worker(env: Env) -> None:
    handle = await env.client.start_workflow(Signals.run, 2, id=env.id(), task_queue=env.queue)
    await handle.signal(Signals.add, "one")
    await handle.signal(Signals.add, "two")
    async with env.worker(Signals):
        await env.outcome("result", handle.result())
    await env.history(handle)


async def scenario_signal_dynamic_handler(env: Env) -> None:
    async with env.worker(Dynamic):
        handle = await env.client.start_workflow(Dynamic.run, 2, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal("first", "arg")
        await env.settled(handle)
        await handle.signal("second", args=["a", "b"])
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_signal_handler_set_late(env: Env) -> None:
    async with env.worker(LateHandler):
        handle = await env.client.start_workflow(LateHandler.run, id=env.id(), task_queue=env.queue)
        for name in ("late", "late", "go"):
            await env.settled(handle)
            await handle.signal(name, *([] if name == "go" else ["kept"]))
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_signal_unknown(env: Env) -> None:
    """Nobody handles it: it stays in the history, the workflow goes on."""
    async with env.worker(Signals):
        handle = await env.client.start_workflow(Signals.run, 1, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal("nobody", "x")
        await env.settled(handle)
        await handle.signal(Signals.add, "x")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_signal_handler_fails(env: Env) -> None:
    async with env.worker(BadHandler):
        handle = await env.client.start_workflow(BadHandler.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal(BadHandler.fail)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_signal_closed(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 0.0, id=env.id(), task_queue=env.queue)
        await handle.result()
        await env.outcome("signal", handle.signal("x"))
        await env.history(handle)


async def scenario_signal_request_id(env: Env) -> None:
    """The same request id is one signal; header and input are kept."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    request = SignalWorkflowExecutionRequest(
        namespace=NAMESPACE,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name="s",
        input=payloads("1"),
        header=Header(fields={"h": payloads('"v"').payloads[0]}),
        identity=IDENTITY,
        request_id=str(uuid.uuid4()),
    )
    for _ in range(2):
        await env.outcome("signal", env.rpc.signal_workflow_execution(request))
    await RawWorker(env).run_task(complete_workflow())
    await env.outcome("signal after close", env.rpc.signal_workflow_execution(request))
    await env.history(workflow_id)


async def scenario_signal_with_start_sdk(env: Env) -> None:
    async with env.worker(Signals):
        workflow_id = env.id()
        for text in ("one", "two"):
            await env.client.start_workflow(
                Signals.run, 2, id=workflow_id, task_queue=env.queue, start_signal="add", start_signal_args=[text]
            )
            await env.settled(workflow_id)
        await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())
        await env.history(workflow_id)


async def _signal_with_start(env: Env, workflow_id: str, **fields: Any) -> SignalWithStartWorkflowExecutionResponse:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_id": workflow_id,
        "workflow_type": WorkflowType(name="Raw"),
        "task_queue": TaskQueue(name=env.queue),
        "identity": IDENTITY,
        "request_id": str(uuid.uuid4()),
        "signal_name": "s",
        "signal_input": payloads('"in"'),
        "input": payloads('"start"'),
    }
    request = SignalWithStartWorkflowExecutionRequest(**{**defaults, **fields})
    return await env.rpc.signal_with_start_workflow_execution(request)


async def scenario_signal_with_start_new_and_open(env: Env) -> None:
    workflow_id = env.id()
    await env.outcome("new", _signal_with_start(env, workflow_id))
    await env.outcome("open", _signal_with_start(env, workflow_id, signal_name="second"))
    request_id = str(uuid.uuid4())
    await env.outcome("request", _signal_with_start(env, workflow_id, request_id=request_id, signal_name="third"))
    await env.outcome("same request", _signal_with_start(env, workflow_id, request_id=request_id, signal_name="third"))
    env.record("task", await RawWorker(env).run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_signal_with_start_policies(env: Env) -> None:
    workflow_id = env.id()
    first = await _signal_with_start(env, workflow_id)
    for policy in ("FAIL", "USE_EXISTING", "TERMINATE_EXISTING"):
        value = ConflictPolicy.Value(f"WORKFLOW_ID_CONFLICT_POLICY_{policy}")
        await env.outcome(policy, _signal_with_start(env, workflow_id, workflow_id_conflict_policy=value))
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=first.run_id), "terminated run")
    await RawWorker(env).run_task(complete_workflow())
    for policy in ("ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "ALLOW_DUPLICATE"):
        value = ReusePolicy.Value(f"WORKFLOW_ID_REUSE_POLICY_{policy}")
        await env.outcome(policy, _signal_with_start(env, workflow_id, workflow_id_reuse_policy=value))
    await env.history(workflow_id)


async def scenario_signal_with_start_delay(env: Env) -> None:
    """The signal of the start does not end the delay."""
    workflow_id = env.id()
    await env.outcome("start", _signal_with_start(env, workflow_id, workflow_start_delay=Duration(seconds=2)))
    await env.history(workflow_id, "while delayed")
    await env.outcome("second", _signal_with_start(env, workflow_id, signal_name="second"))
    await RawWorker(env).run_task(complete_workflow())
    await env.history(workflow_id)
