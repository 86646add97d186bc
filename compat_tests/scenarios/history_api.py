"""Reading: histories by pages, long polls, close events, descriptions, lists, system information."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.command.v1 import CancelWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import HistoryEventFilterType, TaskQueueType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    PollWorkflowTaskQueueRequest,
)
from temporalio.client import WorkflowExecutionStatus

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import (
    RawWorker,
    command,
    complete_workflow,
    fail_workflow,
    schedule_activity,
    start_timer,
)
from compat_tests.scenarios.core import Hello, Sleeper, greet
from compat_tests.targets import IDENTITY

CLOSE = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def _get(env: Env, workflow_id: str, **fields: Any) -> GetWorkflowExecutionHistoryResponse:
    request = GetWorkflowExecutionHistoryRequest(
        namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=workflow_id), **fields
    )
    return await env.rpc.get_workflow_execution_history(request, timeout=seconds(30))


async def _finished(env: Env) -> str:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    for number in range(3):
        await worker.run_task(start_timer(f"t{number}", 0.1))
    await worker.run_task(complete_workflow())
    return workflow_id


def _ids(response: Any) -> list[int]:
    return [event.event_id for event in response.history.events]


async def _pages(env: Env, workflow_id: str, size: int) -> list[int]:
    ids: list[int] = []
    token = b""
    while True:
        response = await _get(env, workflow_id, maximum_page_size=size, next_page_token=token)
        ids += _ids(response)
        token = response.next_page_token
        if not token:
            return ids


async def scenario_history_pages(env: Env) -> None:
    """All events once and in order, whatever the page size."""
    workflow_id = await _finished(env)
    for size in (1, 2, 5, 1000, 0, -1):
        env.record(f"page size {size}", await _pages(env, workflow_id, size))
    await env.history(workflow_id)


async def scenario_history_reverse(env: Env) -> None:
    workflow_id = await _finished(env)
    ids: list[int] = []
    token = b""
    while True:
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=NAMESPACE,
            execution=WorkflowExecution(workflow_id=workflow_id),
            maximum_page_size=4,
            next_page_token=token,
        )
        response = await env.rpc.get_workflow_execution_history_reverse(request)
        ids += _ids(response)
        token = response.next_page_token
        if not token:
            break
    env.record("ids", ids)


async def scenario_history_close_event(env: Env) -> None:
    """Only the last event; of an open run without waiting, too."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    env.record("open", await _get(env, workflow_id, history_event_filter_type=CLOSE))
    waiting = asyncio.create_task(_get(env, workflow_id, history_event_filter_type=CLOSE, wait_new_event=True))
    await worker.run_task(complete_workflow())
    env.record("waited", await waiting)
    env.record("closed", await _get(env, workflow_id, history_event_filter_type=CLOSE))
    env.record("closed, waiting", await _get(env, workflow_id, history_event_filter_type=CLOSE, wait_new_event=True))


async def scenario_history_long_poll(env: Env) -> None:
    """Waiting for new events: first what there is, then each news, at last no token."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    first = await _get(env, workflow_id, wait_new_event=True)
    env.record("at once", [_ids(first), bool(first.next_page_token)])
    waiting = asyncio.create_task(_get(env, workflow_id, wait_new_event=True, next_page_token=first.next_page_token))
    await asyncio.sleep(0.3)
    env.record("waits", not waiting.done())
    task = await worker.poll()
    second = await waiting
    env.record("after the poll", [_ids(second), bool(second.next_page_token)])
    await worker.complete(task, complete_workflow())
    third = await _get(env, workflow_id, wait_new_event=True, next_page_token=second.next_page_token)
    env.record("at the end", [_ids(third), bool(third.next_page_token)])


async def scenario_history_long_poll_gives_up(env: Env) -> None:
    """An empty answer with a token before the deadline of the request."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    first = await _get(env, workflow_id, wait_new_event=True)
    request = GetWorkflowExecutionHistoryRequest(
        namespace=NAMESPACE,
        execution=WorkflowExecution(workflow_id=workflow_id),
        wait_new_event=True,
        next_page_token=first.next_page_token,
    )
    response = await env.rpc.get_workflow_execution_history(request, timeout=seconds(4))
    env.record("nothing new", [_ids(response), bool(response.next_page_token)])


async def scenario_history_fetch_in_sdk(env: Env) -> None:
    async with env.worker(Hello, activities=[greet]):
        handle = await env.client.start_workflow(Hello.run, "x", id=env.id(), task_queue=env.queue)
        await handle.result()
    history = await handle.fetch_history()
    env.record("ids", [event.event_id for event in history.events])
    closed = [event async for event in handle.fetch_history_events(page_size=2)]
    env.record("paged", [event.event_id for event in closed])


