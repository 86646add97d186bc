"""Events that come while a worker has the workflow task: where they go, and what they prevent."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command, RequestCancelActivityTaskCommandAttributes
from temporalio.api.common.v1 import Link, RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import (
    RawWorker,
    command,
    complete_workflow,
    fail_workflow,
    payloads,
    schedule_activity,
    start_timer,
    sticky,
)
from compat_tests.raw_commands import (
    FAILURE,
    cancel_other,
    cancel_workflow,
    continue_as_new,
    marker,
    memo,
    signal_other,
    upsert_memo,
)
from compat_tests.scenarios.children import Family
from compat_tests.targets import IDENTITY

BUSY = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
"""The next task is in flight from the same moment on."""


async def _signal(env: Env, workflow_id: str, name: str = "s", run_id: str = "", **fields: Any) -> Any:
    request = SignalWorkflowExecutionRequest(
        namespace=NAMESPACE,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        signal_name=name,
        identity=IDENTITY,
        **fields,
    )
    return await env.rpc.signal_workflow_execution(request)


async def _signal_with_start(env: Env, workflow_id: str, **fields: Any) -> Any:
    start = env.start_request(workflow_id)
    defaults: dict[str, Any] = {each.name: value for each, value in start.ListFields()}
    defaults.update(signal_name="s", signal_input=payloads('"in"'))
    request = SignalWithStartWorkflowExecutionRequest(**{**defaults, **fields})
    return await env.rpc.signal_with_start_workflow_execution(request)


async def _busy(env: Env, **fields: Any) -> tuple[str, RawWorker, PollWorkflowTaskQueueResponse]:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, **fields)
    return workflow_id, worker, await worker.poll()


async def scenario_buffered_events_of_all_kinds(env: Env) -> None:
    """Signal, timer, activity, request to cancel, in this order of arrival; then the task is answered."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    commands = (schedule_activity(env), start_timer("t", 1))
    answered = await worker.complete(await worker.poll(), *commands, **BUSY)
    await _signal(env, workflow_id, "first")
    await worker.complete_activity(await worker.poll_activity())
    await _signal(env, workflow_id, "second")
    await asyncio.sleep(1.5)
    await env.client.get_workflow_handle(workflow_id).cancel()
    await _signal(env, workflow_id, "third")
    await env.history(workflow_id, "while buffered")
    await worker.complete(answered.workflow_task)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_buffered_child_and_external(env: Env) -> None:
    """What other workflows answer is buffered too: a child that starts and ends, a signal that arrived."""
    family, target = Family(env), env.id("target")
    await env.start_raw(target, task_queue=RawWorker(env, env.unique("other")).task_queue)
    await env.start_raw(family.parent_id)
    answered = await family.parent.complete(await family.parent.poll(), family.start(), **BUSY)
    await family.child.run_task(complete_workflow())
    await family.closed("child")
    await asyncio.sleep(1)  # the parent hears of it a little later, and nothing tells when
    answered = await family.parent.complete(answered.workflow_task, signal_other(target), **BUSY)
    await env.wait_event(target, "WORKFLOW_EXECUTION_SIGNALED")
    await asyncio.sleep(0.5)
    await family.parent.complete(answered.workflow_task)
    await family.parent.run_task(complete_workflow())
    await family.histories("parent")


async def _may_not_close(env: Env, name: str, answer: Command) -> None:
    workflow_id, worker = env.id(name), RawWorker(env)
    first = await env.start_raw(workflow_id)
    task = await worker.poll()
    await _signal(env, workflow_id)
    await env.outcome(name, worker.complete(task, answer))
    await worker.run_task(answer)
    await env.chain(workflow_id, first.run_id)
    if name == "continue":
        await worker.run_task(complete_workflow())


async def scenario_unhandled_command_of_each_close(env: Env) -> None:
    answers = {"complete": complete_workflow(), "fail": fail_workflow(FAILURE), "cancel": cancel_workflow()}
    for name, answer in answers.items():
        await _may_not_close(env, name, answer)


async def scenario_unhandled_command_drops_the_others(env: Env) -> None:
    """Nothing of the answer is kept: neither the timer nor the marker that came before the closing command."""
    workflow_id, worker, task = await _busy(env)
    await _signal(env, workflow_id)
    await env.outcome("answer", worker.complete(task, start_timer("t", 1), marker("m"), complete_workflow()))
    await worker.run_task(marker("n"), complete_workflow())
    await env.history(workflow_id)


