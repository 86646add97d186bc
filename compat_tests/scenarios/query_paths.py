"""Queries in every state of a workflow, many at once, and past workers that are gone."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import QueryRejectCondition, QueryResultType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    QueryWorkflowRequest,
    RespondQueryTaskCompletedRequest,
)

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, payloads, sticky
from compat_tests.raw_commands import FAILURE, cancel_workflow, continue_as_new
from compat_tests.raw_updates import later
from compat_tests.scenarios.queries import Queried

_ANSWERED = QueryResultType.QUERY_RESULT_TYPE_ANSWERED


def _query(env: Env, workflow_id: str, run_id: str = "", reject: str = "NONE", timeout: float = 15) -> Any:
    request = QueryWorkflowRequest(
        namespace=NAMESPACE,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        query=WorkflowQuery(query_type="q", query_args=payloads("1")),
        query_reject_condition=QueryRejectCondition.Value(f"QUERY_REJECT_CONDITION_{reject}"),
    )
    return env.rpc.query_workflow(request, timeout=seconds(timeout))


async def _answer(env: Env, task: PollWorkflowTaskQueueResponse, text: str = '"answer"', **fields: Any) -> None:
    request = RespondQueryTaskCompletedRequest(
        namespace=NAMESPACE,
        task_token=task.task_token,
        completed_type=_ANSWERED,
        query_result=payloads(text),
        **fields,
    )
    await env.rpc.respond_query_task_completed(request)


async def scenario_query_reject_conditions(env: Env) -> None:
    """Each condition in each state that a workflow can be in."""
    worker = RawWorker(env)
    ends: dict[str, Any] = {
        "completed": complete_workflow(),
        "failed": fail_workflow(FAILURE),
        "canceled": cancel_workflow(),
        "continued": continue_as_new(backoff_start_interval=Duration(seconds=100)),
        "terminated": None,
        "running": None,
    }
    for name, end in ends.items():
        workflow_id = env.id(name)
        run_id = (await env.start_raw(workflow_id)).run_id
        await worker.run_task(*([end] if end is not None else []))
        if name == "terminated":
            await env.client.get_workflow_handle(workflow_id).terminate()
        for reject in ("NONE", "NOT_OPEN", "NOT_COMPLETED_CLEANLY"):
            asked = later(_query(env, workflow_id, run_id, reject))
            if _goes_through(name, reject):
                await _answer(env, await worker.poll())
            await env.outcome(f"{name} {reject}", asked)
        await _end(env, workflow_id)


def _goes_through(state: str, reject: str) -> bool:
    if state == "running" or reject == "NONE":
        return True
    return state == "completed" and reject == "NOT_COMPLETED_CLEANLY"


async def _end(env: Env, workflow_id: str) -> None:
    try:
        await env.client.get_workflow_handle(workflow_id).terminate()
    except Exception:
        return


async def scenario_query_timed_out_run(env: Env) -> None:
    """A run that timed out after its first task answers; one that never had one does not."""
    worker, limit = RawWorker(env), Duration(seconds=1)
    await env.start_raw(env.id("had"), workflow_run_timeout=limit)
    await worker.run_task()
    await env.wait_event(env.id("had"), "WORKFLOW_EXECUTION_TIMED_OUT")
    asked = later(_query(env, env.id("had")))
    await _answer(env, await worker.poll())
    await env.outcome("had a task", asked)
    await env.start_raw(env.id("never"), workflow_run_timeout=limit)
    await env.wait_event(env.id("never"), "WORKFLOW_EXECUTION_TIMED_OUT")
    await env.outcome("never had a task", _query(env, env.id("never")))


async def scenario_query_terminated_with_a_task_in_flight(env: Env) -> None:
    """The first task was taken, not answered."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.poll()
    await env.client.get_workflow_handle(workflow_id).terminate()
    asked = later(_query(env, workflow_id, timeout=4))
    await asyncio.sleep(0.2)
    if not asked.done():
        await _answer(env, await worker.poll())
    await env.outcome("query", asked)


async def scenario_query_by_run_id(env: Env) -> None:
    """The runs of a chain answer for themselves."""
    worker, workflow_id = RawWorker(env), env.id()
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task(continue_as_new())
    await worker.run_task()
    for name, run_id in (("first", first), ("current", "")):
        asked = later(_query(env, workflow_id, run_id))
        task = await worker.poll()
        env.record(f"task of {name}", task)
        await _answer(env, task, f'"{name}"')
        await env.outcome(name, asked)


async def scenario_query_many_at_once(env: Env) -> None:
    """Every one gets its own answer."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    asked = [later(_query(env, workflow_id)) for _ in range(12)]
    for number in range(12):
        await _answer(env, await worker.poll(), str(number))
    answers = [(await each).query_result.payloads[0].data.decode() for each in asked]
    env.record("answers", sorted(answers, key=int))


async def scenario_query_many_with_one_task(env: Env) -> None:
    """Queries of a busy workflow go along with its next task."""
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "done", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        asked = [handle.query(Queried.state, str(number)) for number in range(10)]
        env.record("answers", sorted(await asyncio.gather(*asked)))
        await handle.signal(Queried.go)
        await env.outcome("result", handle.result())
        asked = [handle.query(Queried.state, str(number)) for number in range(10)]
        env.record("answers after the end", sorted(await asyncio.gather(*asked)))


async def scenario_query_sticky_worker_is_gone(env: Env) -> None:
    """A sticky queue that nobody ever polled is not waited for."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task(sticky_attributes=sticky(env.unique("sticky"), timeout=20))
    asked = later(_query(env, workflow_id))
    task = await worker.poll()
    env.record("task", task)
    await _answer(env, task)
    await env.outcome("query", asked)


