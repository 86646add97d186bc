"""Queries: of running, closed and broken workflows, by the SDK and by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import QueryRejectCondition, QueryResultType, TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    QueryWorkflowRequest,
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
)
from temporalio.common import QueryRejectCondition as Reject
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, payloads, start_timer, sticky


@workflow.defn
class Queried:
    def __init__(self) -> None:
        self._state = "new"

    @workflow.run
    async def run(self, end: str) -> str:
        self._state = "running"
        await workflow.wait_condition(lambda: self._state == "go")
        self._state = "ended"
        if end == "fail":
            raise ApplicationError("failed")
        return end

    @workflow.signal
    def go(self) -> None:
        self._state = "go"

    @workflow.query
    def state(self, prefix: str = "") -> str:
        return prefix + self._state

    @workflow.query
    def broken(self) -> str:
        raise ValueError("the handler is broken")

    @workflow.query(dynamic=True)
    def any_query(self, name: str, args: Sequence[RawValue]) -> str:
        if name == "dynamic":
            return f"{name} with {len(args)}"
        raise ValueError("no such query")


@workflow.defn
class NoQueries:
    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: False)
        return ""


@workflow.defn
class FailsTask:
    """Its first task fails, always."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("bug")

    @workflow.query
    def state(self) -> str:
        return "state"


async def scenario_query_kinds(env: Env) -> None:
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "ok", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("with argument", handle.query(Queried.state, "is "))
        await env.outcome("by name", handle.query("state"))
        await env.outcome("dynamic", handle.query("dynamic", args=[1, 2]))
        await env.outcome("failing handler", handle.query(Queried.broken))
        await env.outcome("rejected: not open", handle.query("state", reject_condition=Reject.NOT_OPEN))
        await handle.signal(Queried.go)
        await handle.result()
        await env.outcome("closed", handle.query(Queried.state))
        await env.outcome("closed, not open", handle.query("state", reject_condition=Reject.NOT_OPEN))
        condition = Reject.NOT_COMPLETED_CLEANLY
        await env.outcome("closed, not completed cleanly", handle.query("state", reject_condition=condition))
        await env.history(handle)


