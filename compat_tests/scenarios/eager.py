"""Eager starts of workflows, and eager activities: who gets the task without a poll."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, schedule_activity, start_timer


@activity.defn
async def eager_echo(number: int) -> int:
    """The same number."""
    return number


@workflow.defn
class EagerHello:
    """One activity."""

    @workflow.run
    async def run(self, number: int) -> int:
        return await workflow.execute_activity(eager_echo, number, start_to_close_timeout=seconds(30))


@workflow.defn
class EagerMany:
    """More activities at once than may be eager."""

    @workflow.run
    async def run(self, count: int) -> list[int]:
        timeout = seconds(30)
        started = [
            workflow.start_activity(eager_echo, number, start_to_close_timeout=timeout) for number in range(count)
        ]
        return [await each for each in started]


async def scenario_eager_start_in_sdk(env: Env) -> None:
    """The client has a worker of the queue: it gets the first task with the answer to its start."""
    async with env.worker(EagerHello, activities=[eager_echo]):
        handle = await env.client.start_workflow(
            EagerHello.run, 7, id=env.id(), task_queue=env.queue, request_eager_start=True
        )
        env.record("eager", getattr(handle, "__temporal_eagerly_started"))
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_eager_start_without_a_worker(env: Env) -> None:
    """The client has no worker of that queue: the task is for whoever polls."""
    handle = await env.client.start_workflow(
        EagerHello.run, 7, id=env.id(), task_queue=env.queue, request_eager_start=True
    )
    async with env.worker(EagerHello, activities=[eager_echo]):
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_eager_start_task_is_failed(env: Env) -> None:
    """The next attempt goes by the queue."""
    workflow_id, worker = env.id(), RawWorker(env)
    response = await env.start_raw(workflow_id, request_eager_execution=True)
    await worker.fail(response.eager_workflow_task)
    env.record("second attempt", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_eager_start_task_is_lost(env: Env) -> None:
    """The starter dies: the task times out and goes by the queue."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, request_eager_execution=True, workflow_task_timeout=Duration(seconds=1))
    env.record("second attempt", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_eager_start_delayed(env: Env) -> None:
    """With a start delay or a cron schedule there is no first task yet to hand out."""
    for name, fields in {
        "delay": {"workflow_start_delay": Duration(seconds=60)},
        "cron": {"cron_schedule": "0 0 1 1 *"},
    }.items():
        workflow_id = env.id(name)
        response = await env.start_raw(workflow_id, request_eager_execution=True, **fields)
        env.record(name, response)
        await env.client.get_workflow_handle(workflow_id).terminate()
        await env.history(workflow_id, f"history, {name}")


async def scenario_eager_start_again(env: Env) -> None:
    """The same request twice, and a start that finds the workflow running."""
    workflow_id, worker = env.id(), RawWorker(env)
    request = env.start_request(workflow_id, request_eager_execution=True)
    first = await env.rpc.start_workflow_execution(request)
    env.record("again, task in flight", await env.rpc.start_workflow_execution(request))
    use = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    existing = env.start_raw(workflow_id, request_eager_execution=True, workflow_id_conflict_policy=use)
    await env.outcome("existing", existing)
    await worker.complete(first.eager_workflow_task, start_timer("t", 60))
    env.record("again, task answered", await env.rpc.start_workflow_execution(request))
    other = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    replaced = await env.start_raw(workflow_id, request_eager_execution=True, workflow_id_conflict_policy=other)
    env.record("replaced", replaced)
    await worker.complete(replaced.eager_workflow_task, complete_workflow())
    await env.history(workflow_id)


def _eager(env: Env, activity_id: str, **fields: Any) -> Command:
    return schedule_activity(env, activity_id, request_eager_execution=True, **fields)


async def scenario_eager_activities_some(env: Env) -> None:
    """Some are asked for, some are not, one is for another queue."""
    workflow_id, worker, other = env.id(), RawWorker(env), env.unique("other")
    await env.start_raw(workflow_id)
    answer = await worker.complete(
        await worker.poll(),
        _eager(env, "a"),
        schedule_activity(env, "b"),
        _eager(env, "c"),
        _eager(env, "elsewhere", task_queue=TaskQueue(name=other)),
    )
    env.record("eager", list(answer.activity_tasks))
    env.record("polled", await worker.poll_activity())
    env.record("elsewhere", await RawWorker(env, other).poll_activity())
    await env.history(workflow_id)


async def scenario_eager_activity_and_the_end(env: Env) -> None:
    """The same answer closes the workflow: nobody gets the activity."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    answer = await worker.complete(await worker.poll(), _eager(env, "a"), complete_workflow())
    env.record("answer", answer)
    await env.history(workflow_id)


async def scenario_eager_activity_with_the_next_task(env: Env) -> None:
    """Both come with one answer."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    answer = await worker.complete(
        await worker.poll(), _eager(env, "a"), return_new_workflow_task=True, force_create_new_workflow_task=True
    )
    env.record("answer", answer)
    await worker.complete(answer.workflow_task)
    await worker.complete_activity(answer.activity_tasks[0])
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_eager_activity_is_lost(env: Env) -> None:
    """The worker dies: the attempt times out, and the next one goes by the queue."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.complete(await worker.poll(), _eager(env, "a", start_to_close_timeout=Duration(seconds=1)))
    task = await worker.poll_activity()
    env.record("second attempt", task)
    await worker.complete_activity(task)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_eager_activities_beyond_the_slots(env: Env) -> None:
    """The SDK asks for as many as it has slots; the rest go by the queue."""
    async with env.worker(EagerMany, activities=[eager_echo], max_concurrent_activities=2):
        handle = await env.client.start_workflow(EagerMany.run, 6, id=env.id(), task_queue=env.queue)
        env.record("result", await handle.result())


async def scenario_eager_start_with_input(env: Env) -> None:
    """What the first task holds: input, timeouts, the last result."""
    workflow_id, worker = env.id(), RawWorker(env)
    last = Payloads(payloads=complete_workflow().complete_workflow_execution_command_attributes.result.payloads)
    response = await env.start_raw(
        workflow_id,
        request_eager_execution=True,
        input=last,
        last_completion_result=last,
        workflow_run_timeout=Duration(seconds=60),
    )
    env.record("task", response.eager_workflow_task)
    await worker.complete(response.eager_workflow_task, complete_workflow())
    await env.history(workflow_id)
