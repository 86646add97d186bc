"""Signals to other workflows and requests to cancel them, sent by workflows."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Header, Payload, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env
from compat_tests.raw import RawWorker, command, complete_workflow, payloads
from compat_tests.raw_commands import cancel_other, signal_other
from compat_tests.scenarios.children import Family, Waits

SIGNALED, SIGNAL_FAILED = "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"
ANSWER = "external_workflow_execution_signaled_event_attributes"
CANCELED = "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
CANCEL_FAILED = "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"


async def _send(env: Env, name: str, sent: Command, answer: str) -> None:
    """A fresh workflow sends it and waits for the answer; record its history."""
    worker = RawWorker(env)
    await env.start_raw(env.id(name))
    await worker.run_task(sent)
    await env.wait_event(env.id(name), answer)
    await worker.run_task(complete_workflow())
    await env.history(env.id(name), f"history of {name}")


async def _target(env: Env) -> tuple[str, str, RawWorker]:
    """A workflow that waits, its run id, and its worker."""
    queue, target = env.unique("other"), env.id("target")
    response = await env.start_raw(target, task_queue=TaskQueue(name=queue))
    worker = RawWorker(env, queue)
    await worker.run_task()
    return target, response.run_id, worker


async def scenario_external_signal(env: Env) -> None:
    target, run_id, worker = await _target(env)
    value = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
    header = Header(fields={"key": value})
    await _send(env, "plain", signal_other(target, input=payloads('"in"'), header=header, control="control"), SIGNALED)
    await worker.run_task()
    await _send(env, "to-the-run", signal_other(target, run_id), SIGNALED)
    await worker.run_task(complete_workflow())
    await env.history(target)


async def scenario_external_signal_fails(env: Env) -> None:
    target, run_id, worker = await _target(env)
    await env.client.get_workflow_handle(target).signal("end")
    await worker.run_task(complete_workflow())
    await _send(env, "unknown", signal_other(env.id("nobody"), control="control"), SIGNAL_FAILED)
    await _send(env, "closed", signal_other(target), SIGNAL_FAILED)
    await _send(env, "closed-run", signal_other(target, run_id), SIGNAL_FAILED)


async def scenario_external_signal_only_to_a_child(env: Env) -> None:
    target, _, _ = await _target(env)
    await _send(env, "no-child", signal_other(target, child_workflow_only=True), SIGNAL_FAILED)


async def scenario_external_signal_to_child(env: Env) -> None:
    family = Family(env)
    await family.begin(family.start())
    await family.started()
    await family.child.run_task()
    await family.handle("parent").signal("go")
    await family.parent.run_task(signal_other(env.id("child"), child_workflow_only=True))
    await env.wait_event(family.parent_id, SIGNALED)
    await family.parent.run_task()
    await family.child.run_task(complete_workflow())
    await family.ends("CHILD_WORKFLOW_EXECUTION_COMPLETED")


async def scenario_external_signal_to_itself(env: Env) -> None:
    worker, me = RawWorker(env), env.id()
    await env.start_raw(me)
    await env.outcome("signal", worker.complete(await worker.poll(), signal_other(me)))
    await env.wait_event(me, "WORKFLOW_TASK_SCHEDULED", 2)
    await env.wait_event(me, SIGNAL_FAILED)
    await env.history(me)


async def scenario_external_signal_by_one_that_ends(env: Env) -> None:
    """Whoever is over does not send any more."""
    target, _, worker = await _target(env)
    sender = RawWorker(env)
    await env.start_raw(env.id("sender"))
    await sender.run_task(signal_other(target), cancel_other(target), complete_workflow())
    await asyncio.sleep(1)
    await env.client.get_workflow_handle(target).signal("end")
    await worker.run_task(complete_workflow())
    await env.history(env.id("sender"))
    await env.history(target, "history of the target")


async def scenario_external_answer_is_buffered(env: Env) -> None:
    target, _, _ = await _target(env)
    worker = RawWorker(env)
    await env.start_raw(env.id("sender"))
    # The next task is in flight from the same moment on, so that the answer cannot come before it.
    options = {"force_create_new_workflow_task": True, "return_new_workflow_task": True}
    answered = await worker.complete(await worker.poll(), signal_other(target), **options)
    await env.wait_event(target, "WORKFLOW_EXECUTION_SIGNALED")
    await asyncio.sleep(0.5)
    await worker.complete(answered.workflow_task)
    await env.wait_event(env.id("sender"), SIGNALED)
    events = (await env.fetch_history(env.id("sender"))).events
    env.record("answers", [event for event in events if event.HasField(ANSWER)])


async def scenario_external_signal_to_a_chain(env: Env) -> None:
    """Without a run id it reaches the run that is current."""
    target, run_id, worker = await _target(env)
    again = ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="Raw"), task_queue=TaskQueue(name=env.unique("other"))
    )
    await env.client.get_workflow_handle(target).signal("go")
    await worker.run_task(
        command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=again)
    )
    await worker.run_task()
    await _send(env, "first-run", signal_other(target, run_id), SIGNAL_FAILED)
    await _send(env, "current", signal_other(target), SIGNALED)
    await env.chain(target, run_id)


async def scenario_external_cancel(env: Env) -> None:
    target, run_id, worker = await _target(env)
    await _send(env, "first", cancel_other(target, reason="enough", control="control"), CANCELED)
    await _send(env, "second", cancel_other(target, run_id), CANCELED)
    await worker.run_task(complete_workflow())
    await env.history(target)


async def scenario_external_cancel_fails(env: Env) -> None:
    target, run_id, worker = await _target(env)
    await env.client.get_workflow_handle(target).signal("end")
    await worker.run_task(complete_workflow())
    await _send(env, "unknown", cancel_other(env.id("nobody"), control="control"), CANCEL_FAILED)
    await _send(env, "closed", cancel_other(target), CANCELED)
    await _send(env, "closed-run", cancel_other(target, run_id), CANCELED)


async def scenario_external_cancel_only_a_child(env: Env) -> None:
    target, _, _ = await _target(env)
    await _send(env, "no-child", cancel_other(target, child_workflow_only=True), CANCEL_FAILED)


async def scenario_external_cancel_of_itself(env: Env) -> None:
    worker, me = RawWorker(env), env.id()
    await env.start_raw(me)
    await env.outcome("cancel", worker.complete(await worker.poll(), cancel_other(me)))
    await env.wait_event(me, CANCEL_FAILED)
    await env.history(me)


async def scenario_external_bad_attributes(env: Env) -> None:
    worker, long = RawWorker(env), "x" * 1001
    cases = {
        "signal-no-id": signal_other(""),
        "signal-no-name": signal_other("x", signal_name=""),
        "signal-no-execution": signal_other("x", execution=None),
        "signal-bad-run": signal_other("x", "not-a-uuid"),
        "signal-long-id": signal_other(long),
        "signal-unknown-namespace": signal_other("x", namespace="nope"),
        "cancel-no-id": cancel_other(""),
        "cancel-bad-run": cancel_other("x", "not-a-uuid"),
        "cancel-long-id": cancel_other(long),
        "cancel-unknown-namespace": cancel_other("x", namespace="nope"),
    }
    for name, bad in cases.items():
        await env.start_raw(env.id(name))
        await env.outcome(name, worker.complete(await worker.poll(), bad))
        await env.history(env.id(name), f"history of {name}")
        await env.client.get_workflow_handle(env.id(name)).terminate()


@workflow.defn
class Sends:
    @workflow.run
    async def run(self, target: str, nobody: str) -> Any:
        seen: list[str] = []
        for workflow_id in (nobody, target):
            handle = workflow.get_external_workflow_handle(workflow_id)
            for name in ("signal", "cancel"):
                try:
                    await (handle.signal("end", "well") if name == "signal" else handle.cancel())
                except BaseException as error:
                    seen.append(f"{name}: {type(error).__name__} {error}")
                else:
                    seen.append(f"{name}: done")
        return seen


async def scenario_external_sdk(env: Env) -> None:
    other = env.unique("other")
    async with env.worker(Sends):
        target = await env.client.start_workflow(Waits.run, "x", id=env.id("target"), task_queue=other)
        handle = await env.client.start_workflow(
            Sends.run, args=[target.id, env.id("nobody")], id=env.id(), task_queue=env.queue
        )
        await env.outcome("result", handle.result())
        await env.history(handle)
        await env.history(target, "history of the target")
