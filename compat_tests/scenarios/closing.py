"""How workflows end: failures of every kind, cancellation, termination."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.command.v1 import CancelWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import (
    ActivityFailureInfo,
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, fail_workflow, payloads, start_timer
from compat_tests.scenarios.core import Cleanup, Sleeper, always_fails, greet
from compat_tests.targets import IDENTITY


@workflow.defn
class Fails:
    @workflow.run
    async def run(self, kind: str) -> None:
        if kind == "details":
            raise ApplicationError("message", {"a": 1}, "two", type="Kind", non_retryable=True)
        if kind == "benign":
            raise ApplicationError("benign", category=ApplicationErrorCategory.BENIGN)
        if kind == "cause":
            try:
                raise ApplicationError("inner", type="Inner")
            except ApplicationError as inner:
                raise ApplicationError("outer", type="Outer") from inner
        if kind == "cancelled":
            raise asyncio.CancelledError
        if kind == "activity":
            await workflow.execute_activity(
                always_fails,
                "why",
                start_to_close_timeout=seconds(30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )


class Listed(Exception):
    """Fails the workflow, because the workflow lists it."""


@workflow.defn(failure_exception_types=[Listed])
class FailsByListedType:
    @workflow.run
    async def run(self) -> None:
        raise Listed("listed")


@workflow.defn
class BrokenThenFixed:
    @workflow.run
    async def run(self, key: str) -> str:
        if key in _BROKEN:
            raise ValueError("bug")
        return "fixed"


_BROKEN: set[str] = set()


@workflow.defn
class IgnoresCancel:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.sleep(100)
        except asyncio.CancelledError:
            await workflow.sleep(0.1)
        return "ignored"


@workflow.defn
class SwallowsTwice:
    """Counts cancellations; the second request changes nothing."""

    @workflow.run
    async def run(self) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await workflow.wait_condition(lambda: False)
        await workflow.sleep(2)
        return "once"


async def scenario_workflow_failure_kinds(env: Env) -> None:
    async with env.worker(Fails, activities=[always_fails]):
        for kind in ("details", "benign", "cause", "cancelled", "activity"):
            handle = await env.client.start_workflow(Fails.run, kind, id=env.id(kind), task_queue=env.queue)
            await env.outcome(kind, handle.result())
            await env.history(handle)
            env.record("description", (await handle.describe()).raw_description)


async def scenario_workflow_failure_by_listed_type(env: Env) -> None:
    async with env.worker(FailsByListedType):
        handle = await env.client.start_workflow(FailsByListedType.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_workflow_plain_error_fails_task(env: Env) -> None:
    """An exception that is not Temporal's fails the task, not the workflow, until the code is repaired."""
    workflow_id = env.id()
    _BROKEN.add(workflow_id)
    async with env.worker(BrokenThenFixed):
        handle = await env.client.start_workflow(BrokenThenFixed.run, workflow_id, id=workflow_id, task_queue=env.queue)
        await env.wait_event(handle, "WORKFLOW_TASK_FAILED")
        _BROKEN.discard(workflow_id)
        await env.outcome("result", handle.result())
    history = await env.fetch_history(workflow_id)
    env.record("types", [event.event_type for event in history.events])
    env.record("failed task", history.events[3].workflow_task_failed_event_attributes)


async def scenario_workflow_type_unknown(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow("Unknown", id=env.id(), task_queue=env.queue)
        failed = await env.wait_event(handle, "WORKFLOW_TASK_FAILED")
        env.record("failed task", failed)
        await handle.terminate()


async def scenario_workflow_failure_infos(env: Env) -> None:
    """Failures of any kind may fail a workflow; they are kept as they are."""
    failures = {
        "empty": Failure(),
        "application": Failure(
            message="a", source="S", stack_trace="t", application_failure_info=ApplicationFailureInfo()
        ),
        "encoded": Failure(message="Encoded failure", encoded_attributes=payloads('{"message": "m"}').payloads[0]),
        "timeout": Failure(
            message="t", timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_HEARTBEAT)
        ),
        "cancelled": Failure(message="c", canceled_failure_info=CanceledFailureInfo(details=payloads("1"))),
        "terminated": Failure(message="t", terminated_failure_info=TerminatedFailureInfo()),
        "activity": Failure(
            message="a", activity_failure_info=ActivityFailureInfo(activity_id="1"), cause=Failure(message="cause")
        ),
    }
    worker = RawWorker(env)
    for name, failure in failures.items():
        handle = await env.client.start_workflow("Raw", id=env.id(name), task_queue=env.queue)
        await env.outcome("answer", worker.run_task(fail_workflow(failure)))
        await env.outcome(name, handle.result())
        await env.history(handle)


# Cancellation.


async def scenario_cancel_before_first_task(env: Env) -> None:
    handle = await env.client.start_workflow(Cleanup.run, id=env.id(), task_queue=env.queue)
    await handle.cancel()
    async with env.worker(Cleanup, activities=[greet]):
        await env.outcome("result", handle.result())
    await env.history(handle)


