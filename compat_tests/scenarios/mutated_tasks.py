"""Every request of workers with one field spoiled, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkerVersionStamp, WorkflowExecution
from temporalio.api.enums.v1 import QueryResultType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.mutations import send_each
from compat_tests.raw import RawWorker, complete_workflow, payloads, schedule_activity, sticky
from compat_tests.targets import IDENTITY

_POLL_SECONDS = 2.5


class _Tasks:
    """A workflow whose first task is in the hands of a worker: a new one for each answer that was accepted."""

    def __init__(self, env: Env) -> None:
        self.env, self.worker, self.number, self.workflow_id = env, RawWorker(env), 0, ""

    async def workflow_task(self) -> service.PollWorkflowTaskQueueResponse:
        self.number += 1
        self.workflow_id = self.env.id(f"w{self.number}")
        await self.env.start_raw(self.workflow_id)
        return await self.worker.poll()

    async def activity_task(self) -> service.PollActivityTaskQueueResponse:
        task = await self.workflow_task()
        await self.worker.complete(task, schedule_activity(self.env))
        return await self.worker.poll_activity()

    async def finish(self, request: Any) -> None:
        """End the workflow, and record all that happened to it."""
        del request
        await self.env.client.get_workflow_handle(self.workflow_id).terminate()
        await self.env.history(self.workflow_id)

    async def finish_closed(self, request: Any) -> None:
        """Record all that happened to a workflow that is closed."""
        del request
        await self.env.history(self.workflow_id)


async def scenario_mutated_workflow_task_completed(env: Env) -> None:
    tasks = _Tasks(env)

    async def prepare() -> Message:
        task = await tasks.workflow_task()
        return service.RespondWorkflowTaskCompletedRequest(
            namespace=NAMESPACE,
            task_token=task.task_token,
            identity=IDENTITY,
            sticky_attributes=sticky(env.unique("sticky")),
            worker_version_stamp=WorkerVersionStamp(build_id="1"),
            commands=[complete_workflow()],
        )

    skip = frozenset({"commands", "messages", "query_results", "force_create_new_workflow_task"})
    await send_each(env, prepare, env.rpc.respond_workflow_task_completed, finish=tasks.finish_closed, skip=skip)


async def scenario_mutated_workflow_task_failed(env: Env) -> None:
    tasks = _Tasks(env)

    async def prepare() -> Message:
        task = await tasks.workflow_task()
        return service.RespondWorkflowTaskFailedRequest(
            namespace=NAMESPACE,
            task_token=task.task_token,
            identity=IDENTITY,
            cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
            failure=Failure(message="x"),
        )

    await send_each(
        env, prepare, env.rpc.respond_workflow_task_failed, finish=tasks.finish, skip=frozenset({"messages"})
    )


async def _activity(env: Env, rpc: Any, make: Callable[[service.PollActivityTaskQueueResponse], Message]) -> None:
    tasks = _Tasks(env)

    async def prepare() -> Message:
        return make(await tasks.activity_task())

    async def call(request: Any) -> Any:
        return await rpc(request, timeout=seconds(10))

    await send_each(env, prepare, call, finish=tasks.finish)


def _by_token(task: service.PollActivityTaskQueueResponse) -> dict[str, Any]:
    return {"namespace": NAMESPACE, "task_token": task.task_token, "identity": IDENTITY}


def _by_id(task: service.PollActivityTaskQueueResponse) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "workflow_id": task.workflow_execution.workflow_id,
        "run_id": task.workflow_execution.run_id,
        "activity_id": task.activity_id,
        "identity": IDENTITY,
    }


async def scenario_mutated_activity_completed(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_completed,
        lambda task: service.RespondActivityTaskCompletedRequest(**_by_token(task), result=payloads("1")),
    )


async def scenario_mutated_activity_completed_by_id(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_completed_by_id,
        lambda task: service.RespondActivityTaskCompletedByIdRequest(**_by_id(task), result=payloads("1")),
    )


def _failure() -> Failure:
    return Failure(message="x", application_failure_info=ApplicationFailureInfo(type="T", non_retryable=True))


async def scenario_mutated_activity_failed(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_failed,
        lambda task: service.RespondActivityTaskFailedRequest(**_by_token(task), failure=_failure()),
    )


async def scenario_mutated_activity_failed_by_id(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_failed_by_id,
        lambda task: service.RespondActivityTaskFailedByIdRequest(**_by_id(task), failure=_failure()),
    )


async def scenario_mutated_activity_canceled(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_canceled,
        lambda task: service.RespondActivityTaskCanceledRequest(**_by_token(task), details=payloads("1")),
    )


async def scenario_mutated_activity_canceled_by_id(env: Env) -> None:
    await _activity(
        env,
        env.rpc.respond_activity_task_canceled_by_id,
        lambda task: service.RespondActivityTaskCanceledByIdRequest(**_by_id(task), details=payloads("1")),
    )


async def scenario_mutated_heartbeat(env: Env) -> None:
    await _activity(
        env,
        env.rpc.record_activity_task_heartbeat,
        lambda task: service.RecordActivityTaskHeartbeatRequest(**_by_token(task), details=payloads("1")),
    )


async def scenario_mutated_heartbeat_by_id(env: Env) -> None:
    await _activity(
        env,
        env.rpc.record_activity_task_heartbeat_by_id,
        lambda task: service.RecordActivityTaskHeartbeatByIdRequest(**_by_id(task), details=payloads("1")),
    )


async def scenario_mutated_query_answer(env: Env) -> None:
    """The query itself is answered by none of them in the end: its asker gives up."""
    worker = RawWorker(env)
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    asked: list[asyncio.Task[Any]] = []

    async def prepare() -> Message:
        request = service.QueryWorkflowRequest(
            namespace=NAMESPACE,
            execution=WorkflowExecution(workflow_id=workflow_id),
            query=WorkflowQuery(query_type="q"),
        )
        asked.append(asyncio.create_task(_answer_of(env, request)))
        task = await worker.poll()
        return service.RespondQueryTaskCompletedRequest(
            namespace=NAMESPACE,
            task_token=task.task_token,
            completed_type=QueryResultType.QUERY_RESULT_TYPE_ANSWERED,
            query_result=payloads("1"),
        )

    async def finish(request: Any) -> None:
        del request
        env.record("answer", await asked[-1])

    # An answer that is neither a result nor a failure leaves its asker waiting.
    skip = frozenset({"completed_type"})
    await send_each(env, prepare, env.rpc.respond_query_task_completed, finish=finish, skip=skip)
    asked[-1].cancel()


async def _answer_of(env: Env, request: service.QueryWorkflowRequest) -> Any:
    try:
        return await env.rpc.query_workflow(request, timeout=seconds(20))
    except Exception as error:
        return error


async def scenario_mutated_workflow_poll(env: Env) -> None:
    """On an empty queue: what is accepted waits in vain."""

    async def prepare() -> Message:
        return service.PollWorkflowTaskQueueRequest(
            namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue), identity=IDENTITY
        )

    async def call(request: Any) -> Any:
        return await env.rpc.poll_workflow_task_queue(request, timeout=seconds(_POLL_SECONDS))

    await send_each(env, prepare, call, at_once=True)


async def scenario_mutated_activity_poll(env: Env) -> None:
    """On an empty queue: what is accepted waits in vain."""

    async def prepare() -> Message:
        return service.PollActivityTaskQueueRequest(
            namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue), identity=IDENTITY
        )

    async def call(request: Any) -> Any:
        return await env.rpc.poll_activity_task_queue(request, timeout=seconds(_POLL_SECONDS))

    await send_each(env, prepare, call, at_once=True)
