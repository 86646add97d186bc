"""Workers come and go: shutdown, polls that are given up, sticky queues that are reset, several queues in a process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    ResetStickyTaskQueueRequest,
    ShutdownWorkerRequest,
)
from temporalio.service import RPCError

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, schedule_activity, start_timer, sticky
from compat_tests.raw_updates import later
from compat_tests.targets import IDENTITY

_WORKFLOWS, _ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


@activity.defn
async def where_am_i(name: str) -> str:
    """The name, from an activity's own queue."""
    return f"{name} by {activity.info().activity_type}"


@workflow.defn
class Relay:
    """Runs an activity on one queue and a child on another."""

    @workflow.run
    async def run(self, queues: list[str]) -> str:
        if not queues:
            return "end"
        said = await workflow.execute_activity(
            where_am_i, "x", task_queue=queues[0], start_to_close_timeout=seconds(30)
        )
        rest = await workflow.execute_child_workflow(
            Relay.run, queues[1:], id=f"{workflow.info().workflow_id}-c", task_queue=queues[0]
        )
        return f"{said}, {rest}"


async def scenario_several_queues_in_one_process(env: Env) -> None:
    """Three workers, three queues, one client: every task finds its own."""
    queues = [env.queue, env.unique("second"), env.unique("third")]
    workers = [env.worker(Relay, activities=[where_am_i], queue=queue) for queue in queues]
    async with workers[0], workers[1], workers[2]:
        handle = await env.client.start_workflow(Relay.run, queues[1:], id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)
        await env.history(f"{handle.id}-c", "history of the child")


async def scenario_workers_of_one_queue_take_turns(env: Env) -> None:
    """Three workers of one queue, one after the other and all at once: nothing is lost or done twice."""
    for workers in (1, 3):
        clients = [await env.connection.client() for _ in range(workers)]
        running = [env.worker(Relay, activities=[where_am_i], client=client) for client in clients]
        tasks = [asyncio.create_task(worker.run()) for worker in running]
        handles = [
            await env.client.start_workflow(Relay.run, [env.queue], id=env.id(f"w{workers}-{n}"), task_queue=env.queue)
            for n in range(4)
        ]
        env.record(f"results with {workers}", [await handle.result() for handle in handles])
        await asyncio.gather(*(worker.shutdown() for worker in running))
        await asyncio.gather(*tasks)


def _sticky_queue(env: Env, name: str) -> TaskQueue:
    return TaskQueue(name=name, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)


async def _shut_down(env: Env, **fields: Any) -> Any:
    return await env.rpc.shutdown_worker(ShutdownWorkerRequest(namespace=NAMESPACE, identity=IDENTITY, **fields))


async def scenario_shutdown_gives_its_sticky_queue_back(env: Env) -> None:
    """After the good-bye, tasks go to the normal queue, without waiting for the sticky timeout."""
    workflow_id, worker, name = env.id(), RawWorker(env), env.unique("sticky")
    await env.start_raw(workflow_id)
    given_up = later(worker.poll(queue=_sticky_queue(env, name), timeout=2))
    await worker.run_task(start_timer("t", 60), sticky_attributes=sticky(name, timeout=30))
    await asyncio.wait([given_up])
    await env.outcome("shutdown", _shut_down(env, sticky_task_queue=name, reason="over"))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    before = time.monotonic()
    env.record("task", await worker.run_task(complete_workflow()))
    env.record("at once", time.monotonic() - before < 10)
    await env.history(workflow_id)


def _poll_workflows(env: Env, key: str, queue: TaskQueue | None = None) -> Any:
    request = PollWorkflowTaskQueueRequest(
        namespace=NAMESPACE,
        task_queue=queue or TaskQueue(name=env.queue),
        identity=IDENTITY,
        worker_instance_key=key,
    )
    return later(env.rpc.poll_workflow_task_queue(request, timeout=seconds(8)))


def _poll_activities(env: Env, key: str) -> Any:
    request = PollActivityTaskQueueRequest(
        namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue), identity=IDENTITY, worker_instance_key=key
    )
    return later(env.rpc.poll_activity_task_queue(request, timeout=seconds(8)))


