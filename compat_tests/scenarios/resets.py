"""Resets: to which events, what the new run is, what becomes of the one before it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.command.v1 import (
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionResponse

from compat_tests.env import Env, seconds
from compat_tests.raw import (
    RawWorker,
    command,
    complete_workflow,
    event_types,
    fail_workflow,
    schedule_activity,
    start_timer,
    sticky,
)
from compat_tests.raw_resets import describe, events, reset, run, try_points
from compat_tests.raw_updates import done, send, signal, terminate


async def _fresh(
    env: Env, name: str = "workflow", **fields: Any
) -> tuple[str, RawWorker, StartWorkflowExecutionResponse]:
    """A run that has just been started."""
    workflow_id = env.id(name)
    return workflow_id, RawWorker(env), await env.start_raw(workflow_id, **fields)


def _continue_as_new() -> Any:
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes()
    return command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=attributes
    )


# -- to which events ------------------------------------------------------------------------------------------


async def scenario_reset_to_each_event(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(start_timer("t", 100), schedule_activity(env))
    await signal(env, workflow_id)
    await worker.run_task(start_timer("t2", 100))
    await signal(env, workflow_id, "late")
    await try_points(env, workflow_id, started.run_id, first=-1)


async def scenario_reset_to_each_event_of_failed_tasks(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.fail(await worker.poll())
    await worker.fail(await worker.poll())
    await worker.run_task(start_timer("t", 100))
    await try_points(env, workflow_id, started.run_id)
    task = await worker.poll()
    env.record("attempt", task.attempt)
    await worker.fail(task)
    env.record("attempt after a failure", (await worker.poll()).attempt)


async def scenario_reset_to_each_event_of_a_failed_task(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.fail(await worker.poll())
    await signal(env, workflow_id)
    await worker.run_task(start_timer("t", 100))
    await try_points(env, workflow_id, started.run_id)


async def scenario_reset_to_a_task_that_timed_out(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env, workflow_task_timeout=Duration(seconds=1))
    await worker.poll()
    await env.wait_event(workflow_id, "WORKFLOW_TASK_TIMED_OUT")
    await worker.run_task(start_timer("t", 100))
    for event_id in (4, 5, 7):
        await env.outcome(f"reset to {event_id}", reset(env, workflow_id, event_id, started.run_id))
        await env.history(workflow_id, f"after the reset to {event_id}")


async def scenario_reset_to_each_event_of_inline_tasks(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    task = await worker.poll()
    await signal(env, workflow_id)
    answer = await worker.complete(task, start_timer("t", 100), return_new_workflow_task=True)
    await worker.complete(answer.workflow_task, start_timer("t2", 100), force_create_new_workflow_task=True)
    await try_points(env, workflow_id, started.run_id)


async def scenario_reset_to_each_event_of_an_eager_start(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env, request_eager_execution=True)
    await worker.complete(started.eager_workflow_task, start_timer("t", 100))
    await try_points(env, workflow_id, started.run_id)


async def scenario_reset_to_each_event_of_speculative_tasks(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task()
    for update_id, signals in (("u1", 0), ("u2", 2)):
        waiting = send(env, workflow_id, update_id)
        task = await worker.poll()
        for _ in range(signals):
            await signal(env, workflow_id)
        await done(worker, task)
        await waiting
    await try_points(env, workflow_id, started.run_id)


async def scenario_reset_to_each_event_before_the_first_task(env: Env) -> None:
    workflow_id, _, started = await _fresh(env)
    await signal(env, workflow_id, "a")
    await signal(env, workflow_id, "b")
    await try_points(env, workflow_id, started.run_id)


async def scenario_reset_errors(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(start_timer("t", 100))
    other = WorkflowExecution(workflow_id=env.id("other"))
    wrong: dict[str, dict[str, Any]] = {
        "no namespace": {"namespace": ""},
        "unknown namespace": {"namespace": "nowhere"},
        "no execution": {"workflow_execution": None},
        "no workflow id": {"workflow_execution": WorkflowExecution()},
        "invalid run id": {"workflow_execution": WorkflowExecution(workflow_id=workflow_id, run_id="x")},
        "unknown workflow": {"workflow_execution": other},
        "unknown run": {"workflow_execution": WorkflowExecution(workflow_id=workflow_id, run_id=str(uuid.uuid4()))},
        "run of another": {
            "workflow_execution": WorkflowExecution(workflow_id=other.workflow_id, run_id=started.run_id)
        },
        "no request id": {"request_id": ""},
        "long request id": {"request_id": "x" * 1001},
        "no operation": {"post_reset_operations": [PostResetOperation()]},
        "signal afterwards": {
            "post_reset_operations": [
                PostResetOperation(signal_workflow=PostResetOperation.SignalWorkflow(signal_name="s"))
            ]
        },
    }
    for label, fields in wrong.items():
        await env.outcome(label, reset(env, workflow_id, 4, started.run_id, **fields))
    await env.history(workflow_id)


# -- the new run ----------------------------------------------------------------------------------------------


async def scenario_reset_task_goes_to_a_worker(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task(start_timer("t", 100))
    await signal(env, workflow_id)
    await worker.run_task(start_timer("t2", 100))
    await env.outcome("reset", reset(env, workflow_id, 9))
    task = await worker.poll()
    env.record("task", task)
    await worker.complete(task, complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_leaves_the_sticky_queue(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env)
    name = env.unique("sticky")
    queue = TaskQueue(name=name, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    await worker.run_task(sticky_attributes=sticky(name, 30))
    polled = asyncio.create_task(worker.poll(queue=queue))
    await asyncio.sleep(0.5)  # without a poll that waits there, the task would not go to the sticky queue
    await signal(env, workflow_id)
    await worker.complete(await polled, sticky_attributes=sticky(name, 30))
    await env.outcome("reset", reset(env, workflow_id, 8))
    env.record("task", event_types(await worker.poll()))
    await env.history(workflow_id)


async def scenario_reset_describe(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(start_timer("t", 100), schedule_activity(env))
    await signal(env, workflow_id)
    await worker.run_task()
    for event_id in (9, 4):
        await env.outcome("reset", reset(env, workflow_id, event_id, started.run_id))
        env.record("new run", await describe(env, workflow_id))
        env.record("old run", await describe(env, workflow_id, started.run_id))


async def scenario_reset_counts_timeouts_anew(env: Env) -> None:
    times: tuple[dict[str, Any], ...] = (
        {"workflow_execution_timeout": Duration(seconds=100)},
        {"workflow_run_timeout": Duration(seconds=50)},
        {
            "workflow_execution_timeout": Duration(seconds=100),
            "workflow_run_timeout": Duration(seconds=50),
            "workflow_start_delay": Duration(seconds=1),
        },
    )
    for number, fields in enumerate(times):
        worker, workflow_id = RawWorker(env, env.unique(f"queue{number}")), env.id(f"workflow{number}")
        await env.start_raw(workflow_id, task_queue=worker.task_queue, **fields)
        await worker.run_task()
        await reset(env, workflow_id, 4)
        description = await describe(env, workflow_id)
        env.record("config", description.execution_config)
        started = description.workflow_execution_info.start_time.ToNanoseconds()
        extended = description.workflow_extended_info
        for label in ("execution_expiration_time", "run_expiration_time"):
            expires = getattr(extended, label).ToNanoseconds()
            env.record(label, round((expires - started) / 1e9, 1) if expires > 0 else None)
        delay = description.workflow_execution_info.execution_time.ToNanoseconds() - started
        env.record("delay", round(delay / 1e9, 2))


async def scenario_reset_run_times_out(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env, workflow_run_timeout=Duration(seconds=3))
    await worker.run_task()
    await env.wait_event(workflow_id, "WORKFLOW_EXECUTION_TIMED_OUT")
    await env.outcome("reset", reset(env, workflow_id, 4, started.run_id))
    await env.wait_event(workflow_id, "WORKFLOW_EXECUTION_TIMED_OUT")
    await env.history(workflow_id)


async def scenario_reset_retries(env: Env) -> None:
    """The next run of the chain goes by the times of the new run."""
    policy = RetryPolicy(maximum_attempts=3, initial_interval=Duration(seconds=1))
    workflow_id, worker, _ = await _fresh(env, retry_policy=policy, workflow_execution_timeout=Duration(seconds=100))
    await worker.run_task()
    await env.outcome("reset", reset(env, workflow_id, 4))
    expires = (await describe(env, workflow_id)).workflow_extended_info.execution_expiration_time
    await worker.run_task(fail_workflow(Failure(message="broken")))
    attributes = (await events(env, workflow_id))[0].workflow_execution_started_event_attributes
    env.record("attempt", attributes.attempt)
    env.record("expires as before", attributes.workflow_execution_expiration_time == expires)
    await env.history(workflow_id)
    await terminate(env, workflow_id)


async def scenario_reset_of_a_cron_run(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env, cron_schedule="@every 1s")
    await worker.run_task()
    await env.outcome("reset", reset(env, workflow_id, 4))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)
    await worker.run_task(complete_workflow())
    await terminate(env, workflow_id)


async def scenario_reset_memo(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env, memo=Memo(fields={"a": Payload(data=b"1"), "b": Payload(data=b"1")}))

    def change(value: bytes) -> Any:
        attributes = ModifyWorkflowPropertiesCommandAttributes(upserted_memo=Memo(fields={"a": Payload(data=value)}))
        return command("MODIFY_WORKFLOW_PROPERTIES", modify_workflow_properties_command_attributes=attributes)

    await worker.run_task(change(b"2"))
    await signal(env, workflow_id)
    await worker.run_task(change(b"3"))
    for event_id in (9, 4):
        await env.outcome("reset", reset(env, workflow_id, event_id))
        env.record("memo", (await describe(env, workflow_id)).workflow_execution_info.memo)


async def scenario_reset_pending_timer(env: Env) -> None:
    """A timer from before the point goes on; one from after it is gone."""
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task(start_timer("before", 1.5))
    await signal(env, workflow_id)
    await worker.run_task(start_timer("after", 0.1))
    await env.outcome("reset", reset(env, workflow_id, 8))
    await worker.run_task()
    await env.wait_event(workflow_id, "TIMER_FIRED")
    await env.history(workflow_id)


async def scenario_reset_overdue_timer(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task(start_timer("t", 0.5))
    await signal(env, workflow_id)
    await worker.run_task()
    await worker.run_task(complete_workflow())
    await env.outcome("reset", reset(env, workflow_id, 8))
    await env.wait_event(workflow_id, "TIMER_FIRED")
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_pending_activity(env: Env) -> None:
    """An activity that a worker had at the point is offered again, whatever has become of it since."""
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task(schedule_activity(env))
    before = await worker.poll_activity()
    await signal(env, workflow_id)
    await worker.run_task()
    await env.outcome("reset", reset(env, workflow_id, 9))
    await env.outcome("late answer", worker.complete_activity(before))
    again = await worker.poll_activity()
    env.record("activity", again)
    await worker.complete_activity(again, '"again"')
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_completed_activity(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(schedule_activity(env))
    await worker.complete_activity(await worker.poll_activity())
    await worker.run_task(complete_workflow())
    await env.outcome("reset", reset(env, workflow_id, 10))
    task = await worker.poll()
    env.record("keeps the result", event_types(task))
    await worker.complete(task)
    await env.outcome("reset", reset(env, workflow_id, 4, started.run_id))
    env.record("has yet to ask for it", event_types(await worker.poll()))
    await env.history(workflow_id)


async def scenario_reset_activity_that_is_to_be_canceled(env: Env) -> None:
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task(schedule_activity(env))
    await worker.poll_activity()
    await signal(env, workflow_id)
    attributes = RequestCancelActivityTaskCommandAttributes(scheduled_event_id=5)
    cancel = command("REQUEST_CANCEL_ACTIVITY_TASK", request_cancel_activity_task_command_attributes=attributes)
    await worker.run_task(cancel)
    await signal(env, workflow_id)
    await worker.run_task()
    await env.outcome("reset", reset(env, workflow_id, 13))
    env.record("pending", (await describe(env, workflow_id)).pending_activities)
    await worker.complete_activity(await worker.poll_activity())
    await env.history(workflow_id)


# -- the run before it ----------------------------------------------------------------------------------------


async def scenario_reset_of_a_task_in_flight(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    task = await worker.poll()
    await signal(env, workflow_id, "buffered")
    await env.outcome("reset", reset(env, workflow_id, 3))
    await env.history(run(env, workflow_id, started.run_id), "old run")
    await env.outcome("late answer", worker.complete(task, complete_workflow()))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_of_a_completed_run(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(complete_workflow('"first"'))
    await env.outcome("reset", reset(env, workflow_id, 4))
    await env.history(run(env, workflow_id, started.run_id), "old run")
    await worker.run_task(complete_workflow('"second"'))
    await env.outcome("result of the old run", run(env, workflow_id, started.run_id).result())
    await env.outcome("result", env.client.get_workflow_handle(workflow_id).result())


async def scenario_reset_of_a_terminated_run(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(start_timer("t", 100))
    await signal(env, workflow_id)
    await terminate(env, workflow_id)
    await env.outcome("reset", reset(env, workflow_id, 4))
    await env.history(workflow_id)
    await env.history(run(env, workflow_id, started.run_id), "old run")
    env.record("old run", (await describe(env, workflow_id, started.run_id)).workflow_extended_info)


async def scenario_reset_again_and_again(env: Env) -> None:
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(start_timer("t", 100))
    first = await reset(env, workflow_id, 4)
    await signal(env, workflow_id)
    await worker.run_task(start_timer("t", 100))
    await env.outcome("reset of the new run", reset(env, workflow_id, 8, first.run_id))
    await env.history(workflow_id)
    env.record("second run", await describe(env, workflow_id, first.run_id))
    await worker.run_task(start_timer("t", 100))
    await env.outcome("reset of the first run", reset(env, workflow_id, 4, started.run_id))
    await env.history(workflow_id)
    env.record("first run", await describe(env, workflow_id, started.run_id))
    await env.outcome("reset without a reason", reset(env, workflow_id, 4, reason=""))
    await env.history(workflow_id)


async def scenario_reset_beyond_continue_as_new(env: Env) -> None:
    """What came in for the runs that followed is taken over, the newest of them gives way."""
    workflow_id, worker, started = await _fresh(env)
    await signal(env, workflow_id, "one")
    for name in ("two", "three"):
        await asyncio.sleep(1.1)  # else the next run would have to wait for its first task
        await worker.run_task(_continue_as_new())
        await signal(env, workflow_id, name)
    newest = (await describe(env, workflow_id)).workflow_execution_info.execution.run_id
    await env.outcome("reset", reset(env, workflow_id, 5, started.run_id))
    await env.history(workflow_id)
    await env.history(run(env, workflow_id, newest), "newest run")
    for label, run_id in (("base", started.run_id), ("newest", newest), ("new", "")):
        env.record(label, await describe(env, workflow_id, run_id))


async def scenario_reset_of_an_earlier_chain(env: Env) -> None:
    """The current run gives way, but what came in for it is not taken over."""
    workflow_id, worker, started = await _fresh(env)
    await worker.run_task(complete_workflow())
    second = await env.start_raw(workflow_id)
    await signal(env, workflow_id)
    await env.outcome("reset", reset(env, workflow_id, 4, started.run_id))
    await env.history(workflow_id)
    await env.history(run(env, workflow_id, second.run_id), "second run")
    env.record("first run of the chain", (await describe(env, workflow_id)).workflow_execution_info.first_run_id)


async def scenario_reset_then_start(env: Env) -> None:
    """The new run is the current one for everybody who names the workflow only."""
    workflow_id, worker, _ = await _fresh(env)
    await worker.run_task()
    await reset(env, workflow_id, 4)
    await env.outcome("start", env.start_raw(workflow_id))
    await signal(env, workflow_id)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)
    await env.outcome("start after the end", env.start_raw(workflow_id))


# -- with the SDK ---------------------------------------------------------------------------------------------


@workflow.defn
class Collecting:
    """Gathers signals until one says that it is enough."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.sleep(0.05)
        await workflow.wait_condition(lambda: "enough" in self._seen)
        return self._seen

    @workflow.signal
    def add(self, name: str) -> None:
        self._seen.append(name)

    @workflow.query
    def seen(self) -> list[str]:
        return self._seen


async def scenario_reset_with_the_sdk(env: Env) -> None:
    async with env.worker(Collecting):
        handle = await env.client.start_workflow(Collecting.run, id=env.id(), task_queue=env.queue)
        waiting = asyncio.create_task(handle.result())
        await env.wait_event(handle, "WORKFLOW_TASK_COMPLETED", 2)
        await handle.signal(Collecting.add, "a")
        await env.wait_event(handle, "WORKFLOW_TASK_COMPLETED", 3)
        await env.outcome("reset", reset(env, handle.id, 4))
        await env.outcome("result of the old run", waiting)
        current = env.client.get_workflow_handle(handle.id)
        await env.wait_event(current, "WORKFLOW_TASK_COMPLETED", 2)
        await env.outcome("query", current.query(Collecting.seen))
        await current.signal(Collecting.add, "enough")
        await env.outcome("result", current.result())
        last = [each.event_id for each in await events(env, current) if each.HasField(_COMPLETED)][-1]
        await env.outcome("reset to the last task", reset(env, handle.id, last))
        await env.outcome("result again", env.client.get_workflow_handle(handle.id).result(rpc_timeout=seconds(20)))
        await env.history(handle.id)


_COMPLETED = "workflow_task_completed_event_attributes"
