"""Updates whose run ends, goes on in another run, or is looked at from elsewhere; and many updates at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.update.v1 import Outcome, UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow, start_timer, sticky
from compat_tests.raw_commands import FAILURE, cancel_workflow, continue_as_new
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
    poll_update,
    reject,
    respond,
    send,
    signal,
)
from compat_tests.scenarios.update_with_start import execute as start_and_update
from compat_tests.scenarios.updates import Updated, accepted, execute


def _poll_of_run(env: Env, workflow_id: str, run_id: str, update_id: str = "u1") -> Any:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    request = PollWorkflowExecutionUpdateRequest(
        namespace=NAMESPACE,
        update_ref=UpdateRef(workflow_execution=execution, update_id=update_id),
        wait_policy=WaitPolicy(lifecycle_stage=COMPLETED),
    )
    return env.rpc.poll_workflow_execution_update(request, timeout=seconds(5))


async def _accepted_only(worker: RawWorker, *commands: Any) -> None:
    """Take a task, accept its updates, and give more commands."""
    task = await worker.poll()
    messages = [accept(each) for each in task.messages]
    await worker.complete(task, *map(deliver, messages), *commands, messages=messages)


async def scenario_raw_update_accepted_as_the_run_completes(env: Env) -> None:
    """Accepted and left alone by the very answer that completes the workflow."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await _accepted_only(worker, complete_workflow())
    await env.outcome("update", waiting)
    await env.outcome("asked later", poll_update(env, workflow_id))
    await env.outcome("asked for acceptance", poll_update(env, workflow_id, stage=ACCEPTED))
    await env.outcome("sent again", send(env, workflow_id, timeout=5))
    await env.outcome("another one", send(env, workflow_id, "u2", timeout=5))
    await env.history(workflow_id)


async def scenario_raw_update_completed_as_the_run_ends(env: Env) -> None:
    """Accepted, completed, and then the workflow fails, in one answer."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll(), fail_workflow(FAILURE))
    await env.outcome("update", waiting)
    await env.outcome("asked later", poll_update(env, workflow_id))
    await env.outcome("sent again", send(env, workflow_id, timeout=5))
    await env.history(workflow_id)


async def scenario_raw_update_rejected_as_the_run_ends(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.complete(task, cancel_workflow(), messages=[reject(each) for each in task.messages])
    await env.outcome("update", waiting)
    await env.outcome("asked later", poll_update(env, workflow_id))
    await env.history(workflow_id)


async def scenario_raw_update_after_the_closing_command(env: Env) -> None:
    """The messages come after the command that closes the workflow."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    messages = [m for asked in task.messages for m in (accept(asked), respond(asked.protocol_instance_id))]
    answer = worker.complete(task, complete_workflow(), *map(deliver, messages), messages=messages)
    await env.outcome("answer", answer)
    await env.client.get_workflow_handle(workflow_id).terminate()
    await asyncio.gather(waiting, return_exceptions=True)


async def scenario_raw_update_accepted_before_continue_as_new(env: Env) -> None:
    """An accepted update does not go over to the next run."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task()
    waiting = send(env, workflow_id)
    await _accepted_only(worker, continue_as_new())
    await env.outcome("update", waiting)
    await worker.run_task()
    await env.outcome("asked of the chain", poll_update(env, workflow_id))
    await env.outcome("asked of the first run", _poll_of_run(env, workflow_id, first))
    again = send(env, workflow_id)
    await done(worker, await worker.poll(), complete_workflow())
    await env.outcome("the same id in the next run", again)
    await env.chain(workflow_id, first)


async def scenario_raw_update_accepted_before_a_retry(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id, retry_policy=RetryPolicy(maximum_attempts=2))).run_id
    await worker.run_task()
    waiting = send(env, workflow_id)
    await _accepted_only(worker, fail_workflow(FAILURE))
    await env.outcome("update", waiting)
    await worker.run_task(complete_workflow())
    await env.outcome("asked of the first run", _poll_of_run(env, workflow_id, first))
    await env.chain(workflow_id, first)


async def scenario_raw_update_to_a_closed_run_of_a_chain(env: Env) -> None:
    """By run id a closed run is meant, and not the one that follows."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task(continue_as_new())
    await worker.run_task()
    closed = WorkflowExecution(workflow_id=workflow_id, run_id=first)
    await env.outcome("to the closed run", send(env, workflow_id, workflow_execution=closed, timeout=5))
    waiting = send(env, workflow_id, "u2", first_execution_run_id=first)
    await done(worker, await worker.poll())
    await env.outcome("to the chain", waiting)


