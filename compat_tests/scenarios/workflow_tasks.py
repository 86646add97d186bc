"""Workflow tasks by hand: normal, sticky, transient, timed out, failed, buffered events, heartbeats, query-only."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetStickyTaskQueueRequest,
    SignalWorkflowExecutionRequest,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, start_timer, sticky


async def _signal(env: Env, workflow_id: str, name: str = "s") -> None:
    execution = WorkflowExecution(workflow_id=workflow_id)
    await env.rpc.signal_workflow_execution(
        SignalWorkflowExecutionRequest(namespace=NAMESPACE, workflow_execution=execution, signal_name=name)
    )


async def _describe(env: Env, workflow_id: str) -> Any:
    execution = WorkflowExecution(workflow_id=workflow_id)
    return await env.rpc.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=NAMESPACE, execution=execution)
    )


async def _started(env: Env, name: str = "workflow", **fields: Any) -> tuple[str, RawWorker]:
    workflow_id = env.id(name)
    await env.start_raw(workflow_id, **fields)
    return workflow_id, RawWorker(env)


async def scenario_task_poll_response(env: Env) -> None:
    """All fields of the first task, and of the next one after a timer."""
    workflow_id, worker = await _started(env)
    first = await worker.poll()
    env.record("first task", first)
    env.record("description while started", await _describe(env, workflow_id))
    await env.outcome("answer", worker.complete(first, start_timer("t", 0.1)))
    second = await worker.poll()
    env.record("second task", second)
    await env.outcome("answer", worker.complete(second, complete_workflow()))
    await env.history(workflow_id)
    env.record("description", await _describe(env, workflow_id))


async def scenario_task_completed_fields(env: Env) -> None:
    """What a worker says in its answer is kept in the event."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    metadata = WorkflowTaskCompletedMetadata(core_used_flags=[1], lang_used_flags=[2], sdk_name="s", sdk_version="1")
    metering: dict[str, Any] = {"nonfirst_local_activity_execution_attempts": 3}
    await worker.complete(
        task, complete_workflow(), sdk_metadata=metadata, metering_metadata=metering, binary_checksum="sum"
    )
    await env.history(workflow_id)


