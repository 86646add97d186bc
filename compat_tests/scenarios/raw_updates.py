"""Updates by hand: protocol messages, speculative workflow tasks, what happens at the same time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    ContinueAsNewWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Link
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import (
    Input,
    Meta,
    Outcome,
    Request,
    WaitPolicy,
)
from temporalio.service import RPCError

from compat_tests.env import Env
from compat_tests.raw import RawWorker, command, complete_workflow, schedule_activity, start_timer, sticky
from compat_tests.raw_updates import (
    ACCEPTED,
    ADMITTED,
    COMPLETED,
    DISCARD,
    accept,
    admitted,
    begun,
    deliver,
    done,
    later,
    poll_update,
    reject,
    respond,
    send,
    signal,
    terminate,
)


async def scenario_raw_update(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await env.history(workflow_id, "while the task is started")
    env.record("answer", await done(worker, task))
    await env.outcome("update", waiting)
    await env.outcome("again", send(env, workflow_id))
    for stage in (ADMITTED, ACCEPTED, COMPLETED):
        await env.outcome("polled", poll_update(env, workflow_id, stage=stage))
    await env.history(workflow_id)


async def scenario_raw_update_rejected(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    env.record("answer", await worker.complete(task, messages=messages, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)
    await signal(env, workflow_id)
    task = await worker.poll()
    env.record("next task", task)
    await worker.complete(task, complete_workflow())
    await env.history(workflow_id, "at the end")


async def scenario_raw_update_rejected_without_capability(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("answer", await worker.complete(task, messages=[reject(each) for each in task.messages]))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_rejected_with_command(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    env.record("answer", await worker.complete(task, start_timer("t", 100), messages=messages, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_rejected_heartbeat(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [reject(each) for each in task.messages]
    fields: dict[str, Any] = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    env.record("answer", await worker.complete(task, messages=messages, capabilities=DISCARD, **fields))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_two_steps(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    early = send(env, workflow_id, wait_policy=WaitPolicy(lifecycle_stage=ACCEPTED))
    task = await worker.poll()
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("accepted", early)
    await env.outcome("polled", poll_update(env, workflow_id, stage=ACCEPTED))
    with pytest.raises(RPCError):
        await poll_update(env, workflow_id, timeout=3)
    await signal(env, workflow_id)
    task = await worker.poll()
    env.record("second task", task)
    messages = [respond("u1", Outcome(failure=Failure(message="no")))]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_before_first_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await worker.complete(task)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_during_task_inline(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    answer = await worker.complete(task, return_new_workflow_task=True)
    env.record("answer", answer)
    await env.history(workflow_id, "started inline")
    messages = [reject(each) for each in answer.workflow_task.messages]
    await worker.complete(answer.workflow_task, messages=messages, capabilities=DISCARD)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_with_signal(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await signal(env, workflow_id)
    await env.history(workflow_id, "signal after the update")
    task = await worker.poll()
    env.record("task", task)
    await signal(env, workflow_id, "during")
    await env.history(workflow_id, "signal during the task")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    task = await worker.poll()
    env.record("second task", task)
    await worker.complete(task)
    await env.history(workflow_id)


async def scenario_raw_update_signal_during_speculative(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id, "during")
    await env.history(workflow_id, "signal during the task")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    await worker.run_task()
    await env.history(workflow_id)


async def scenario_raw_update_task_fails(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.fail(task)
    await env.history(workflow_id, "failed")
    task = await worker.poll()
    env.record("second attempt", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_not_processed(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("answer", await worker.complete(task, capabilities=DISCARD))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_nobody_polls(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await env.wait_event(workflow_id, "WORKFLOW_TASK_TIMED_OUT")
    await env.history(workflow_id, "after 5 seconds")
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_sticky(env: Env) -> None:
    queue = env.unique("sticky")
    workflow_id, worker = await begun(env, sticky_attributes=sticky(queue))
    sticky_queue = TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=env.queue)
    polling = later(worker.poll(queue=sticky_queue))
    await asyncio.sleep(0.3)
    waiting = send(env, workflow_id)
    task = await polling
    env.record("task", task)
    await done(worker, task, sticky_attributes=sticky(queue))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_limit_in_flight(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting: list[asyncio.Task[Any]] = []
    for number in range(10):
        waiting.append(send(env, workflow_id, f"u{number}"))
        await admitted(env, workflow_id, f"u{number}")
    await env.outcome("eleventh", send(env, workflow_id, "u10", timeout=5))
    for number in range(10):
        await admitted(env, workflow_id, f"u{number}")
    task = await worker.poll()
    env.record("messages", sorted(each.protocol_instance_id for each in task.messages))
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("accepted ones count", send(env, workflow_id, "u10", timeout=5))
    await terminate(env, workflow_id)
    await asyncio.gather(*waiting, return_exceptions=True)


async def scenario_raw_update_continued_as_new_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    started = await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    again = ContinueAsNewWorkflowExecutionCommandAttributes()
    await worker.complete(
        task,
        command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=again),
    )
    task = await worker.poll()
    env.record("task of the next run", task)
    if task.messages:
        await done(worker, task)
    await env.outcome("update", waiting)
    await env.chain(workflow_id, started.run_id)


async def scenario_raw_update_start_delay(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id, workflow_start_delay=Duration(seconds=100))
    worker = RawWorker(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("rejected", waiting)
    await env.history(workflow_id, "still waiting for its start")
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll())
    await env.outcome("accepted", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_workflow_closing(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id)
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    task = await worker.poll()
    await env.outcome("update", send(env, workflow_id, timeout=5))
    await worker.complete(task, complete_workflow())


async def scenario_raw_update_task_fails_twice(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    for _ in range(2):
        await worker.fail(await worker.poll())
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_task_keeps_failing(env: Env) -> None:
    workflow_id, worker = await begun(env)
    await signal(env, workflow_id)
    for _ in range(2):
        await worker.fail(await worker.poll())
    await env.outcome("update", send(env, workflow_id))


async def scenario_raw_update_task_times_out(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, workflow_task_timeout=Duration(seconds=1))
    await worker.run_task()
    waiting = send(env, workflow_id)
    await worker.poll()
    task = await worker.poll()
    env.record("second attempt", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_unhandled_command(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await signal(env, workflow_id)
    await env.outcome("completion", done(worker, task, complete_workflow()))
    await env.history(workflow_id, "refused")
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task, complete_workflow())
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_unhandled_command_unsent(env: Env) -> None:
    """The update comes while the task is in flight that fails: it goes with the next one."""
    workflow_id, worker = await begun(env)
    await signal(env, workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await signal(env, workflow_id)
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    await asyncio.sleep(1)  # the server has forgotten the update, and asks its frontend to send it again
    await admitted(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_heartbeat(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    asked = task.messages[0]
    fields: dict[str, Any] = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    answer = await worker.complete(task, **fields)
    env.record("answer", answer)
    messages = [accept(asked), respond("u1")]
    await worker.complete(answer.workflow_task, *map(deliver, messages), messages=messages)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_request_fields(env: Env) -> None:
    workflow_id, worker = await begun(env)
    link = Link(batch_job=Link.BatchJob(job_id="job"))
    request = Request(
        meta=Meta(update_id="u1", identity="me"), input=Input(name="change"), request_id="r", links=[link]
    )
    waiting = send(env, workflow_id, request=request, wait_policy=None)
    task = await worker.poll()
    env.record("messages", list(task.messages))
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    begin = time.monotonic()
    await env.outcome("no wait policy", send(env, workflow_id, wait_policy=None))
    await env.outcome("first", waiting)
    env.record("without a policy", "waits" if time.monotonic() - begin > 5 else "does not wait for the outcome")
    await env.history(workflow_id)


async def scenario_raw_update_without_id(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id, "")
    task = await worker.poll()
    env.record("messages", list(task.messages))
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_after_activity(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env))
    for label, fields in (("without capability", {}), ("with capability", {"capabilities": DISCARD})):
        waiting = send(env, workflow_id, label)
        task = await worker.poll()
        env.record("task", task)
        messages = [reject(each) for each in task.messages]
        env.record(label, await worker.complete(task, messages=messages, **fields))
        await env.outcome("update", waiting)
        await env.history(workflow_id)


async def scenario_raw_update_activity_during_speculative(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env))
    waiting = send(env, workflow_id)
    task = await worker.poll()
    activity = await worker.poll_activity()
    await env.history(workflow_id, "activity started")
    await worker.complete_activity(activity)
    await env.history(workflow_id, "activity completed")
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_mixed(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting: dict[str, asyncio.Task[Any]] = {}
    for name in ("a", "b", "c"):
        waiting[name] = send(env, workflow_id, name)
        await admitted(env, workflow_id, name)
    task = await worker.poll()
    first, second, _ = task.messages
    messages = [accept(first), reject(second), respond("a")]
    commands = [start_timer("before", 100), deliver(messages[0]), start_timer("after", 100)]
    await worker.complete(task, *commands, messages=messages)
    for name, each in waiting.items():
        await env.outcome(name, each)
    await env.history(workflow_id)


async def scenario_raw_update_late_answer(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    first = await worker.poll()
    await worker.complete(first, messages=[reject(each) for each in first.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    waiting = send(env, workflow_id, "u2")
    second = await worker.poll()
    await env.outcome("answered again", worker.complete(first))
    await done(worker, second)
    await env.outcome("second update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_closed_during_task(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_closed_with_update(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await env.outcome("completion", worker.complete(task, complete_workflow()))
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_terminated(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await worker.poll()
    await terminate(env, workflow_id)
    await env.outcome("update", waiting)
    await env.history(workflow_id)
