"""Resets: what had come in after the point is taken over into the new run, or is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.command.v1 import Command, SignalExternalWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Header, Link, Payload, WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyExcludeType, ResetReapplyType, WorkflowIdConflictPolicy
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Rejection, WaitPolicy
from temporalio.api.workflow.v1 import OnConflictOptions
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueResponse,
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)
from temporalio.service import RPCError

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import RawWorker, command, complete_workflow, event_types, payloads
from compat_tests.raw_resets import describe, events, reset, run
from compat_tests.raw_updates import (
    ACCEPTED,
    ADMITTED,
    admitted,
    begun,
    deliver,
    done,
    message,
    poll_update,
    respond,
    send,
    signal,
)
from compat_tests.scenarios.updates import accepted, execute
from compat_tests.targets import IDENTITY

_ALL = [
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_NEXUS,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_CANCEL_REQUEST,
]


async def _request_cancel(env: Env, workflow_id: str) -> None:
    await env.rpc.request_cancel_workflow_execution(
        RequestCancelWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            identity=IDENTITY,
            reason="no more",
        )
    )


async def _eventful(env: Env, workflow_id: str) -> None:
    """A run that has got something of each kind after its first task."""
    worker = RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    await signal(env, workflow_id, "a")
    await worker.run_task()
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll())
    await waiting
    await env.start_raw(
        workflow_id,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        on_conflict_options=OnConflictOptions(attach_request_id=True),
    )
    await _request_cancel(env, workflow_id)
    await worker.run_task()
    await signal(env, workflow_id, "b")


async def _excluding(env: Env, **fields: Any) -> None:
    workflow_id = env.id()
    await _eventful(env, workflow_id)
    await env.outcome("reset", reset(env, workflow_id, 4, **fields))
    await env.history(workflow_id)


async def scenario_reset_takes_over_all(env: Env) -> None:
    await _excluding(env, reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE)


async def scenario_reset_takes_over_signals(env: Env) -> None:
    await _excluding(env, reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL)


async def scenario_reset_takes_over_nothing(env: Env) -> None:
    await _excluding(env, reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE)


async def scenario_reset_without_signals(env: Env) -> None:
    await _excluding(env, reset_reapply_exclude_types=_ALL[:1])


async def scenario_reset_without_updates(env: Env) -> None:
    await _excluding(env, reset_reapply_exclude_types=_ALL[1:2])


async def scenario_reset_without_anything(env: Env) -> None:
    await _excluding(env, reset_reapply_exclude_types=_ALL)


async def scenario_reset_without_nexus(env: Env) -> None:
    await _excluding(env, reset_reapply_exclude_types=_ALL[2:])


async def scenario_reset_takes_over_whole_signals(env: Env) -> None:
    """With header, links and request id; that it came from another workflow is not kept."""
    workflow_id, worker = await begun(env)
    request = SignalWorkflowExecutionRequest(
        namespace=NAMESPACE,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name="s",
        input=payloads('"x"', "2"),
        identity="somebody",
        request_id="request",
        header=Header(fields={"k": Payload(data=b"v")}),
        links=[Link(batch_job=Link.BatchJob(job_id="job"))],
    )
    await env.rpc.signal_workflow_execution(request)
    other, other_worker = env.id("other"), RawWorker(env, env.unique("other queue"))
    await env.start_raw(other, task_queue=other_worker.task_queue)
    attributes = SignalExternalWorkflowExecutionCommandAttributes(
        execution=WorkflowExecution(workflow_id=workflow_id), signal_name="from outside"
    )
    await other_worker.run_task(
        command("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", signal_external_workflow_execution_command_attributes=attributes)
    )
    await env.wait_event(workflow_id, "WORKFLOW_EXECUTION_SIGNALED", 2)
    await env.outcome("reset", reset(env, workflow_id, 4))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_reset_keeps_a_request_to_cancel_from_before(env: Env) -> None:
    workflow_id, worker = await begun(env)
    await _request_cancel(env, workflow_id)
    await worker.run_task()
    await env.outcome("reset", reset(env, workflow_id, 8))
    env.record("asked", (await describe(env, workflow_id)).workflow_extended_info.cancel_requested)
    await _request_cancel(env, workflow_id)
    await env.outcome("reset", reset(env, workflow_id, 4))
    env.record("not asked", (await describe(env, workflow_id)).workflow_extended_info.cancel_requested)
    await _request_cancel(env, workflow_id)
    await env.history(workflow_id)


# -- updates --------------------------------------------------------------------------------------------------


def _accept(update_id: str, event_id: int) -> Message:
    """What a worker says of an update that it has found in the history."""
    body = Acceptance(accepted_request_message_id=f"{update_id}/request", accepted_request_sequencing_event_id=event_id)
    return message(f"{update_id}/accept", update_id, body)


def _ids_of_admitted(task: PollWorkflowTaskQueueResponse) -> dict[str, int]:
    """Update ids and events of the updates that the task's history brings."""
    found = [each for each in task.history.events if each.HasField(_ADMITTED)]
    return {
        each.workflow_execution_update_admitted_event_attributes.request.meta.update_id: each.event_id for each in found
    }