async def scenario_raw_update_same_id_twice_in_flight(env: Env) -> None:
    """Two callers with one id: the workflow sees one update, both get its outcome."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    second = send(env, workflow_id)
    third = poll_update(env, workflow_id, timeout=20)
    task = await worker.poll()
    env.record("messages", len(task.messages))
    await done(worker, task)
    for label, each in (("first", waiting), ("second", second), ("polled", third)):
        await env.outcome(label, each)
    await env.history(workflow_id)


async def scenario_raw_update_id_of_a_rejected_one(env: Env) -> None:
    """A rejected update is forgotten: its id is free again."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("rejected", waiting)
    await env.outcome("asked later", poll_update(env, workflow_id))
    again = send(env, workflow_id)
    await done(worker, await worker.poll())
    await env.outcome("again", again)
    await env.history(workflow_id)


async def scenario_raw_update_stages_seen_by_polls(env: Env) -> None:
    """What a poll says that gives up early, at each stage."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    for stage in (ADMITTED, ACCEPTED):
        await env.outcome(f"admitted, {stage}", poll_update(env, workflow_id, stage=stage, timeout=2))
    await _accepted_only(worker)
    for stage in (ADMITTED, ACCEPTED, COMPLETED):
        await env.outcome(f"accepted, {stage}", poll_update(env, workflow_id, stage=stage, timeout=2))
    await signal(env, workflow_id)
    last = respond("u1", Outcome(failure=Failure(message="no", application_failure_info=ApplicationFailureInfo())))
    await worker.complete(await worker.poll(), deliver(last), messages=[last])
    await env.outcome("update", waiting)
    for stage in (ADMITTED, ACCEPTED, COMPLETED):
        await env.outcome(f"completed, {stage}", poll_update(env, workflow_id, stage=stage, timeout=2))


async def scenario_raw_update_many_in_one_task(env: Env) -> None:
    """In the order in which they came; answered in another order."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    waiting: dict[str, Any] = {}
    for number in range(5):
        waiting[f"u{number}"] = send(env, workflow_id, f"u{number}")
        await admitted(env, workflow_id, f"u{number}")
    task = await worker.poll()
    env.record("messages", list(task.messages))
    messages = [accept(each) for each in reversed(task.messages)]
    messages += [respond(each.protocol_instance_id) for each in task.messages[::2]]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    for name in ("u0", "u2", "u4"):
        await env.outcome(name, waiting[name])
    await signal(env, workflow_id)
    rest = [respond(name) for name in ("u3", "u1")]
    await worker.complete(await worker.poll(), *map(deliver, rest), complete_workflow(), messages=rest)
    for name in ("u1", "u3"):
        await env.outcome(name, waiting[name])
    await env.history(workflow_id)


async def scenario_raw_update_canceled_while_admitted(env: Env) -> None:
    """A request to cancel turns the task that brings the update into a normal one."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await env.client.get_workflow_handle(workflow_id).cancel()
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task, cancel_workflow())
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_terminated_while_admitted(env: Env) -> None:
    """No worker ever saw it."""
    workflow_id, _ = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_replaced_while_admitted(env: Env) -> None:
    """Another run takes over: the update goes there if it is sent again."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    second = await env.start_raw(workflow_id, workflow_id_conflict_policy=policy)
    await env.outcome("update", waiting)
    await worker.run_task(complete_workflow())
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=second.run_id))