async def scenario_query_after_the_worker_has_gone(env: Env) -> None:
    """The worker that has the workflow in its cache stops; another one answers from the history."""
    async with env.worker(Queried):
        handle = await env.client.start_workflow(Queried.run, "done", id=env.id(), task_queue=env.queue)
        await env.settled(handle)
    async with env.worker(Queried):
        await env.outcome("answer", handle.query(Queried.state, "is "))
        await handle.signal(Queried.go)
        await env.outcome("result", handle.result())
        await env.outcome("answer after the end", handle.query(Queried.state, "has "))


async def scenario_query_large_results(env: Env) -> None:
    """A megabyte comes back whole; what is beyond the limit is an error for the asker."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    for size in (1_000_000, 2_200_000):
        asked = later(_query(env, workflow_id))
        await env.outcome(f"answering {size}", _answer(env, await worker.poll(), '"' + "x" * size + '"'))
        await env.outcome(f"{size} bytes", asked)


async def scenario_query_answered_with_a_failure(env: Env) -> None:
    """What a failing handler says: message, failure, cause."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    failure = Failure(message="inner", application_failure_info=ApplicationFailureInfo(type="Kind"), stack_trace="at x")
    cases: dict[str, dict[str, Any]] = {
        "message": {"error_message": "it failed"},
        "failure": {"error_message": "it failed", "failure": failure},
        "nothing": {},
    }
    for name, given in cases.items():
        asked = later(_query(env, workflow_id))
        task = await worker.poll()
        request = RespondQueryTaskCompletedRequest(
            namespace=NAMESPACE,
            task_token=task.task_token,
            completed_type=QueryResultType.QUERY_RESULT_TYPE_FAILED,
            **given,
        )
        await env.rpc.respond_query_task_completed(request)
        await env.outcome(name, asked)


async def scenario_query_answers_that_come_late(env: Env) -> None:
    """A second answer, one without a type, one after the asker has gone."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    asked = later(_query(env, workflow_id))
    task = await worker.poll()
    await _answer(env, task)
    await env.outcome("query", asked)
    await env.outcome("answered again", _answer(env, task))
    given_up = later(_query(env, workflow_id, timeout=2))
    task = await worker.poll()
    await asyncio.wait([given_up])
    await asyncio.sleep(0.2)
    await env.outcome("answered late", _answer(env, task))


async def scenario_query_during_a_start_delay(env: Env) -> None:
    """There is nothing to ask before the first task."""
    workflow_id = env.id()
    await env.start_raw(workflow_id, workflow_start_delay=Duration(seconds=60))
    await env.outcome("query", _query(env, workflow_id, timeout=3))
    await env.outcome("not open", _query(env, workflow_id, reject="NOT_OPEN", timeout=3))
    await env.client.get_workflow_handle(workflow_id).terminate()


@workflow.defn
class Traced:
    """Has something to say of itself."""

    @workflow.run
    async def run(self) -> None:
        workflow.set_current_details("the details")
        await workflow.wait_condition(lambda: False)

    @workflow.query(description="a query")
    def state(self) -> str:
        return "state"

    @workflow.signal(description="a signal")
    def go(self) -> None:
        return

    @workflow.update(description="an update")
    def change(self) -> None:
        return


async def scenario_query_built_in(env: Env) -> None:
    """The SDK's own queries."""
    async with env.worker(Traced):
        handle = await env.client.start_workflow(Traced.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("metadata", handle.query("__temporal_workflow_metadata"))
        trace = await handle.query("__stack_trace")
        env.record("stack trace", "wait_condition" in trace)
        await env.outcome("unknown", handle.query("__temporal_unknown"))
        await handle.terminate()
        await env.outcome("metadata after the end", handle.query("__temporal_workflow_metadata"))


async def scenario_query_of_changed_code(env: Env) -> None:
    """A closed workflow whose history the worker's code does not fit any more."""
    async with env.worker(Traced):
        handle = await env.client.start_workflow(Traced.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.terminate()

    async with env.worker(_Changed, max_cached_workflows=0, max_concurrent_workflow_task_polls=1):
        error = await asyncio.gather(handle.query("state"), return_exceptions=True)
        env.record("kind of error", [type(error[0]).__name__, getattr(error[0], "status", None)])


@workflow.defn(name="Traced")
class _Changed:
    """The changed code: it begins with a timer, and does so before anything else."""

    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(100)

    @workflow.query
    def state(self) -> str:
        return "changed"


async def scenario_query_large_result_with_a_task(env: Env) -> None:
    """What is too large does not get through with a workflow task either, and the task is as good as any."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task()
    await env.client.get_workflow_handle(workflow_id).signal("s")
    asked = later(_query(env, workflow_id))
    await asyncio.sleep(0.5)
    task = await worker.poll()
    answer = payloads('"' + "x" * 2_200_000 + '"')
    given = {key: WorkflowQueryResult(result_type=_ANSWERED, answer=answer) for key in task.queries}
    await worker.complete(task, complete_workflow(), query_results=given)
    await env.outcome("query", asked)
    await env.history(workflow_id)
