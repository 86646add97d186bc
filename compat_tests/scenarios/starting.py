"""Starting workflows: id policies, request ids, and everything that a start request carries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, WorkflowExecution, WorkflowType
from temporalio.api.common.v1 import RetryPolicy as ProtoRetryPolicy
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy as ConflictPolicy
from temporalio.api.enums.v1 import WorkflowIdReusePolicy as ReusePolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import TerminateWorkflowExecutionRequest
from temporalio.client import Client, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.common import Priority, RetryPolicy, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow
from compat_tests.scenarios.core import Hello, Signals, Sleeper, greet


async def _close(env: Env, workflow_id: str, how: str) -> None:
    if how == "terminated":
        execution = WorkflowExecution(workflow_id=workflow_id)
        request = TerminateWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=execution)
        await env.rpc.terminate_workflow_execution(request)
    else:
        failure = Failure(message="no", application_failure_info=ApplicationFailureInfo())
        await RawWorker(env).run_task(complete_workflow() if how == "completed" else fail_workflow(failure))


async def _reuse(env: Env, policy: ReusePolicy.ValueType) -> None:
    """Start again after each way to close."""
    for how in ("completed", "failed", "terminated"):
        workflow_id = env.id(how)
        await env.start_raw(workflow_id)
        await _close(env, workflow_id, how)
        await env.outcome(f"again after {how}", env.start_raw(workflow_id, workflow_id_reuse_policy=policy))
        await env.history(workflow_id)
        await env.outcome("terminate", _close(env, workflow_id, "terminated"))


async def scenario_reuse_allow_duplicate(env: Env) -> None:
    await _reuse(env, ReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)


async def scenario_reuse_failed_only(env: Env) -> None:
    await _reuse(env, ReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY)


async def scenario_reuse_reject_duplicate(env: Env) -> None:
    await _reuse(env, ReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)


async def scenario_reuse_unspecified(env: Env) -> None:
    await _reuse(env, ReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED)


async def scenario_reuse_terminate_if_running(env: Env) -> None:
    workflow_id = env.id()
    first = await env.start_raw(workflow_id)
    policy = ReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    await env.outcome("again", env.start_raw(workflow_id, workflow_id_reuse_policy=policy))
    await env.history(_handle(env, workflow_id, first.run_id), "terminated run")
    await env.history(workflow_id, "new run")


def _handle(env: Env, workflow_id: str, run_id: str) -> WorkflowHandle[Any, Any]:
    return env.client.get_workflow_handle(workflow_id, run_id=run_id)


async def scenario_conflict_policies(env: Env) -> None:
    workflow_id = env.id()
    first = await env.start_raw(workflow_id)
    for policy in ("UNSPECIFIED", "FAIL", "USE_EXISTING", "TERMINATE_EXISTING"):
        value = ConflictPolicy.Value(f"WORKFLOW_ID_CONFLICT_POLICY_{policy}")
        await env.outcome(policy, env.start_raw(workflow_id, workflow_id_conflict_policy=value))
    await env.history(_handle(env, workflow_id, first.run_id), "terminated run")
    await env.history(workflow_id, "new run")


async def scenario_conflict_beats_reuse(env: Env) -> None:
    """The conflict policy rules while a run is open, the reuse policy after."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    fields: dict[str, Any] = {
        "workflow_id_conflict_policy": ConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        "workflow_id_reuse_policy": ReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
    }
    await env.outcome("open", env.start_raw(workflow_id, **fields))
    await _close(env, workflow_id, "terminated")
    await env.outcome("closed", env.start_raw(workflow_id, **fields))