async def scenario_unhandled_command_on_a_sticky_queue(env: Env) -> None:
    """The failure of the task makes the next one go to the normal queue."""
    workflow_id, worker, task = await _busy(env)
    await worker.complete(task, sticky_attributes=sticky(env.unique("sticky")))
    await _signal(env, workflow_id)
    task = await worker.poll()
    await _signal(env, workflow_id, "second")
    await env.outcome("answer", worker.complete(task, complete_workflow()))
    env.record("next task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_activity_result_prevents_closing(env: Env) -> None:
    """An outcome that the worker has not seen counts like a signal."""
    workflow_id, worker, task = await _busy(env)
    answered = await worker.complete(task, schedule_activity(env), **BUSY)
    await worker.complete_activity(await worker.poll_activity())
    await env.outcome("answer", worker.complete(answered.workflow_task, complete_workflow()))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_activity_cancel_over_buffered_result(env: Env) -> None:
    """The request to cancel an activity whose result is buffered."""
    workflow_id, worker, task = await _busy(env)
    answered = await worker.complete(task, schedule_activity(env), **BUSY)
    await worker.complete_activity(await worker.poll_activity())
    attributes = RequestCancelActivityTaskCommandAttributes(scheduled_event_id=5)
    cancel = command("REQUEST_CANCEL_ACTIVITY_TASK", request_cancel_activity_task_command_attributes=attributes)
    await env.outcome("answer", worker.complete(answered.workflow_task, cancel))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_buffered_signals_of_a_task_that_times_out(env: Env) -> None:
    workflow_id, worker, _ = await _busy(env, workflow_task_timeout=Duration(seconds=1))
    await _signal(env, workflow_id, "first")
    await _signal(env, workflow_id, "second")
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_buffered_events_too_many(env: Env) -> None:
    """One more than a hundred: the task fails, and the answer of its worker comes too late."""
    workflow_id, worker, task = await _busy(env)
    for number in range(101):
        await _signal(env, workflow_id, f"s{number}")
    await env.history(workflow_id, "as soon as it was too many")
    await _signal(env, workflow_id, "one more")
    await env.outcome("too late", worker.complete(task, complete_workflow()))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_buffered_events_too_large(env: Env) -> None:
    """More than two megabytes of them."""
    workflow_id, worker, task = await _busy(env)
    for number in range(5):
        await _signal(env, workflow_id, f"s{number}", input=payloads(f'"{"x" * 500_000}"'))
    await env.outcome("too late", worker.complete(task, complete_workflow()))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_signals_before_the_first_task(env: Env) -> None:
    """A run that waits: several signals, no task before its time."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, workflow_start_delay=Duration(seconds=2))
    for name in ("first", "second"):
        await _signal(env, workflow_id, name)
    await env.history(workflow_id, "while it waits")
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_signal_to_a_run_that_waits_for_its_retry(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id, retry_policy=RetryPolicy(initial_interval=Duration(seconds=2)))
    await worker.run_task(fail_workflow(FAILURE))
    await _signal(env, workflow_id)
    await env.outcome("to the failed run", _signal(env, workflow_id, run_id=first.run_id))
    env.record("task", [event.event_type for event in (await worker.run_task(complete_workflow())).history.events])
    await env.chain(workflow_id, first.run_id)


async def scenario_signal_request_id_in_the_next_run(env: Env) -> None:
    """A signal that was applied to a run, sent again with its request id to the run that follows."""
    workflow_id, worker, request_id = env.id(), RawWorker(env), str(uuid.uuid4())
    first = await env.start_raw(workflow_id)
    await env.outcome("first", _signal(env, workflow_id, request_id=request_id))
    await env.outcome("again", _signal(env, workflow_id, request_id=request_id))
    await worker.run_task(complete_workflow())
    await env.outcome("again to the closed run", _signal(env, workflow_id, request_id=request_id))
    await env.outcome("another to the closed run", _signal(env, workflow_id, request_id=str(uuid.uuid4())))
    await env.chain(workflow_id, first.run_id)


async def scenario_links_of_requests(env: Env) -> None:
    """Links are kept in the events that the requests lead to."""
    link = Link(batch_job=Link.BatchJob(job_id="job"))
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, links=[link])
    await _signal(env, workflow_id, links=[link])
    execution = WorkflowExecution(workflow_id=workflow_id)
    cancel = RequestCancelWorkflowExecutionRequest(
        namespace=NAMESPACE, workflow_execution=execution, links=[link], identity=IDENTITY
    )
    await env.rpc.request_cancel_workflow_execution(cancel)
    await worker.run_task()
    end = TerminateWorkflowExecutionRequest(
        namespace=NAMESPACE, workflow_execution=execution, links=[link], identity=IDENTITY
    )
    await env.rpc.terminate_workflow_execution(end)
    await env.history(workflow_id)
    other = env.id("other")
    await env.outcome("signal with start", _signal_with_start(env, other, links=[link]))
    await env.history(other)


async def scenario_signal_with_start_everything(env: Env) -> None:
    """All that a start may say, with a signal."""
    workflow_id, worker = env.id(), RawWorker(env)
    response = await _signal_with_start(
        env,
        workflow_id,
        input=payloads("1", "2"),
        workflow_execution_timeout=Duration(seconds=90),
        workflow_run_timeout=Duration(seconds=60),
        workflow_task_timeout=Duration(seconds=7),
        retry_policy=RetryPolicy(maximum_attempts=2),
        memo=memo(a="1"),
        control="control",
    )
    env.record("started", response.started)
    await worker.run_task(fail_workflow(FAILURE))
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, response.run_id)


async def scenario_signal_with_start_cron(env: Env) -> None:
    """The signal does not begin the run before its time."""
    workflow_id, worker = env.id(), RawWorker(env)
    response = await _signal_with_start(env, workflow_id, cron_schedule="@every 2s")
    await env.history(workflow_id, "while it waits")
    await worker.run_task(complete_workflow())
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=response.run_id))
    await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_signal_with_start_after_each_end(env: Env) -> None:
    """The reuse policies after a run that completed, failed, and was terminated."""
    names = ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "TERMINATE_IF_RUNNING")
    worker = RawWorker(env)
    for end in ("completed", "failed", "terminated"):
        for name in names:
            workflow_id = env.id(f"{end}-{name}")
            await env.start_raw(workflow_id)
            if end == "terminated":
                await env.client.get_workflow_handle(workflow_id).terminate()
            else:
                await worker.run_task(complete_workflow() if end == "completed" else fail_workflow(FAILURE))
            policy = WorkflowIdReusePolicy.Value(f"WORKFLOW_ID_REUSE_POLICY_{name}")
            elsewhere = RawWorker(env, env.unique("elsewhere")).task_queue
            again = _signal_with_start(env, workflow_id, workflow_id_reuse_policy=policy, task_queue=elsewhere)
            await env.outcome(f"{name} after {end}", again)


async def scenario_signal_with_start_replaces_a_busy_run(env: Env) -> None:
    """The run that is ended keeps what was buffered; the signal goes to the new one."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id)
    await worker.poll()
    await _signal(env, workflow_id, "buffered")
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    second = await _signal_with_start(env, workflow_id, workflow_id_conflict_policy=policy)
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)
    await env.chain(workflow_id, second.run_id)


async def scenario_cancel_requested_while_busy(env: Env) -> None:
    """A request to cancel, and one by another workflow, while a task is in flight: the first one counts."""
    workflow_id, worker, task = await _busy(env)
    await env.client.get_workflow_handle(workflow_id).cancel(reason="first")
    sender = RawWorker(env, env.unique("sender"))
    await env.start_raw(env.id("sender"), task_queue=sender.task_queue)
    await sender.run_task(cancel_other(workflow_id, reason="second"))
    await env.wait_event(env.id("sender"), "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await worker.complete(task, upsert_memo(a="1"))
    await worker.run_task(cancel_workflow())
    await env.history(workflow_id)


async def scenario_continued_over_a_request_to_cancel(env: Env) -> None:
    """A run that was asked to cancel continues as new: the next one was not asked."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id)
    await env.client.get_workflow_handle(workflow_id).cancel()
    await worker.run_task(continue_as_new())
    env.record("description", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)
    await env.client.get_workflow_handle(workflow_id).cancel()
    await worker.run_task(cancel_workflow())
    await env.chain(workflow_id, first.run_id)