_ADMITTED = "workflow_execution_update_admitted_event_attributes"


async def _updated(env: Env) -> tuple[str, RawWorker]:
    """A run that was reset to before its one update."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll())
    await waiting
    await env.outcome("reset", reset(env, workflow_id, 4))
    return workflow_id, worker


async def scenario_reset_update_is_admitted(env: Env) -> None:
    workflow_id, worker = await _updated(env)
    await env.outcome("polled", poll_update(env, workflow_id, stage=ADMITTED))
    again = send(env, workflow_id)
    task = await worker.poll()
    env.record("messages", list(task.messages))
    env.record("history", event_types(task))
    messages = [_accept("u1", _ids_of_admitted(task)["u1"]), respond("u1")]
    commands: list[Command] = [deliver(each) for each in messages]
    await worker.complete(task, *commands, messages=messages)
    await env.outcome("asked again", again)
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)


async def scenario_reset_update_is_accepted_then_completed(env: Env) -> None:
    workflow_id, worker = await _updated(env)
    task = await worker.poll()
    accept = _accept("u1", _ids_of_admitted(task)["u1"])
    await worker.complete(task, deliver(accept), messages=[accept])
    await env.outcome("polled", poll_update(env, workflow_id, stage=ACCEPTED))
    await signal(env, workflow_id)
    answer = respond("u1")
    await worker.run_task(deliver(answer), messages=[answer])
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)
    await env.outcome("reset to after it was accepted", reset(env, workflow_id, 12))
    await env.outcome("polled", poll_update(env, workflow_id, stage=ACCEPTED))
    await env.history(workflow_id)


async def scenario_reset_update_is_rejected(env: Env) -> None:
    workflow_id, worker = await _updated(env)
    waiting = send(env, workflow_id)
    await asyncio.sleep(0.5)  # that it waits, too, cannot be seen
    task = await worker.poll()
    body = Rejection(rejected_request_message_id="u1/request", rejected_request_sequencing_event_id=5)
    body.failure.message = "not now"
    answer = message("u1/reject", "u1", body)
    await worker.complete(task, messages=[answer])
    await env.outcome("update", waiting)
    await env.history(workflow_id)


async def scenario_reset_update_while_a_task_fails(env: Env) -> None:
    """What is in the history is asked again with the next attempt."""
    workflow_id, worker = await _updated(env)
    await worker.fail(await worker.poll())
    task = await worker.poll()
    env.record("messages", list(task.messages))
    messages = [_accept("u1", _ids_of_admitted(task)["u1"]), respond("u1")]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)


async def scenario_reset_twice_with_updates(env: Env) -> None:
    workflow_id, worker = await _updated(env)
    await env.outcome("reset before the worker saw it", reset(env, workflow_id, 4))
    await env.history(workflow_id)
    task = await worker.poll()
    messages = [_accept("u1", _ids_of_admitted(task)["u1"]), respond("u1")]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await env.outcome("reset after it was completed", reset(env, workflow_id, 4))
    await env.history(workflow_id)


async def scenario_reset_update_outcome_from_before(env: Env) -> None:
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await done(worker, await worker.poll())
    await waiting
    await signal(env, workflow_id)
    await worker.run_task()
    last = (await events(env, workflow_id))[-1].event_id
    await env.outcome("reset", reset(env, workflow_id, last))
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.outcome("asked again", send(env, workflow_id))
    await env.history(workflow_id)


async def scenario_reset_update_in_flight(env: Env) -> None:
    """Nobody has accepted it: it is not in the history, and so not in the new run."""
    workflow_id, worker = await begun(env)
    waiting = send(env, workflow_id)
    await admitted(env, workflow_id)
    task = await worker.poll()
    await env.outcome("reset", reset(env, workflow_id, 4))
    await env.outcome("update", waiting)
    await env.outcome("late answer", done(worker, task))
    await env.outcome("polled", poll_update(env, workflow_id))
    await env.history(workflow_id)


async def scenario_reset_update_that_is_accepted(env: Env) -> None:
    """Who waits for its outcome in the old run is told of the end; the new run has it again."""
    workflow_id, worker = await begun(env)
    old = (await describe(env, workflow_id)).workflow_execution_info.execution.run_id
    early = send(env, workflow_id, wait_policy=WaitPolicy(lifecycle_stage=ACCEPTED))
    task = await worker.poll()
    messages = [_accept("u1", task.messages[0].event_id)]
    await worker.complete(task, *map(deliver, messages), messages=messages)
    await early
    waiting = send(env, workflow_id)
    with pytest.raises((asyncio.TimeoutError, RPCError)):
        await asyncio.wait_for(asyncio.shield(waiting), 0.3)
    await env.outcome("reset", reset(env, workflow_id, 4))
    await env.outcome("update", waiting)
    await env.history(run(env, workflow_id, old), "old run")
    await env.history(workflow_id)


@workflow.defn
class Adding:
    """Adds up what updates bring, until a signal says that it is enough."""

    def __init__(self) -> None:
        self._items: list[str] = []
        self._enough = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self._enough)
        return self._items

    @workflow.update
    async def add(self, item: str) -> int:
        self._items.append(item)
        if item == "wait":
            await workflow.wait_condition(lambda: "go" in self._items)
        return len(self._items)

    @add.validator
    def check(self, item: str) -> None:
        if item in self._items:
            raise ValueError(f"{item} is there already")

    @workflow.signal
    def put(self, item: str) -> None:
        self._items.append(item)

    @workflow.signal
    def enough(self) -> None:
        self._enough = True


async def scenario_reset_updates_with_the_sdk(env: Env) -> None:
    async with env.worker(Adding):
        handle = await env.client.start_workflow(Adding.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("first", execute(handle, Adding.add, "a", id="u1"))
        await handle.signal(Adding.put, "x")
        await env.settled(handle)
        late = await accepted(handle, Adding.add, "wait", id="u2")
        await env.settled(handle)
        waiting = asyncio.create_task(late.result())
        await env.outcome("reset", reset(env, handle.id, 4))
        current = env.client.get_workflow_handle(handle.id)
        await env.settled(current)
        await env.outcome("waited for in the old run", waiting)
        await env.outcome("first in the new run", current.get_update_handle("u1").result())
        await current.signal(Adding.put, "go")
        await env.outcome("second in the new run", current.get_update_handle("u2").result())
        await current.signal(Adding.enough)
        await env.outcome("result", current.result())
        await env.history(handle.id)
