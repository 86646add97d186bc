"""Every request of operators with one field spoiled, field by field: resets, activities, options of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Priority, RetryPolicy, WorkflowExecution
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.mutations import send_each
from compat_tests.raw import RawWorker, schedule_activity
from compat_tests.raw_resets import describe
from compat_tests.targets import IDENTITY

_REQUEST_ID = "7d1f1c9e-3f4e-4a53-9c0d-0b7a2f6f5a11"


class _Run:
    """A run with one pending activity, "1": a new one for each request that was accepted."""

    def __init__(self, env: Env) -> None:
        self.env, self.number, self.workflow_id = env, 0, ""
        self.worker = RawWorker(env)

    async def new(self) -> WorkflowExecution:
        """Its first task is answered, so that there is something to reset to."""
        self.number += 1
        self.workflow_id = self.env.id(f"w{self.number}")
        started = await self.env.start_raw(self.workflow_id)
        await self.worker.run_task(schedule_activity(self.env, "1", heartbeat_timeout=Duration(seconds=500)))
        return WorkflowExecution(workflow_id=self.workflow_id, run_id=started.run_id)

    async def finish(self, request: Any) -> None:
        """Record what was done, and end it, so that no task of it is left for the next."""
        del request
        description = await describe(self.env, self.workflow_id)
        self.env.record("activities", list(description.pending_activities))
        self.env.record("config", description.execution_config)
        await self.env.client.get_workflow_handle(self.workflow_id).terminate()
        await self.env.history(self.workflow_id)


async def _each(
    env: Env, rpc: Any, make: Callable[[WorkflowExecution], Message], skip: frozenset[str] = frozenset()
) -> None:
    run = _Run(env)

    async def prepare() -> Message:
        return make(await run.new())

    async def call(request: Any) -> Any:
        return await rpc(request, timeout=seconds(10))

    await send_each(env, prepare, call, finish=run.finish, skip=skip)


def _which(execution: WorkflowExecution) -> dict[str, Any]:
    return {"namespace": NAMESPACE, "execution": execution, "identity": IDENTITY}


async def scenario_mutated_reset(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.ResetWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=execution,
            reason="once more",
            workflow_task_finish_event_id=4,
            request_id=_REQUEST_ID,
            identity=IDENTITY,
        )

    # An internal error of the real server.
    skip = frozenset({"reset_reapply_type: unknown number"})
    await _each(env, env.rpc.reset_workflow_execution, make, skip)


async def scenario_mutated_pause_activity(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.PauseActivityRequest(**_which(execution), id="1", reason="enough", request_id=_REQUEST_ID)

    await _each(env, env.rpc.pause_activity, make)


async def scenario_mutated_unpause_activity(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.UnpauseActivityRequest(**_which(execution), id="1", reset_attempts=True)

    # The real server does not look at it when nothing is paused.
    await _each(env, env.rpc.unpause_activity, make, frozenset({"jitter: negative"}))


async def scenario_mutated_reset_activity(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.ResetActivityRequest(**_which(execution), id="1", keep_paused=True)

    # The next attempt of the real server is then at a random time, within the jitter.
    await _each(env, env.rpc.reset_activity, make, frozenset({"jitter"}))


async def scenario_mutated_activity_options(env: Env) -> None:
    paths = ["task_queue.name", "schedule_to_close_timeout", "start_to_close_timeout", "heartbeat_timeout"]
    paths += ["retry_policy.initial_interval", "retry_policy.maximum_attempts", "priority.priority_key"]

    def make(execution: WorkflowExecution) -> Message:
        options = ActivityOptions(
            task_queue=TaskQueue(name=env.queue),
            schedule_to_close_timeout=Duration(seconds=700),
            start_to_close_timeout=Duration(seconds=600),
            heartbeat_timeout=Duration(seconds=500),
            retry_policy=RetryPolicy(initial_interval=Duration(seconds=2), maximum_attempts=7),
            priority=Priority(priority_key=2),
        )
        return service.UpdateActivityOptionsRequest(
            **_which(execution), id="1", activity_options=options, update_mask=FieldMask(paths=paths)
        )

    # The real server keeps that it was given a duration of nothing.
    skip = frozenset({"activity_options.retry_policy.initial_interval: zero"})
    await _each(env, env.rpc.update_activity_options, make, skip)


async def scenario_mutated_execution_options(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.UpdateWorkflowExecutionOptionsRequest(
            namespace=NAMESPACE,
            workflow_execution=execution,
            workflow_execution_options=WorkflowExecutionOptions(priority=Priority(priority_key=2)),
            update_mask=FieldMask(paths=["priority"]),
            identity=IDENTITY,
        )

    await _each(env, env.rpc.update_workflow_execution_options, make)


def _whole(execution: WorkflowExecution) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "workflow_id": execution.workflow_id,
        "run_id": execution.run_id,
        "identity": IDENTITY,
        "reason": "enough",
        "request_id": _REQUEST_ID,
    }


async def scenario_mutated_pause_workflow(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.PauseWorkflowExecutionRequest(**_whole(execution))

    await _each(env, env.rpc.pause_workflow_execution, make)


async def scenario_mutated_unpause_workflow(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Message:
        return service.UnpauseWorkflowExecutionRequest(**_whole(execution))

    await _each(env, env.rpc.unpause_workflow_execution, make)