async def scenario_cancel_ignored(env: Env) -> None:
    async with env.worker(IgnoresCancel):
        handle = await env.client.start_workflow(IgnoresCancel.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.cancel()
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_cancel_twice(env: Env) -> None:
    """The second request (with another request id) is refused or ignored; there is one event."""
    async with env.worker(SwallowsTwice):
        handle = await env.client.start_workflow(SwallowsTwice.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("first", handle.cancel())
        await env.wait_event(handle, "TIMER_STARTED")
        await env.outcome("second", handle.cancel())
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_cancel_closed(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 0.0, id=env.id(), task_queue=env.queue)
        await handle.result()
        await env.outcome("cancel", handle.cancel())
        await env.history(handle)


def _cancel(env: Env, workflow_id: str, **fields: Any) -> Any:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_execution": WorkflowExecution(workflow_id=workflow_id),
        "identity": IDENTITY,
        "request_id": str(uuid.uuid4()),
    }
    return env.rpc.request_cancel_workflow_execution(RequestCancelWorkflowExecutionRequest(**{**defaults, **fields}))


async def scenario_cancel_request_fields(env: Env) -> None:
    """Reason and request id, run ids that match and that do not."""
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    await RawWorker(env).run_task(start_timer("t", 60))
    await env.outcome("wrong first run", _cancel(env, workflow_id, first_execution_run_id=str(uuid.uuid4())))
    request_id = str(uuid.uuid4())
    fields: dict[str, Any] = {"reason": "why", "request_id": request_id, "first_execution_run_id": run_id}
    await env.outcome("first", _cancel(env, workflow_id, **fields))
    await env.outcome("same request", _cancel(env, workflow_id, **fields))
    await env.outcome("other request", _cancel(env, workflow_id))
    attributes = CancelWorkflowExecutionCommandAttributes(details=payloads('"why"'))
    await RawWorker(env).run_task(
        command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=attributes)
    )
    await env.outcome("closed, other request", _cancel(env, workflow_id))
    await env.outcome("closed, wrong first run", _cancel(env, workflow_id, first_execution_run_id=str(uuid.uuid4())))
    await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())
    await env.history(workflow_id)


async def scenario_cancel_without_request(env: Env) -> None:
    """A worker may end a workflow as cancelled although nobody asked."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    attributes = CancelWorkflowExecutionCommandAttributes(details=payloads('"d"'))
    cancel = command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=attributes)
    await env.outcome("answer", RawWorker(env).run_task(cancel))
    await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())
    await env.history(workflow_id)


async def scenario_cancel_then_complete(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await _cancel(env, workflow_id)
    env.record("task", await RawWorker(env).run_task(complete_workflow()))
    await env.history(workflow_id)


# Termination.


def _terminate(env: Env, workflow_id: str, **fields: Any) -> Any:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_execution": WorkflowExecution(workflow_id=workflow_id),
        "identity": IDENTITY,
    }
    return env.rpc.terminate_workflow_execution(TerminateWorkflowExecutionRequest(**{**defaults, **fields}))


async def scenario_terminate_request_fields(env: Env) -> None:
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    other = str(uuid.uuid4())
    await env.outcome("wrong first run", _terminate(env, workflow_id, first_execution_run_id=other))
    wrong_run = WorkflowExecution(workflow_id=workflow_id, run_id=other)
    await env.outcome("wrong run", _terminate(env, workflow_id, workflow_execution=wrong_run))
    fields: dict[str, Any] = {"reason": "why", "details": payloads("1"), "first_execution_run_id": run_id}
    await env.outcome("right", _terminate(env, workflow_id, **fields))
    await env.outcome("again", _terminate(env, workflow_id, **fields))
    await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())
    await env.history(workflow_id)
    description = await env.client.get_workflow_handle(workflow_id).describe()
    env.record("description", description.raw_description)


async def scenario_terminate_while_task_started(env: Env) -> None:
    """The started task is not written as failed; buffered events are."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    worker = RawWorker(env)
    task = await worker.poll()
    await env.client.get_workflow_handle(workflow_id).signal("s")
    await _terminate(env, workflow_id)
    await env.outcome("answer", worker.complete(task, complete_workflow()))
    await env.history(workflow_id)


async def scenario_terminate_during_transient_task(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    worker = RawWorker(env)
    await worker.fail(await worker.poll())
    await worker.poll()
    await _terminate(env, workflow_id)
    await env.history(workflow_id)


async def scenario_run_timeout_while_task_started(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id, workflow_run_timeout=Duration(seconds=2))
    worker = RawWorker(env)
    task = await worker.poll()
    await env.client.get_workflow_handle(workflow_id).signal("s")
    await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())
    await env.outcome("answer", worker.complete(task, complete_workflow()))
    await env.history(workflow_id)