async def scenario_shutdown_and_the_polls(env: Env) -> None:
    """As the server is configured by default, polls of a worker that has said good-bye go on, too."""
    polls = {
        "workflow": _poll_workflows(env, "leaving"),
        "activity": _poll_activities(env, "leaving"),
        "staying": _poll_workflows(env, "staying"),
    }
    await asyncio.sleep(0.5)
    kinds = [_WORKFLOWS, _ACTIVITIES]
    leaving = {"worker_instance_key": "leaving", "task_queue": env.queue, "task_queue_types": kinds}
    await env.outcome("shutdown", _shut_down(env, **leaving))
    await asyncio.wait(polls.values(), timeout=1)
    env.record("ended", {name: poll.done() for name, poll in polls.items()})
    for poll in polls.values():
        poll.cancel()


async def scenario_given_up_polls_take_no_tasks(env: Env) -> None:
    """A poll whose caller has gone takes nothing away from the next one."""
    workflow_id, worker = env.id(), RawWorker(env)
    for _ in range(3):
        poll = later(worker.poll())
        await asyncio.sleep(0.1)
        poll.cancel()
    given_up = later(worker.poll_activity())
    await asyncio.sleep(0.1)
    given_up.cancel()
    await asyncio.sleep(0.2)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env))
    task = await worker.poll_activity()
    await worker.complete_activity(task)
    env.record("attempts", [task.attempt, (await worker.run_task(complete_workflow())).attempt])
    await env.history(workflow_id)


async def scenario_polls_end_before_their_deadline(env: Env) -> None:
    """A poll that got nothing returns empty, before its caller loses patience."""
    for name, poll in {"workflow": RawWorker(env).poll(timeout=3), "activity": RawWorker(env).poll_activity(3)}.items():
        try:
            env.record(name, await poll)
        except RPCError as error:
            env.record(name, error)


async def _reset_sticky(env: Env, workflow_id: str, run_id: str = "") -> Any:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    return await env.rpc.reset_sticky_task_queue(ResetStickyTaskQueueRequest(namespace=NAMESPACE, execution=execution))


async def scenario_reset_sticky_then_news(env: Env) -> None:
    """What comes after goes to the normal queue at once; a closed run has nothing to reset."""
    workflow_id, worker, name = env.id(), RawWorker(env), env.unique("sticky")
    run_id = (await env.start_raw(workflow_id)).run_id
    given_up = later(worker.poll(queue=_sticky_queue(env, name), timeout=2))
    await worker.run_task(start_timer("t", 60), sticky_attributes=sticky(name, timeout=20))
    await asyncio.wait([given_up])
    await env.outcome("reset", _reset_sticky(env, workflow_id, run_id))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    env.record("task", await worker.run_task(complete_workflow()))
    await env.outcome("closed", _reset_sticky(env, workflow_id, run_id))
    await env.history(workflow_id)


async def scenario_reset_sticky_with_a_task_in_flight(env: Env) -> None:
    """The worker that has the task goes on; what it says of its sticky queue counts again."""
    workflow_id, worker, name = env.id(), RawWorker(env), env.unique("sticky")
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await env.outcome("reset", _reset_sticky(env, workflow_id))
    polling = later(worker.poll(queue=_sticky_queue(env, name)))
    await worker.complete(task, start_timer("t", 60), sticky_attributes=sticky(name))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    task = await polling
    env.record("sticky task", task)
    await worker.complete(task, complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_sticky_without_one(env: Env) -> None:
    """There is nothing to reset, or nobody to reset it for."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await env.outcome("never sticky", _reset_sticky(env, workflow_id))
    await env.outcome("unknown", _reset_sticky(env, env.unique("unknown")))
    await env.outcome("unknown run", _reset_sticky(env, workflow_id, "01a203b5-1409-7842-ac5c-11a5c5059e43"))
    await RawWorker(env).run_task(complete_workflow())
    await env.history(workflow_id)
