"""Workers that die, change their code or share a queue; large payloads; restarts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from compat_tests.env import Env, Handle, seconds
from compat_tests.raw import RawWorker, complete_workflow, schedule_activity, start_timer
from compat_tests.scenarios.core import Cleanup, Hello, Signals, greet


@workflow.defn(name="Changed")
class Before:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(0.1)
        await workflow.wait_condition(lambda: False)
        return ""


@workflow.defn(name="Changed")
class After:
    """Does something else than `Before` did."""

    @workflow.run
    async def run(self) -> str:
        await workflow.execute_activity(greet, "x", start_to_close_timeout=seconds(30))
        return "after"


@workflow.defn
class Survives:
    """Its activity and its worker are killed."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(
            killed_in_first_attempt,
            start_to_close_timeout=seconds(60),
            heartbeat_timeout=seconds(5),  # on a busy machine, too, it is seen and killed before this is over
            retry_policy=RetryPolicy(initial_interval=seconds(0.1)),
        )


@activity.defn
async def killed_in_first_attempt() -> int:
    """Its first attempt hangs without a heartbeat, as if its worker were dead; a worker process gets killed there."""
    attempt = activity.info().attempt
    if attempt == 1:
        activity.heartbeat("alive")
        await asyncio.sleep(60)
    return attempt


HANGING = "HANGING_WORKFLOW_TASK"


@workflow.defn(sandboxed=False)
class HangsInTask:
    """Blocks its worker process in the middle of a workflow task, only in processes that say so."""

    @workflow.run
    async def run(self) -> str:
        if os.environ.get(HANGING):
            time.sleep(60)  # noqa: ASYNC251  (the process is killed in here)
        return "done"


@asynccontextmanager
async def worker_process(env: Env, **environment: str) -> AsyncGenerator[None]:
    """A worker in a process of its own, killed in the end. What it wrote is shown if the block fails."""
    command = [sys.executable, "-m", "compat_tests.worker_process", env.connection.to_json(), env.queue]
    with tempfile.TemporaryFile() as log:
        process = await asyncio.to_thread(
            lambda: subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        )
        try:
            yield
        except Exception as error:
            log.seek(0)
            raise AssertionError(f"the worker process, exit code {process.poll()}, wrote: {log.read()!r}") from error
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)


async def scenario_worker_killed_in_activity(env: Env) -> None:
    """The heartbeat timeout notices, the next attempt runs elsewhere."""
    async with worker_process(env):
        handle = await env.client.start_workflow(Survives.run, id=env.id(), task_queue=env.queue)
        await env.until(lambda: _heartbeat_seen(handle), "the first attempt's heartbeat")
    async with env.worker(Survives, activities=[killed_in_first_attempt]):
        await env.outcome("result", handle.result())
        await env.history(handle)


async def _heartbeat_seen(handle: Handle) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return bool(pending) and pending[0].HasField("last_heartbeat_time")