async def scenario_raw_update_run_times_out(env: Env) -> None:
    """One update accepted, one only admitted, when the run times out."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, workflow_run_timeout=Duration(seconds=5))
    await worker.run_task()
    first = send(env, workflow_id)
    await _accepted_only(worker)
    second = send(env, workflow_id, "u2")
    await env.outcome("accepted", first)
    await env.outcome("admitted", second)
    await env.history(workflow_id)


async def scenario_raw_update_sticky_worker_is_gone(env: Env) -> None:
    """The speculative task goes to the normal queue when nobody takes it from the sticky one."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(sticky_attributes=sticky(env.unique("sticky"), 1))
    waiting = send(env, workflow_id)
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_timer_fires_during_speculative(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(start_timer("t", 1.5))
    waiting = send(env, workflow_id)
    task = await worker.poll()
    await asyncio.sleep(2)
    await worker.complete(task, messages=[reject(each) for each in task.messages], capabilities=DISCARD)
    await env.outcome("update", waiting)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_raw_update_rejected_and_accepted(env: Env) -> None:
    """One task brings two; one is rejected, one accepted: the task stays in the history."""
    workflow_id, worker = await begun(env)
    first = send(env, workflow_id)
    await admitted(env, workflow_id)
    second = send(env, workflow_id, "u2")
    await admitted(env, workflow_id, "u2")
    task = await worker.poll()
    messages = [reject(task.messages[0]), accept(task.messages[1]), respond("u2")]
    await worker.complete(task, *map(deliver, messages[1:]), messages=messages, capabilities=DISCARD)
    await env.outcome("first", first)
    await env.outcome("second", second)
    await env.history(workflow_id)


async def scenario_update_seen_by_another_client(env: Env) -> None:
    """A second client waits for what the first one asked, and both get it."""
    other: Client = await env.connection.client()
    try:
        async with env.worker(Updated):
            handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
            await env.settled(handle)
            await accepted(handle, Updated.add, "wait", id="one")
            elsewhere = other.get_workflow_handle(handle.id)
            polling = asyncio.create_task(elsewhere.get_update_handle("one", result_type=int).result())
            repeated = asyncio.create_task(execute(elsewhere, Updated.add, "wait", id="one"))
            await handle.signal(Updated.open)
            await env.outcome("polled", polling)
            await env.outcome("repeated", repeated)
            await env.outcome("finish", execute(elsewhere, Updated.finish, id="last"))
            await env.outcome("result", handle.result())
            await env.history(handle)
    finally:
        close = getattr(other, "close", None)
        if close is not None:
            await close()


@workflow.defn
class Cleans:
    """Waits for its handlers, also when it is cancelled."""

    def __init__(self) -> None:
        self._canceled = False

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: False)
        finally:
            self._canceled = True
            await workflow.wait_condition(workflow.all_handlers_finished)
        return "never"

    @workflow.update
    async def hold(self) -> str:
        await workflow.wait_condition(lambda: self._canceled)
        return "held until the cancellation"

    @workflow.update
    async def fails_when_canceled(self) -> str:
        await workflow.wait_condition(lambda: self._canceled)
        raise ApplicationError("canceled meanwhile", type="Canceled")


async def scenario_update_handlers_finish_after_cancel(env: Env) -> None:
    async with env.worker(Cleans):
        handle = await env.client.start_workflow(Cleans.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        first = await accepted(handle, Cleans.hold, id="one")
        await env.settled(handle)
        second = await accepted(handle, Cleans.fails_when_canceled, id="two")
        await env.settled(handle)
        await handle.cancel()
        await env.outcome("first", first.result())
        await env.outcome("second", second.result())
        await env.outcome("result", handle.result())
        await env.history(handle)


@workflow.defn
class Leaves:
    """Ends while updates are unfinished."""

    def __init__(self) -> None:
        self._end = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._end)
        return "ended"

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def never(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def slow(self) -> str:
        await workflow.sleep(timedelta(milliseconds=300))
        return "slept"

    @workflow.signal
    def end(self) -> None:
        self._end = True


async def scenario_update_unfinished_two_of_three(env: Env) -> None:
    """One is done, two are left when the workflow returns."""
    async with env.worker(Leaves):
        handle = await env.client.start_workflow(Leaves.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("slow", execute(handle, Leaves.slow, id="slow"))
        await env.settled(handle)
        left: list[WorkflowUpdateHandle[Any]] = []
        for name in ("one", "two"):
            left.append(await accepted(handle, Leaves.never, id=name))
            await env.settled(handle)
        await handle.signal(Leaves.end)
        await env.outcome("result", handle.result())
        for each in left:
            await env.outcome(each.id, each.result())
        await env.history(handle)


async def scenario_update_with_start_replaces(env: Env) -> None:
    """The conflict policy that ends the run which is there; and a reuse policy on a failed one."""
    workflow_id = env.id()
    async with env.worker(Updated):
        first = await env.client.start_workflow(Updated.run, id=workflow_id, task_queue=env.queue)
        await env.settled(first)
        operation = WithStartWorkflowOperation(
            Updated.run,
            True,
            id=workflow_id,
            task_queue=env.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
        await env.outcome(
            "update", start_and_update(env, Updated.add, "a", id="one", start_workflow_operation=operation)
        )
        second = await operation.workflow_handle()
        await env.outcome("finish", execute(second, Updated.finish, id="two"))
        await env.outcome("result", second.result())
        await env.history(first, "first run")
        await env.history(second, "second run")


async def scenario_raw_update_first_run_conditions(env: Env) -> None:
    """Reuse of the id by a start of its own: the first run id tells the chains apart."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task(complete_workflow())
    reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    second = (await env.start_raw(workflow_id, workflow_id_reuse_policy=reuse)).run_id
    await worker.run_task()
    await env.outcome("of the first", send(env, workflow_id, first_execution_run_id=first, timeout=5))
    waiting = send(env, workflow_id, first_execution_run_id=second)
    await done(worker, await worker.poll())
    await env.outcome("of the second", waiting)
