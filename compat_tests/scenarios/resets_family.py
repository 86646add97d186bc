"""Resets: children, parents, and other workflows that a run has to do with."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity, workflow
from temporalio.api.command.v1 import (
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ParentClosePolicy, ResetReapplyExcludeType

from compat_tests.env import Env, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, event_types
from compat_tests.raw_resets import describe, events, reset, run
from compat_tests.raw_updates import signal, terminate

_EXCLUDED = [number for number in ResetReapplyExcludeType.values() if number]


class _Family:
    """A parent and its child, each with a queue of its own."""

    def __init__(self, env: Env) -> None:
        self.parent, self.child = env.id("parent"), env.id("child")
        self.worker, self.child_worker = RawWorker(env), RawWorker(env, env.unique("child queue"))

    def start_child(self, **fields: Any) -> Any:
        """The command of the parent."""
        attributes = StartChildWorkflowExecutionCommandAttributes(
            workflow_id=self.child,
            workflow_type=WorkflowType(name="Child"),
            task_queue=self.child_worker.task_queue,
            **fields,
        )
        return command("START_CHILD_WORKFLOW_EXECUTION", start_child_workflow_execution_command_attributes=attributes)


async def _family(env: Env, **fields: Any) -> tuple[_Family, str]:
    """A parent that has seen its child start, and the parent's run id."""
    family = _Family(env)
    started = await env.start_raw(family.parent)
    await family.worker.run_task(family.start_child(**fields))
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.worker.run_task()
    return family, started.run_id


async def _parent_of_running_child(env: Env, policy: ParentClosePolicy.ValueType) -> None:
    """The child does not notice, and the new run hears of its end."""
    family, first = await _family(env, parent_close_policy=policy)
    await env.outcome("reset", reset(env, family.parent, 9))
    await family.worker.run_task()
    env.record("pending children", (await describe(env, family.parent)).pending_children)
    env.record("child", (await describe(env, family.child)).workflow_execution_info)
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await family.worker.run_task(complete_workflow())
    await env.history(family.parent)
    await env.history(run(env, family.parent, first), "old run")
    await env.history(family.child, "child")


async def scenario_reset_parent_child_terminate(env: Env) -> None:
    await _parent_of_running_child(env, ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE)


async def scenario_reset_parent_child_abandon(env: Env) -> None:
    await _parent_of_running_child(env, ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON)


async def scenario_reset_parent_child_cancel(env: Env) -> None:
    await _parent_of_running_child(env, ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL)


async def scenario_reset_parent_twice_child_completes(env: Env) -> None:
    """Word of the child's end goes on from run to run."""
    family, first = await _family(env)
    second = await reset(env, family.parent, 9)
    await family.worker.run_task()
    await env.outcome("again", reset(env, family.parent, 12, second.run_id))
    await family.worker.run_task()
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await env.history(family.parent)
    await env.history(run(env, family.parent, first), "first run")


async def scenario_reset_parent_then_close_it(env: Env) -> None:
    """The parent close policy is not for children that an earlier run has started."""
    family, _ = await _family(env, parent_close_policy=ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE)
    await env.outcome("reset", reset(env, family.parent, 9))
    await family.worker.run_task(complete_workflow())
    await asyncio.sleep(0.5)
    await family.child_worker.run_task(complete_workflow())
    await env.history(family.parent)
    await env.history(family.child)


async def scenario_reset_parent_to_before_its_child(env: Env) -> None:
    """The child goes on, and its id is in use when the new run wants to start it."""
    family, _ = await _family(env)
    await env.outcome("reset", reset(env, family.parent, 4))
    await family.worker.run_task(family.start_child())
    await env.wait_event(family.parent, "START_CHILD_WORKFLOW_EXECUTION_FAILED")
    await family.worker.run_task()
    await family.child_worker.run_task(complete_workflow())
    await env.history(family.parent)
    await env.history(family.child, "child")


async def scenario_reset_parent_after_the_end_of_its_child(env: Env) -> None:
    family, _ = await _family(env)
    await family.child_worker.run_task(complete_workflow())
    await family.worker.run_task()
    await env.outcome("reset", reset(env, family.parent, 4))
    await family.worker.run_task(family.start_child())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await env.history(family.parent)
    await env.history(family.child, "child")


async def _initiated(env: Env) -> tuple[_Family, str]:
    """A parent with a task pending between the start command of its child (5) and the child's start (8)."""
    family = _Family(env)
    started = await env.start_raw(family.parent)
    task = await family.worker.poll()
    await signal(env, family.parent)
    await family.worker.complete(task, family.start_child())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.worker.run_task()
    return family, started.run_id


async def scenario_reset_takes_over_what_became_of_children(env: Env) -> None:
    family, first = await _initiated(env)
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await family.worker.run_task()
    for event_id in (8, 9, 10, 13):
        await env.outcome(f"reset to {event_id}", reset(env, family.parent, event_id, first))
        await env.history(family.parent, f"after the reset to {event_id}")
        env.record("pending children", (await describe(env, family.parent)).pending_children)


async def scenario_reset_takes_over_the_start_of_a_child(env: Env) -> None:
    family, _ = await _initiated(env)
    await env.outcome("reset", reset(env, family.parent, 8))
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await env.history(family.parent)


async def scenario_reset_starts_a_child_again(env: Env) -> None:
    """Nothing is taken over: the new run starts the child by the same request, and finds it there."""
    family, _ = await _initiated(env)
    await env.outcome("reset", reset(env, family.parent, 8, reset_reapply_exclude_types=_EXCLUDED))
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await env.history(family.parent)