async def scenario_poll_pages_long_history(env: Env) -> None:
    """A task of a workflow with many events."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(*[start_timer(f"t{n}", 100) for n in range(300)])
    await env.client.get_workflow_handle(workflow_id).signal("go")
    task = await worker.poll()
    env.record("events", [len(task.history.events), bool(task.next_page_token)])
    await worker.complete(task, complete_workflow())


# Descriptions.


async def scenario_describe_open(env: Env) -> None:
    """Pending task in each of its states, pending activity, counts."""
    workflow_id, worker = env.id(), RawWorker(env)
    handle = env.client.get_workflow_handle(workflow_id)
    await env.start_raw(workflow_id)
    env.record("scheduled", (await handle.describe()).raw_description)
    task = await worker.poll()
    env.record("started", (await handle.describe()).raw_description)
    await worker.fail(task)
    env.record("after a failure", (await handle.describe()).raw_description)
    await worker.run_task(start_timer("t", 60), schedule_activity(env))
    env.record("waiting", (await handle.describe()).raw_description)
    await handle.terminate()
    env.record("terminated", (await handle.describe()).raw_description)


async def scenario_describe_in_sdk(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 0.1, id=env.id(), task_queue=env.queue)
        await handle.result()
    description = await handle.describe()
    fields = ["id", "run_id", "status", "task_queue", "workflow_type", "history_length", "parent_id", "root_id"]
    env.record("fields", {name: getattr(description, name) for name in fields})
    env.record("closed", description.close_time is not None)


async def scenario_describe_each_status(env: Env) -> None:
    cancel = CancelWorkflowExecutionCommandAttributes()
    endings = {
        "completed": complete_workflow(),
        "failed": fail_workflow(Failure(message="f")),
        "cancelled": command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=cancel),
    }
    worker = RawWorker(env)
    for name, ending in endings.items():
        handle = await env.client.start_workflow("Raw", id=env.id(name), task_queue=env.queue)
        if name == "cancelled":
            await handle.cancel()
        await worker.run_task(ending)
        env.record(name, (await handle.describe()).raw_description)
    timed_out = await env.client.start_workflow(
        "Raw", id=env.id("timed-out"), task_queue=env.queue, run_timeout=seconds(1)
    )
    await env.wait_event(timed_out, "WORKFLOW_EXECUTION_TIMED_OUT")
    env.record("timed out", (await timed_out.describe()).raw_description)


# Lists.


async def scenario_list_by_id(env: Env) -> None:
    """Lists are eventually right: open, then closed."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    query = f'WorkflowId = "{workflow_id}"'
    await _listed(env, query, WorkflowExecutionStatus.RUNNING)
    await worker.run_task(complete_workflow())
    await _listed(env, query, WorkflowExecutionStatus.COMPLETED)
    await _listed(
        env, f'WorkflowId = "{workflow_id}" AND ExecutionStatus = "Completed"', WorkflowExecutionStatus.COMPLETED
    )
    count = CountWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
    env.record("count", (await env.rpc.count_workflow_executions(count)).count)
    none = ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=f'WorkflowId = "{env.id("nobody")}"')
    env.record("none", await env.rpc.list_workflow_executions(none))


async def _listed(env: Env, query: str, status: WorkflowExecutionStatus) -> None:
    request = ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)

    async def seen() -> bool:
        executions = (await env.rpc.list_workflow_executions(request)).executions
        return len(executions) == 1 and executions[0].status == status

    await env.until(seen, f"{status} in {query}")
    env.record(f"listed {status.name}", await env.rpc.list_workflow_executions(request))


async def scenario_list_runs_of_one_id(env: Env) -> None:
    """Both runs of an id, the newest first."""
    workflow_id, worker = env.id(), RawWorker(env)
    for _ in range(2):
        await env.start_raw(workflow_id)
        await worker.run_task(complete_workflow())
    query = f'WorkflowId = "{workflow_id}"'

    async def both() -> bool:
        found = [w async for w in env.client.list_workflows(query)]
        return len([w for w in found if w.status == WorkflowExecutionStatus.COMPLETED]) == 2

    await env.until(both, "two runs")
    found = [w async for w in env.client.list_workflows(query)]
    env.record("newest first", found[0].start_time > found[1].start_time)
    env.record("runs", [[w.id, w.run_id, w.workflow_type, w.task_queue, w.history_length] for w in found])


# The server itself.


async def scenario_system_info(env: Env) -> None:
    """The capabilities that the SDK looks at; the version is the server's own."""
    info = await env.rpc.get_system_info(GetSystemInfoRequest())
    fields = [
        "signal_and_query_header",
        "internal_error_differentiation",
        "activity_failure_include_heartbeat",
        "encoded_failure_attributes",
        "upsert_memo",
        "eager_workflow_start",
        "sdk_metadata",
        "count_group_by_execution_status",
    ]
    env.record("capabilities", {name: getattr(info.capabilities, name) for name in fields})


async def scenario_namespace(env: Env) -> None:
    response = await env.rpc.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
    info = response.namespace_info
    env.record("namespace", [info.name, info.state, bool(info.id), response.config.workflow_execution_retention_ttl])
    env.record("limits", info.limits)


async def scenario_describe_task_queue(env: Env) -> None:
    """Pollers are known by their identity."""

    async def describe() -> Any:
        return await env.rpc.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=NAMESPACE,
                task_queue=TaskQueue(name=env.queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )

    env.record("before", [p.identity for p in (await describe()).pollers])
    poll = PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue), identity=IDENTITY)
    await env.rpc.poll_workflow_task_queue(poll, timeout=seconds(3))
    env.record("after", [p.identity for p in (await describe()).pollers])