async def scenario_use_existing_on_conflict_options(env: Env) -> None:
    """Attaching a request id to the open run writes an event and deduplicates."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    request = env.start_request(
        workflow_id, workflow_id_conflict_policy=ConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    )
    request.on_conflict_options.attach_request_id = True
    await env.outcome("attached", env.rpc.start_workflow_execution(request))
    await env.outcome("attached again", env.rpc.start_workflow_execution(request))
    await env.history(workflow_id)


async def scenario_request_id_dedup(env: Env) -> None:
    workflow_id, request_id = env.id(), str(uuid.uuid4())
    await env.outcome("first", env.start_raw(workflow_id, request_id=request_id))
    await env.outcome("same request", env.start_raw(workflow_id, request_id=request_id))
    await env.outcome("other request", env.start_raw(workflow_id))
    await _close(env, workflow_id, "completed")
    await env.outcome("same request, closed", env.start_raw(workflow_id, request_id=request_id))
    await env.history(workflow_id)


async def scenario_already_started_in_sdk(env: Env) -> None:
    workflow_id = env.id()
    await env.client.start_workflow("Raw", id=workflow_id, task_queue=env.queue)
    again = env.client.start_workflow("Raw", id=workflow_id, task_queue=env.queue)
    await env.outcome("again", again)
    existing = await env.client.start_workflow(
        "Raw", id=workflow_id, task_queue=env.queue, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
    )
    env.record("existing", [existing.id, existing.run_id, existing.first_execution_run_id])
    await existing.terminate()
    rejected = env.client.start_workflow(
        "Raw", id=workflow_id, task_queue=env.queue, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE
    )
    await env.outcome("rejected", rejected)


async def scenario_start_with_everything(env: Env) -> None:
    """Memo, summary and details, timeouts, priority, retry policy: in the history and in the description."""
    async with env.worker(Hello, activities=[greet]):
        handle = await env.client.start_workflow(
            Hello.run,
            "all",
            id=env.id(),
            task_queue=env.queue,
            memo={"text": "m", "number": 1},
            static_summary="a summary",
            static_details="some\n\ndetails",
            execution_timeout=timedelta(minutes=3),
            run_timeout=timedelta(minutes=2),
            task_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Fatal"]),
            priority=Priority(priority_key=2, fairness_key="tenant", fairness_weight=1.5),
        )
        await env.outcome("result", handle.result())
        await env.history(handle)
        description = await handle.describe()
        env.record("description", description.raw_description)
        env.record("memo", await description.memo())
        env.record("summary", [await description.static_summary(), await description.static_details()])


async def scenario_start_eager(env: Env) -> None:
    """The starter asks for the first task itself."""
    workflow_id, worker = env.id(), RawWorker(env)
    response = await env.start_raw(workflow_id, request_eager_execution=True)
    env.record("response", response)
    if response.HasField("eager_workflow_task"):
        await worker.complete(response.eager_workflow_task, complete_workflow())
    else:
        await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_timeouts_are_capped(env: Env) -> None:
    """A run or task timeout longer than the execution timeout is cut; a task timeout has a maximum."""
    for number, (execution, run, task) in enumerate([(10, 20, 0), (10, 0, 30), (0, 0, 10_000), (0, 5, 7), (3, 2, 1)]):
        workflow_id = env.id(f"w{number}")
        await env.start_raw(
            workflow_id,
            workflow_execution_timeout=Duration(seconds=execution),
            workflow_run_timeout=Duration(seconds=run),
            workflow_task_timeout=Duration(seconds=task),
        )
        await env.history(workflow_id)


async def scenario_retry_policy_defaults(env: Env) -> None:
    """Unset fields of a workflow's retry policy are filled in."""
    policies = [
        ProtoRetryPolicy(),
        ProtoRetryPolicy(initial_interval=Duration(seconds=3)),
        ProtoRetryPolicy(backoff_coefficient=1, maximum_attempts=1),
        ProtoRetryPolicy(initial_interval=Duration(seconds=2), maximum_interval=Duration(seconds=4)),
    ]
    for number, policy in enumerate(policies):
        workflow_id = env.id(f"w{number}")
        await env.start_raw(workflow_id, retry_policy=policy)
        await env.history(workflow_id)


async def scenario_execution_timeout(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(
            Sleeper.run, 100.0, id=env.id(), task_queue=env.queue, execution_timeout=seconds(3)
        )
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_run_timeout(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(
            Sleeper.run, 100.0, id=env.id(), task_queue=env.queue, run_timeout=seconds(3)
        )
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_run_timeout_without_worker(env: Env) -> None:
    handle = await env.client.start_workflow("Raw", id=env.id(), task_queue=env.queue, run_timeout=seconds(1))
    await env.outcome("result", handle.result())
    await env.history(handle)


async def scenario_start_delay(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(
            Sleeper.run, 0.0, id=env.id(), task_queue=env.queue, start_delay=seconds(2)
        )
        await env.history(handle, "while delayed")
        env.record("description while delayed", (await handle.describe()).raw_description)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_start_delay_ended_by_signal(env: Env) -> None:
    """A signal does not end the delay, signal-with-start does not either; cancel does nothing before it."""
    async with env.worker(Signals):
        handle = await env.client.start_workflow(
            Signals.run, 1, id=env.id(), task_queue=env.queue, start_delay=seconds(2)
        )
        await handle.signal(Signals.add, "early")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_cancel_during_start_delay(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(
            Sleeper.run, 50.0, id=env.id(), task_queue=env.queue, start_delay=seconds(2)
        )
        await handle.cancel()
        await env.outcome("result", handle.result())
        await env.history(handle)


# Headers travel from the client to the workflow and on to the activity.


class _ClientOutbound(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.headers = {"tenant": _payload("blue")}
        return await super().start_workflow(input)


class _Client(ClientInterceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _ClientOutbound(next)


class _WorkflowOutbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = dict(workflow.info().headers)
        return super().start_activity(input)


class _WorkflowInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        return [_texts(input.headers), await super().execute_workflow(input)]


class _ActivityInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return f"{_texts(input.headers)} {await super().execute_activity(input)}"


class _Worker(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ActivityInbound(next)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _WorkflowInbound


def _payload(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())


def _texts(headers: Mapping[str, Payload]) -> dict[str, str]:
    return {name: payload.data.decode() for name, payload in headers.items()}


async def scenario_headers(env: Env) -> None:
    config = env.client.config()
    config["interceptors"] = [_Client()]
    client = Client(**config)
    async with env.worker(Hello, activities=[greet], interceptors=[_Worker()]):
        handle = await client.start_workflow(Hello.run, "x", id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle, replay=False)


# Results of every kind.


@dataclass
class Point:
    x: int
    y: list[str]


@activity.defn
async def echo(value: Any) -> Any:
    return value


@workflow.defn
class Results:
    @workflow.run
    async def run(self, kind: str) -> Any:
        values: dict[str, Any] = {
            "none": None,
            "text": "täxt",
            "number": 1.5,
            "bytes": b"\x00\xff",
            "dataclass": Point(1, ["a"]),
            "proto": WorkflowType(name="proto"),
        }
        return await workflow.execute_activity(echo, values[kind], start_to_close_timeout=seconds(30))


async def scenario_results(env: Env) -> None:
    async with env.worker(Results, activities=[echo]):
        for kind in ("none", "text", "number", "bytes", "dataclass", "proto"):
            handle = await env.client.start_workflow(Results.run, kind, id=env.id(kind), task_queue=env.queue)
            await env.outcome(kind, handle.result())
            await env.history(handle)