async def scenario_worker_killed_in_workflow_task(env: Env) -> None:
    """The task times out and another worker answers it."""
    async with worker_process(env, **{HANGING: "1"}):
        handle = await env.client.start_workflow(
            HangsInTask.run, id=env.id(), task_queue=env.queue, task_timeout=seconds(5)
        )
        await env.wait_event(handle, "WORKFLOW_TASK_STARTED")
    await env.wait_event(handle, "WORKFLOW_TASK_TIMED_OUT")
    async with env.worker(HangsInTask):
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_worker_restart_between_tasks(env: Env) -> None:
    """A second worker has nothing in its cache and replays."""
    async with env.worker(Signals):
        handle = await env.client.start_workflow(Signals.run, 2, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.signal(Signals.add, "first")
        await env.settled(handle)
    async with env.worker(Signals):
        await handle.signal(Signals.add, "second")
        await env.outcome("result", handle.result())
    events = (await env.fetch_history(handle.id)).events
    env.record("signals", [e for e in events if e.HasField("workflow_execution_signaled_event_attributes")])


async def scenario_nondeterminism(env: Env) -> None:
    """Changed code: the task fails with the cause, the workflow waits for the repair."""
    async with env.worker(Before):
        handle = await env.client.start_workflow(Before.run, id=env.id(), task_queue=env.queue)
        await env.wait_event(handle, "TIMER_FIRED")
        await env.settled(handle)
    async with env.worker(After, activities=[greet], max_cached_workflows=0):
        await handle.signal("wake")
        failed = await env.wait_event(handle, "WORKFLOW_TASK_FAILED")
        attributes = failed.workflow_task_failed_event_attributes
        env.record("cause", [attributes.cause, "TMPRL1100" in attributes.failure.message])
    await handle.terminate()


async def scenario_two_workers_share_a_queue(env: Env) -> None:
    """Each workflow is done once, whoever gets it."""
    other = await env.connection.client()
    try:
        async with env.worker(Hello, activities=[greet]), env.worker(Hello, activities=[greet], client=other):
            handles = [
                await env.client.start_workflow(Hello.run, str(n), id=env.id(f"w{n}"), task_queue=env.queue)
                for n in range(6)
            ]
            for handle in handles:
                await env.outcome(handle.id, handle.result())
                await env.history(handle)
    finally:
        await _close(other)


async def _close(client: Any) -> None:
    """Our clients are closed, those of the SDK have no close."""
    if hasattr(client, "close"):
        await client.close()


@activity.defn
async def grow(size: int) -> str:
    return "x" * size


@workflow.defn
class Large:
    @workflow.run
    async def run(self, text: str) -> str:
        grown = await workflow.execute_activity(grow, 1024 * 1024, start_to_close_timeout=seconds(30))
        return hashlib.sha256((text + grown).encode()).hexdigest()


async def scenario_large_payloads(env: Env) -> None:
    """A megabyte in and a megabyte between."""
    async with env.worker(Large, activities=[grow]):
        handle = await env.client.start_workflow(Large.run, "y" * 1024 * 1024, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_payload_too_large(env: Env) -> None:
    """Over the limit of two megabytes: the request is refused; as a result it fails the workflow."""
    start = env.client.start_workflow("Raw", "z" * (2 * 1024 * 1024 + 1), id=env.id("start"), task_queue=env.queue)
    await env.outcome("start", start)
    handle = await env.client.start_workflow("Raw", id=env.id(), task_queue=env.queue)
    await env.outcome("signal", handle.signal("s", "z" * (2 * 1024 * 1024 + 1)))
    worker = RawWorker(env)
    text = '"' + "z" * (2 * 1024 * 1024 + 1) + '"'
    await env.outcome("answer", worker.complete(await worker.poll(), complete_workflow(text)))
    await env.outcome("result", handle.result())
    await env.history(handle)


@activity.defn
async def outlives_worker() -> str:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        raise ApplicationError("the worker went away", type="Shutdown") from None
    return "late"


@workflow.defn
class ActivityDuringShutdown:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            outlives_worker, start_to_close_timeout=seconds(60), retry_policy=RetryPolicy(maximum_attempts=1)
        )


async def scenario_worker_shutdown_during_activity(env: Env) -> None:
    """A worker that stops tells its activities, and reports how they end."""
    async with env.worker(ActivityDuringShutdown, activities=[outlives_worker]):
        handle = await env.client.start_workflow(ActivityDuringShutdown.run, id=env.id(), task_queue=env.queue)

        async def started() -> bool:
            pending = (await handle.describe()).raw_description.pending_activities
            return bool(pending) and pending[0].HasField("last_started_time")

        await env.until(started, "a started activity")
    async with env.worker(ActivityDuringShutdown):
        await env.outcome("result", handle.result())
    events = (await env.fetch_history(handle.id)).events
    env.record("failed", [e for e in events if e.HasField("activity_task_failed_event_attributes")])


async def scenario_many_signals_and_activities(env: Env) -> None:
    """Twenty signals in a row, none lost, in order."""
    handle = await env.client.start_workflow(Signals.run, 20, id=env.id(), task_queue=env.queue)
    for number in range(20):
        await handle.signal(Signals.add, str(number))
    async with env.worker(Signals):
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_cached_and_evicted_workflows(env: Env) -> None:
    """A cache of one: workflows push each other out and go on by replay."""
    async with env.worker(Cleanup, activities=[greet], max_cached_workflows=1, max_concurrent_workflow_tasks=2):
        handles = [
            await env.client.start_workflow(Cleanup.run, id=env.id(f"w{n}"), task_queue=env.queue) for n in range(3)
        ]
        for handle in handles:
            await env.settled(handle)
        for handle in handles:
            await handle.cancel()
            await env.outcome(handle.id, handle.result())


async def scenario_raw_crash_between_poll_and_answer(env: Env) -> None:
    """A poller that takes an activity and vanishes: schedule-to-start is over, start-to-close decides."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    activity_command = schedule_activity(env)
    attributes = activity_command.schedule_activity_task_command_attributes
    attributes.start_to_close_timeout.CopyFrom(Duration(seconds=1))
    attributes.retry_policy.initial_interval.CopyFrom(Duration(nanos=100_000_000))
    attributes.retry_policy.maximum_attempts = 2
    await worker.run_task(activity_command, start_timer("t", 100))
    first = await worker.poll_activity()
    second = await worker.poll_activity()
    env.record("attempts", [first.attempt, second.attempt])
    await env.outcome("late", worker.complete_activity(first))
    await worker.complete_activity(second)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)