async def scenario_query_unknown(env: Env) -> None:
    async with env.worker(NoQueries):
        handle = await env.client.start_workflow(NoQueries.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("unknown", handle.query("unknown"))
        await env.outcome("metadata", handle.query("__temporal_workflow_metadata", result_type=dict))


async def scenario_query_failed_workflow(env: Env) -> None:
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "fail", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal(Queried.go)
        await env.outcome("result", handle.result())
        await env.outcome("failed", handle.query(Queried.state))
        condition = Reject.NOT_COMPLETED_CLEANLY
        await env.outcome("failed, not completed cleanly", handle.query("state", reject_condition=condition))


async def scenario_query_after_restart(env: Env) -> None:
    """A worker that has never seen the workflow answers from the history."""
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "ok", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
    async with env.worker(Queried):
        await env.outcome("open", handle.query(Queried.state))
        await handle.signal(Queried.go)
        await handle.result()
    async with env.worker(Queried):
        await env.outcome("closed", handle.query(Queried.state))


async def scenario_query_no_worker(env: Env) -> None:
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "ok", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
    await env.outcome("nobody answers", handle.query(Queried.state, rpc_timeout=seconds(1)))


async def scenario_query_before_first_task(env: Env) -> None:
    """The query waits for the first task; without one it times out."""
    workflow_id = env.id()
    handle = await env.client.start_workflow(Queried.run, "ok", id=workflow_id, task_queue=env.queue)
    waiting = asyncio.create_task(handle.query(Queried.state))
    async with env.worker(Queried):
        await env.outcome("answer", waiting)


async def _query(env: Env, workflow_id: str, name: str = "q", **fields: Any) -> QueryWorkflowResponse:
    request = QueryWorkflowRequest(
        namespace=NAMESPACE,
        execution=WorkflowExecution(workflow_id=workflow_id),
        query=WorkflowQuery(query_type=name, query_args=payloads("1")),
        **fields,
    )
    return await env.rpc.query_workflow(request, timeout=seconds(20))


async def _answer(env: Env, task: PollWorkflowTaskQueueResponse, **fields: Any) -> None:
    request = RespondQueryTaskCompletedRequest(namespace=NAMESPACE, task_token=task.task_token, **fields)
    await env.rpc.respond_query_task_completed(request)


ANSWERED = QueryResultType.QUERY_RESULT_TYPE_ANSWERED
FAILED = QueryResultType.QUERY_RESULT_TYPE_FAILED


async def scenario_query_task_fields(env: Env) -> None:
    """A query of an idle workflow is a task of its own that changes nothing."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 60))
    waiting = asyncio.create_task(_query(env, workflow_id))
    task = await worker.poll()
    env.record("task", task)
    await env.outcome("accepted", _answer(env, task, completed_type=ANSWERED, query_result=payloads('"r"')))
    await env.outcome("answer", waiting)
    await env.outcome("answered twice", _answer(env, task, completed_type=ANSWERED, query_result=payloads('"r"')))
    await env.history(workflow_id)


async def scenario_query_task_failed(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 60))
    waiting = asyncio.create_task(_query(env, workflow_id))
    failure = Failure(message="the failure")
    answer = _answer(env, await worker.poll(), completed_type=FAILED, error_message="the message", failure=failure)
    await env.outcome("accepted", answer)
    await env.outcome("answer", waiting)


async def scenario_query_closed_by_hand(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(complete_workflow())
    condition = QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN
    await env.outcome("rejected", _query(env, workflow_id, query_reject_condition=condition))
    waiting = asyncio.create_task(_query(env, workflow_id))
    task = await worker.poll()
    env.record("task", task)
    await _answer(env, task, completed_type=ANSWERED, query_result=payloads('"r"'))
    await env.outcome("answer", waiting)


async def scenario_query_with_task(env: Env) -> None:
    """A query while a task is scheduled is attached to it, and answered with it."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 60))
    await env.client.get_workflow_handle(workflow_id).signal("s")
    waiting = asyncio.create_task(_query(env, workflow_id))
    await asyncio.sleep(0.5)
    task = await worker.poll()
    env.record("task", {"queries": list(task.queries.values()), "started": task.started_event_id})
    results = {k: WorkflowQueryResult(result_type=ANSWERED, answer=payloads('"with"')) for k in task.queries}
    await worker.complete(task, complete_workflow(), query_results=results)
    await env.outcome("answer", waiting)
    await env.history(workflow_id)


async def scenario_query_with_task_unanswered(env: Env) -> None:
    """A task that does not answer the query: it is asked again."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 60))
    await env.client.get_workflow_handle(workflow_id).signal("s")
    waiting = asyncio.create_task(_query(env, workflow_id))
    await asyncio.sleep(0.5)
    await worker.complete(await worker.poll())
    task = await worker.poll()
    env.record("second task", {"query": task.query, "queries": len(task.queries)})
    await _answer(env, task, completed_type=ANSWERED, query_result=payloads('"later"'))
    await env.outcome("answer", waiting)
    await env.history(workflow_id)


async def scenario_query_while_task_started(env: Env) -> None:
    """A query during a started task waits for its end."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 60))
    await env.client.get_workflow_handle(workflow_id).signal("s")
    task = await worker.poll()
    waiting = asyncio.create_task(_query(env, workflow_id))
    await asyncio.sleep(0.5)
    await worker.complete(task)
    query_task = await worker.poll()
    env.record("query task", {"query": query_task.query, "queries": len(query_task.queries)})
    await _answer(env, query_task, completed_type=ANSWERED, query_result=payloads('"after"'))
    await env.outcome("answer", waiting)
    await env.history(workflow_id)


async def scenario_query_sticky(env: Env) -> None:
    """A query goes to the sticky queue, with the events since the last task (none)."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    queue = env.unique("sticky")
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    poll = asyncio.create_task(worker.poll(queue=sticky_queue))
    await worker.run_task(start_timer("t", 60), sticky_attributes=sticky(queue))
    waiting = asyncio.create_task(_query(env, workflow_id))
    task = await poll
    env.record("task", task)
    await _answer(env, task, completed_type=ANSWERED, query_result=payloads('"sticky"'))
    await env.outcome("answer", waiting)


async def scenario_query_failing_workflow_task(env: Env) -> None:
    """A workflow whose task keeps failing cannot be queried: the error says so."""
    async with env.worker(FailsTask):
        handle = await env.client.start_workflow(FailsTask.run, id=env.id(), task_queue=env.queue)
        await env.wait_event(handle, "WORKFLOW_TASK_FAILED")

        async def third_attempt() -> bool:
            pending = (await handle.describe()).raw_description.pending_workflow_task
            return pending.attempt >= 4

        await env.until(third_attempt, "repeated failures")
        await env.outcome("query", handle.query(FailsTask.state, rpc_timeout=seconds(3)))