async def scenario_reset_of_a_child(env: Env) -> None:
    """The parent waits for the run that follows."""
    family, _ = await _family(env)
    await family.child_worker.run_task()
    await env.outcome("reset", reset(env, family.child, 4))
    env.record("pending children", (await describe(env, family.parent)).pending_children)
    env.record("child", (await describe(env, family.child)).workflow_execution_info)
    await family.child_worker.run_task(complete_workflow())
    await env.wait_event(family.parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await env.history(family.parent)
    await env.history(family.child, "child")


async def scenario_reset_of_a_child_that_has_ended(env: Env) -> None:
    """The parent has heard of its end, and does not hear of the next."""
    family, _ = await _family(env)
    await family.child_worker.run_task(complete_workflow('"first"'))
    await family.worker.run_task()
    await env.outcome("reset", reset(env, family.child, 4))
    await family.child_worker.run_task(complete_workflow('"second"'))
    await signal(env, family.parent)
    await family.worker.run_task(complete_workflow())
    await env.history(family.parent)
    await env.history(family.child, "child")


async def scenario_reset_of_a_child_parent_closes(env: Env) -> None:
    family, _ = await _family(env, parent_close_policy=ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE)
    await family.child_worker.run_task()
    await env.outcome("reset", reset(env, family.child, 4))
    await signal(env, family.parent)
    await family.worker.run_task(complete_workflow())
    await env.wait_event(family.child, "WORKFLOW_EXECUTION_TERMINATED")
    await env.history(family.child)


def _signal_command(workflow_id: str, *, child_only: bool = False) -> Any:
    attributes = SignalExternalWorkflowExecutionCommandAttributes(
        execution=WorkflowExecution(workflow_id=workflow_id), signal_name="hello", child_workflow_only=child_only
    )
    return command(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", signal_external_workflow_execution_command_attributes=attributes
    )


async def scenario_reset_sends_signals_again(env: Env) -> None:
    """The answer came after the point: the new run does not know that the other workflow has the signal."""
    target, parent, worker = env.id("target"), env.id(), RawWorker(env)
    await env.start_raw(target, task_queue=RawWorker(env, env.unique("target queue")).task_queue)
    await env.start_raw(parent)
    task = await worker.poll()
    await signal(env, parent)
    await worker.complete(task, _signal_command(target))
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    await env.outcome("reset", reset(env, parent, 8))
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    await env.history(parent)
    await env.history(target, "target")


async def scenario_reset_requests_cancel_again(env: Env) -> None:
    target, parent, worker = env.id("target"), env.id(), RawWorker(env)
    await env.start_raw(target, task_queue=RawWorker(env, env.unique("target queue")).task_queue)
    await env.start_raw(parent)
    task = await worker.poll()
    await signal(env, parent)
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(workflow_id=target)
    cancel = command(
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION",
        request_cancel_external_workflow_execution_command_attributes=attributes,
    )
    await worker.complete(task, cancel)
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await env.outcome("reset", reset(env, parent, 8))
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await env.history(parent)
    await env.history(target, "target")


async def scenario_reset_parent_signals_its_child(env: Env) -> None:
    """A signal for one's own child only."""
    family, _ = await _family(env)
    await env.outcome("reset", reset(env, family.parent, 9))
    await family.worker.run_task(_signal_command(family.child, child_only=True))
    task = await family.worker.poll()
    env.record("answer", event_types(task)[-3:])
    await env.history(family.parent)
    await env.history(family.child, "child")
    await terminate(env, family.parent)


# -- with the SDK ---------------------------------------------------------------------------------------------


@activity.defn(name="reset_step")
async def step(number: int) -> int:
    """One more."""
    return number + 1


@workflow.defn
class ResetChild:
    """Waits to be released."""

    def __init__(self) -> None:
        self._released = False

    @workflow.run
    async def run(self, number: int) -> int:
        await workflow.wait_condition(lambda: self._released)
        return number * 10

    @workflow.signal
    def release(self) -> None:
        self._released = True


@workflow.defn
class ResetParent:
    """An activity, then a child, then another activity."""

    @workflow.run
    async def run(self, child_id: str) -> int:
        number = await workflow.execute_activity(step, 1, start_to_close_timeout=seconds(10))
        child = await workflow.start_child_workflow(ResetChild.run, number, id=child_id)
        number = await child
        return await workflow.execute_activity(step, number, start_to_close_timeout=seconds(10))


async def scenario_reset_family_with_the_sdk(env: Env) -> None:
    child_id = env.id("child")
    async with env.worker(ResetParent, ResetChild, activities=[step]):
        handle = await env.client.start_workflow(ResetParent.run, child_id, id=env.id(), task_queue=env.queue)
        await env.wait_event(handle, "WORKFLOW_TASK_COMPLETED", 3)
        last = (await events(env, handle.id))[-1].event_id
        await env.outcome("reset", reset(env, handle.id, last))
        current = env.client.get_workflow_handle(handle.id)
        await env.settled(current)
        await env.client.get_workflow_handle(child_id).signal(ResetChild.release)
        await env.outcome("result", current.result())
        await env.history(handle.id)
        # Back to before the child, which has ended: all is done again.
        await env.outcome("reset", reset(env, handle.id, 4))
        await env.wait_event(handle.id, "CHILD_WORKFLOW_EXECUTION_STARTED")
        await env.client.get_workflow_handle(child_id).signal(ResetChild.release)
        await env.outcome("result", asyncio.wait_for(env.client.get_workflow_handle(handle.id).result(), 20))
        await env.history(handle.id)
