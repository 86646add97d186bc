"""Summaries and details: of a workflow, fixed and current, and of its timers, activities and children."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from temporalio import activity, workflow
from temporalio.api.command.v1 import StartChildWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from compat_tests.env import Env, Handle, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, schedule_activity, start_timer
from compat_tests.raw_commands import continue_as_new, marker, payload, signal_other, upsert_memo


@activity.defn
async def described_activity() -> str:
    """Nothing much."""
    return "done"


@workflow.defn
class DescribedChild:
    """Ends when it is told to, so that it does not race with the task in which its parent hears of its start."""

    def __init__(self) -> None:
        self._go = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._go)
        return "child"

    @workflow.signal
    def go(self) -> None:
        self._go = True


@workflow.defn
class Described:
    """Everything that can have a summary has one."""

    def __init__(self) -> None:
        self._go = False

    @workflow.run
    async def run(self) -> str:
        workflow.set_current_details("at the beginning")
        timeout = seconds(30)
        await workflow.execute_activity(described_activity, start_to_close_timeout=timeout, summary="an activity")
        await workflow.execute_local_activity(
            described_activity, start_to_close_timeout=timeout, summary="a local activity"
        )
        await workflow.sleep(0.01, summary="a timer")
        await workflow.execute_child_workflow(
            DescribedChild.run,
            id=f"{workflow.info().workflow_id}-c",
            static_summary="a child",
            static_details="all about\n\nthe child",
        )
        workflow.set_current_details("in the middle")
        await workflow.wait_condition(lambda: self._go)
        workflow.set_current_details("at the end")
        return workflow.get_current_details()

    @workflow.signal
    def go(self) -> None:
        self._go = True

    @workflow.update
    def change(self) -> str:
        return "changed"


async def _release_child(env: Env, parent: Handle) -> None:
    await env.wait_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await env.settled(parent)
    await env.client.get_workflow_handle(f"{parent.id}-c").signal(DescribedChild.go)
    await env.wait_event(parent, "CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await env.settled(parent)


async def scenario_metadata_everywhere(env: Env) -> None:
    """In the events, in the descriptions of parent and child, and by the SDK's own query."""
    async with env.worker(Described, DescribedChild, activities=[described_activity]):
        handle = await env.client.start_workflow(
            Described.run, id=env.id(), task_queue=env.queue, static_summary="summary", static_details="de\n\ntails"
        )
        await _release_child(env, handle)
        await env.outcome("metadata", handle.query("__temporal_workflow_metadata"))
        for name, workflow_id in (("parent", handle.id), ("child", f"{handle.id}-c")):
            description = await env.client.get_workflow_handle(workflow_id).describe()
            env.record(name, description.raw_description.execution_config)
            env.record(f"{name}, read", [await description.static_summary(), await description.static_details()])
        await handle.signal(Described.go)
        await env.outcome("result", handle.result())
        await env.history(handle)
        await env.history(f"{handle.id}-c", "history of the child")


async def scenario_metadata_of_other_starts(env: Env) -> None:
    """Signal-with-start and update-with-start carry them, too."""
    async with env.worker(Described, DescribedChild, activities=[described_activity]):
        texts: dict[str, Any] = {"static_summary": "summary", "static_details": "details"}
        handle = await env.client.start_workflow(
            Described.run, id=env.id("signalled"), task_queue=env.queue, start_signal="go", **texts
        )
        await _release_child(env, handle)
        await env.outcome("result", handle.result())
        env.record("signalled", (await handle.describe()).raw_description.execution_config)
        start = WithStartWorkflowOperation(
            Described.run,
            id=env.id("updated"),
            task_queue=env.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            **texts,
        )
        update = cast("Callable[..., Awaitable[Any]]", env.client.execute_update_with_start_workflow)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
        await env.outcome("update", update(Described.change, start_workflow_operation=start))
        handle = await start.workflow_handle()
        await _release_child(env, handle)
        await handle.signal(Described.go)
        await env.outcome("updated result", handle.result())
        env.record("updated", (await handle.describe()).raw_description.execution_config)


def _metadata(text: str) -> UserMetadata:
    return UserMetadata(summary=payload(f'"{text}"'), details=payload(f'"details of {text}"'))


async def scenario_metadata_of_each_command(env: Env) -> None:
    """Which events keep the metadata of their commands."""
    workflow_id, worker = env.id(), RawWorker(env)
    child = StartChildWorkflowExecutionCommandAttributes(
        workflow_id=env.id("child"), workflow_type=WorkflowType(name="Raw"), task_queue=TaskQueue(name=env.queue)
    )
    await env.start_raw(workflow_id, user_metadata=_metadata("start"))
    commands = {
        "activity": schedule_activity(env),
        "timer": start_timer("t", 60),
        "marker": marker("m"),
        "memo": upsert_memo(a="1"),
        "signal": signal_other(env.unique("nobody")),
        "child": command("START_CHILD_WORKFLOW_EXECUTION", start_child_workflow_execution_command_attributes=child),
        "end": complete_workflow(),
    }
    for name, each in commands.items():
        each.user_metadata.CopyFrom(_metadata(name))
    await worker.run_task(*commands.values())
    await env.history(workflow_id)


async def scenario_metadata_of_pending_parts(env: Env) -> None:
    """What the description tells of an activity and a child that are under way."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    activity_command = schedule_activity(env)
    activity_command.user_metadata.CopyFrom(_metadata("activity"))
    await worker.run_task(activity_command)
    description = (await env.client.get_workflow_handle(workflow_id).describe()).raw_description
    env.record("pending", list(description.pending_activities))
    env.record("activity task", await worker.poll_activity())


async def scenario_metadata_and_chains(env: Env) -> None:
    """What the next run has of the start's metadata, and of the command's."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = (await env.start_raw(workflow_id, user_metadata=_metadata("start"))).run_id
    again = continue_as_new()
    again.user_metadata.CopyFrom(_metadata("again"))
    await worker.run_task(again)
    await worker.run_task(complete_workflow())
    description = await env.client.get_workflow_handle(workflow_id).describe()
    env.record("description", description.raw_description.execution_config)
    await env.chain(workflow_id, first)


async def scenario_metadata_too_large(env: Env) -> None:
    """Summaries and details have limits of their own."""
    large = payload('"' + "x" * 30_000 + '"')
    for name, given in {
        "summary": UserMetadata(summary=payload('"' + "x" * 500 + '"')),
        "details": UserMetadata(details=large),
        "both": UserMetadata(summary=large, details=large),
    }.items():
        workflow_id, worker = env.id(name), RawWorker(env)
        await env.outcome(f"start with a large {name}", env.start_raw(workflow_id, user_metadata=given))
        if name != "both":
            timer = start_timer("t", 60)
            timer.user_metadata.CopyFrom(given)
            await env.start_raw(env.id(f"timer-{name}"))
            task = await worker.poll()
            await env.outcome(f"timer with a large {name}", worker.complete(task, timer))