async def scenario_task_sticky(env: Env) -> None:
    """A sticky task carries only the new events; the sticky queue holds until it is reset."""
    workflow_id, worker = await _started(env)
    queue = env.unique("sticky")
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    waiting = asyncio.create_task(worker.poll(queue=sticky_queue))
    await worker.run_task(start_timer("t", 0.1), sticky_attributes=sticky(queue))
    env.record("description", await _describe(env, workflow_id))
    task = await waiting
    env.record("sticky task", task)
    await worker.complete(task, sticky_attributes=sticky(queue))
    execution = WorkflowExecution(workflow_id=workflow_id)
    reset = ResetStickyTaskQueueRequest(namespace=NAMESPACE, execution=execution)
    await env.outcome("reset", env.rpc.reset_sticky_task_queue(reset))
    await _signal(env, workflow_id)
    env.record("normal task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_sticky_timeout(env: Env) -> None:
    """Nobody polls the sticky queue: schedule-to-start times out and the task goes to the normal queue."""
    workflow_id, worker = await _started(env)
    queue = env.unique("sticky")
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    waiting = asyncio.create_task(worker.poll(queue=sticky_queue))
    await worker.run_task(start_timer("t", 0.1), sticky_attributes=sticky(queue))
    await worker.complete(await waiting, sticky_attributes=sticky(queue, timeout=1))
    await _signal(env, workflow_id)
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_failure_clears_sticky_first(env: Env) -> None:
    """Failed by its sticky worker, a task is a first attempt once more, for any worker; then it is transient."""
    workflow_id, worker = await _started(env)
    queue = env.unique("sticky")
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    waiting = asyncio.create_task(worker.poll(queue=sticky_queue))
    await worker.run_task(sticky_attributes=sticky(queue))
    await _signal(env, workflow_id)
    await worker.fail(await waiting)
    second = await worker.poll()
    env.record("attempt after the sticky one", second.attempt)
    await worker.fail(second)
    third = await worker.poll()
    env.record("attempt after that", third.attempt)
    await worker.complete(third, complete_workflow())
    await env.history(workflow_id)


async def scenario_task_completion_without_sticky_clears_it(env: Env) -> None:
    workflow_id, worker = await _started(env)
    queue = env.unique("sticky")
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    waiting = asyncio.create_task(worker.poll(queue=sticky_queue))
    await worker.run_task(start_timer("t", 0.1), sticky_attributes=sticky(queue))
    await worker.complete(await waiting)
    await _signal(env, workflow_id)
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_fails_three_times(env: Env) -> None:
    """Only the first failure is in the history; later attempts are transient, and become real when one completes."""
    workflow_id, worker = await _started(env)
    for attempt in range(1, 4):
        task = await worker.poll()
        env.record(f"task {attempt}", task)
        await env.history(workflow_id, f"history while attempt {attempt} is started")
        await worker.fail(task, f"failure {attempt}")
    env.record("description", (await _describe(env, workflow_id)).pending_workflow_task.attempt)
    await env.history(workflow_id, "history while attempt 4 is scheduled")
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_task_failure_causes(env: Env) -> None:
    """Each cause that a worker may report, with the failure."""
    for cause in ("UNSPECIFIED", "WORKFLOW_WORKER_UNHANDLED_FAILURE", "NON_DETERMINISTIC_ERROR", "PAYLOADS_TOO_LARGE"):
        workflow_id, worker = await _started(env, cause.lower())
        await env.outcome(cause, worker.fail(await worker.poll(), cause=cause))
        await worker.run_task(complete_workflow())
        await env.history(workflow_id)


async def scenario_task_timeout(env: Env) -> None:
    """A task that is not answered times out and is tried again; a late answer is refused."""
    workflow_id, worker = await _started(env, workflow_task_timeout=Duration(seconds=1))
    lost = await worker.poll()
    second = await worker.poll()
    env.record("second task", second)
    await env.outcome("late answer", worker.complete(lost, complete_workflow()))
    await env.outcome("late failure", worker.fail(lost))
    await worker.complete(second, complete_workflow())
    await env.history(workflow_id)


async def scenario_task_timeout_twice(env: Env) -> None:
    """The second time-out is not in the history."""
    workflow_id, worker = await _started(env, workflow_task_timeout=Duration(seconds=1))
    await worker.poll()
    await worker.poll()
    third = await worker.poll()
    env.record("third task", third)
    await worker.complete(third, complete_workflow())
    await env.history(workflow_id)


async def scenario_task_answered_twice(env: Env) -> None:
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await worker.complete(task, start_timer("t", 60))
    await env.outcome("again", worker.complete(task, complete_workflow()))
    await env.outcome("failed after", worker.fail(task))
    await env.history(workflow_id)


async def scenario_task_answered_after_close(env: Env) -> None:
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.outcome("answer", worker.complete(task, complete_workflow()))
    await env.outcome("failure", worker.fail(task))
    await env.history(workflow_id)


async def scenario_task_signal_while_started(env: Env) -> None:
    """Events that arrive while a task is started are buffered and come after its completion."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await _signal(env, workflow_id, "one")
    await _signal(env, workflow_id, "two")
    await env.history(workflow_id, "history while buffered")
    env.record("description while buffered", await _describe(env, workflow_id))
    await worker.complete(task, start_timer("t", 60))
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_signal_while_scheduled(env: Env) -> None:
    workflow_id, worker = await _started(env)
    await _signal(env, workflow_id)
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_signal_then_failure(env: Env) -> None:
    """A signal during a failing task is written with the failure and makes the next attempt a normal one."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await _signal(env, workflow_id)
    await worker.fail(task)
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_signal_during_transient(env: Env) -> None:
    """A signal while a transient attempt is scheduled, and while one is started."""
    workflow_id, worker = await _started(env)
    await worker.fail(await worker.poll())
    await worker.fail(await worker.poll())
    await _signal(env, workflow_id, "scheduled")
    task = await worker.poll()
    env.record("transient task", task)
    await _signal(env, workflow_id, "started")
    await worker.fail(task)
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_unhandled_command(env: Env) -> None:
    """A workflow may not close over events that it has not seen: the task fails and is tried again."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await _signal(env, workflow_id)
    await env.outcome("complete", worker.complete(task, start_timer("t", 60), complete_workflow()))
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_unhandled_command_twice(env: Env) -> None:
    """After one such failure the next attempt refuses signals, so that it can close."""
    workflow_id, worker = await _started(env)
    for number in range(2):
        task = await worker.poll()
        await env.outcome(f"signal {number}", _signal(env, workflow_id))
        await env.outcome("fail", worker.complete(task, fail_workflow(Failure(message="no"))))
    await env.history(workflow_id)


async def scenario_task_cancel_request_while_started(env: Env) -> None:
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    request = RequestCancelWorkflowExecutionRequest(
        namespace=NAMESPACE, workflow_execution=WorkflowExecution(workflow_id=workflow_id), reason="why", identity="me"
    )
    await env.rpc.request_cancel_workflow_execution(request)
    await env.outcome("complete", worker.complete(task, complete_workflow()))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_task_heartbeat(env: Env) -> None:
    """An answer that forces a new task, as the SDK sends it during a long local activity."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    for _ in range(2):
        fields: dict[str, Any] = {"return_new_workflow_task": True, "force_create_new_workflow_task": True}
        answer = await worker.complete(task, **fields)
        env.record("answer", answer)
        task = answer.workflow_task
    await worker.complete(task, complete_workflow())
    await env.history(workflow_id)


async def scenario_task_force_new_without_returning(env: Env) -> None:
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    env.record("answer", await worker.complete(task, force_create_new_workflow_task=True))
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_task_return_new_with_buffered(env: Env) -> None:
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await _signal(env, workflow_id)
    answer = await worker.complete(task, return_new_workflow_task=True)
    env.record("answer", answer)
    await worker.complete(answer.workflow_task, complete_workflow())
    await env.history(workflow_id)


async def scenario_task_empty_answer(env: Env) -> None:
    """No commands: the workflow just waits."""
    workflow_id, worker = await _started(env)
    env.record("answer", await worker.complete(await worker.poll(), return_new_workflow_task=True))
    await env.history(workflow_id)


async def scenario_task_complete_is_the_last_command(env: Env) -> None:
    """Commands after the one that closes the workflow."""
    workflow_id, worker = await _started(env)
    task = await worker.poll()
    await env.outcome("answer", worker.complete(task, complete_workflow(), start_timer("late", 1)))
    await env.history(workflow_id)


async def scenario_poll_of_empty_queue(env: Env) -> None:
    """A poll on an empty queue gives an empty response when its time is over."""
    worker = RawWorker(env, env.unique("nothing"))
    env.record("workflow task", await worker.poll(timeout=3))
    env.record("activity task", await worker.poll_activity(timeout=3))


async def scenario_task_sticky_worker_is_gone(env: Env) -> None:
    """A sticky queue that nobody ever polled: the task is given to the normal queue without waiting."""
    workflow_id, worker = await _started(env)
    await worker.run_task(sticky_attributes=sticky(env.unique("sticky"), timeout=20))
    await _signal(env, workflow_id)
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)
