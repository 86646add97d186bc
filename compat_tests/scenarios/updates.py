"""Updates with the SDK: handlers, validators, outcomes, and what becomes of them when a run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from temporalio import workflow
from temporalio.client import WorkflowUpdateHandle, WorkflowUpdateStage
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from compat_tests.env import Env, Handle
from compat_tests.scenarios.resilience import worker_process

ACCEPTED = WorkflowUpdateStage.ACCEPTED


async def execute(handle: Handle, update: Any, *args: Any, id: str) -> Any:
    """Send an update and wait for its result."""
    call = cast("Callable[..., Awaitable[Any]]", handle.execute_update)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
    return await call(update, args=args, id=id)


async def accepted(handle: Handle, update: Any, *args: Any, id: str) -> WorkflowUpdateHandle[Any]:
    """Send an update and wait until it is accepted (or rejected)."""
    call = cast("Callable[..., Awaitable[Any]]", handle.start_update)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
    return await call(update, args=args, id=id, wait_for_stage=ACCEPTED)


@workflow.defn
class Updated:
    def __init__(self) -> None:
        self._values: list[str] = []
        self._open = False
        self._end = ""

    @workflow.run
    async def run(self, wait_for_handlers: bool = True) -> list[str]:
        await workflow.wait_condition(lambda: self._end != "")
        if wait_for_handlers:
            await workflow.wait_condition(workflow.all_handlers_finished)
        if self._end == "fail":
            raise ApplicationError("failed")
        if self._end == "again":
            self._end = ""
            workflow.continue_as_new(args=[wait_for_handlers])
        return self._values

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def add(self, value: str) -> int:
        if value == "fail":
            raise ApplicationError("handler failed", "detail", type="Custom")
        if value == "sleep":
            await workflow.sleep(0.1)
        if value == "wait":
            await workflow.wait_condition(lambda: self._open)
        self._values.append(value)
        return len(self._values)

    @add.validator
    def check(self, value: str) -> None:
        if value == "bad":
            raise ValueError("bad value")

    @workflow.update
    def finish(self) -> str:
        self._end = "ok"
        return "finishing"

    @workflow.update(dynamic=True)
    def anything(self, name: str, args: Sequence[RawValue]) -> str:
        return f"{name} with {len(args)}"

    @workflow.signal
    def open(self) -> None:
        self._open = True

    @workflow.signal
    def end(self, how: str) -> None:
        self._end = how


@workflow.defn
class NoUpdates:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


async def scenario_update_completes(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("at once", execute(handle, Updated.add, "a", id="one"))
        await env.outcome("after a timer", execute(handle, Updated.add, "sleep", id="two"))
        await env.outcome("dynamic", execute(handle, "dynamic", 1, 2, id="three"))
        await handle.signal(Updated.end, "ok")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_update_rejected(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("rejected", execute(handle, Updated.add, "bad", id="one"))
        await env.outcome("rejected again", execute(handle, Updated.add, "bad", id="one"))
        await env.history(handle, "no trace", replay=False)
        await env.outcome("same id, good value", execute(handle, Updated.add, "good", id="one"))
        rejected = await accepted(handle, Updated.add, "bad", id="x")
        await env.outcome("wait for accepted", rejected.result())
        await handle.signal(Updated.end, "ok")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_update_rejected_after_signal(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("rejected", execute(handle, Updated.add, "bad", id="one"))
        await handle.signal(Updated.open)
        await env.wait_event(handle, "WORKFLOW_TASK_COMPLETED", 2)
        await env.outcome("rejected later", execute(handle, Updated.add, "bad", id="two"))
        await env.outcome("accepted", execute(handle, Updated.add, "wait", id="three"))
        await handle.signal(Updated.end, "ok")
        await handle.result()
        await env.history(handle)


async def scenario_update_fails(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("failed", execute(handle, Updated.add, "fail", id="one"))
        await env.outcome("failed, asked again", execute(handle, Updated.add, "fail", id="one"))
        await env.history(handle)


async def scenario_update_unknown_handler(env: Env) -> None:
    async with env.worker(NoUpdates):
        handle = await env.client.start_workflow(NoUpdates.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("unknown", execute(handle, "nothing", id="one"))
        await env.history(handle)


async def scenario_update_accepted_first(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        update = await accepted(handle, Updated.add, "wait", id="one")
        other = await accepted(handle, Updated.add, "wait", id="two")
        await env.outcome("in between", execute(handle, Updated.add, "now", id="three"))
        waiting = asyncio.create_task(update.result())
        await handle.signal(Updated.open)
        await env.outcome("first", waiting)
        await env.outcome("second", other.result())
        await env.outcome("by handle", handle.get_update_handle("one").result())
        again = await accepted(handle, Updated.add, "x", id="one")
        await env.outcome("started again", again.result())
        await handle.signal(Updated.end, "ok")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_update_dedup(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("first", execute(handle, Updated.add, "a", id="one"))
        await env.outcome("repeated", execute(handle, Updated.add, "b", id="one"))
        await env.outcome("finish", execute(handle, Updated.finish, id="last"))
        await env.outcome("result", handle.result())
        await env.outcome("after the end", execute(handle, Updated.add, "c", id="one"))
        await env.outcome("by handle after the end", handle.get_update_handle("one").result())
        await env.outcome("new after the end", execute(handle, Updated.add, "c", id="new"))
        await env.outcome("unknown after the end", handle.get_update_handle("unknown").result())
        await env.history(handle)


async def scenario_update_unknown_workflow(env: Env) -> None:
    handle = env.client.get_workflow_handle(env.id())
    await env.outcome("update", execute(handle, "add", "a", id="one"))
    await env.outcome("poll", handle.get_update_handle("one").result())


async def scenario_update_unfinished(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, False, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        update = await accepted(handle, Updated.add, "wait", id="one")
        waiting = asyncio.create_task(update.result())
        await asyncio.sleep(0.3)
        await handle.signal(Updated.end, "ok")
        await env.outcome("result", handle.result())
        await env.outcome("waiting", waiting)
        await env.outcome("asked later", handle.get_update_handle("one").result())
        await env.outcome("sent again", execute(handle, Updated.add, "wait", id="one"))
        await env.history(handle)


async def scenario_update_unfinished_terminated(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        update = await accepted(handle, Updated.add, "wait", id="one")
        await handle.terminate("enough")
        await env.outcome("result", update.result())
        await env.history(handle)


async def scenario_update_unfinished_failed(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, False, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        update = await accepted(handle, Updated.add, "wait", id="one")
        await handle.signal(Updated.end, "fail")
        await env.outcome("result", update.result())
        await env.history(handle)


async def scenario_update_continue_as_new(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("first run", execute(handle, Updated.add, "a", id="one"))
        await handle.signal(Updated.end, "again")
        await env.wait_event(handle, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
        current = env.client.get_workflow_handle_for(Updated.run, handle.id)
        await env.settled(current)
        await env.outcome("second run, same id", execute(current, Updated.add, "b", id="one"))
        await env.outcome("second run", execute(current, Updated.finish, id="two"))
        await env.outcome("result", handle.result())
        await env.chain(handle.id, handle.first_execution_run_id or "")


async def scenario_update_finishes_run(env: Env) -> None:
    async with env.worker(Updated):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("update", execute(handle, Updated.finish, id="one"))
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_update_without_cache(env: Env) -> None:
    async with env.worker(Updated, max_cached_workflows=0, max_concurrent_workflow_task_polls=1):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("accepted", execute(handle, Updated.add, "sleep", id="one"))
        await env.outcome("rejected", execute(handle, Updated.add, "bad", id="two"))
        await env.outcome("finish", execute(handle, Updated.finish, id="three"))
        await handle.result()
        await env.history(handle)


async def scenario_update_worker_in_another_process(env: Env) -> None:
    async with worker_process(env):
        handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await env.outcome("accepted", execute(handle, Updated.add, "a", id="one"))
        await env.outcome("rejected", execute(handle, Updated.add, "bad", id="two"))
        update = await accepted(handle, Updated.add, "wait", id="three")
    await handle.signal(Updated.open)
    async with env.worker(Updated):
        await env.outcome("completed by another worker", update.result())
        await env.outcome("finish", execute(handle, Updated.finish, id="four"))
        await handle.result()


async def scenario_update_without_worker(env: Env) -> None:
    handle = await env.client.start_workflow(Updated.run, id=env.id(), task_queue=env.queue)
    waiting = asyncio.create_task(execute(handle, Updated.add, "a", id="one"))
    await asyncio.sleep(0.5)
    await env.history(handle, "while it waits", replay=False)
    async with env.worker(Updated):
        await env.outcome("update", waiting)
        await env.history(handle)
