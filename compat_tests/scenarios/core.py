"""The core: one scenario for each of the things that every application does."""

from __future__ import annotations

import asyncio

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from compat_tests.env import Env, seconds


@activity.defn
async def greet(name: str) -> str:
    return f"Hello {name}"


@activity.defn
async def fail_twice() -> int:
    attempt = activity.info().attempt
    if attempt < 3:
        raise ApplicationError(f"attempt {attempt} fails", attempt, type="Flaky")
    return attempt


@activity.defn
async def always_fails(text: str) -> None:
    raise ApplicationError(text, {"why": text}, type="Broken")


@workflow.defn
class Hello:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=seconds(30))


@workflow.defn
class Flaky:
    @workflow.run
    async def run(self) -> int:
        policy = RetryPolicy(initial_interval=seconds(0.1), backoff_coefficient=1.5)
        return await workflow.execute_activity(fail_twice, start_to_close_timeout=seconds(30), retry_policy=policy)


@workflow.defn
class ActivityFails:
    @workflow.run
    async def run(self) -> None:
        policy = RetryPolicy(initial_interval=seconds(0.1), maximum_attempts=2)
        await workflow.execute_activity(always_fails, "broken", start_to_close_timeout=seconds(30), retry_policy=policy)


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, duration: float) -> str:
        await workflow.sleep(duration)
        return "slept"


@workflow.defn
class Signals:
    def __init__(self) -> None:
        self._received: list[str] = []

    @workflow.run
    async def run(self, count: int) -> list[str]:
        await workflow.wait_condition(lambda: len(self._received) >= count)
        return self._received

    @workflow.signal
    def add(self, text: str) -> None:
        self._received.append(text)

    @workflow.query
    def received(self) -> list[str]:
        return self._received


@workflow.defn
class Cleanup:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            await workflow.execute_activity(greet, "cleanup", start_to_close_timeout=seconds(30))
            raise
        return "never"


@workflow.defn
class Countdown:
    @workflow.run
    async def run(self, count: int) -> str:
        if count:
            workflow.continue_as_new(count - 1)
        return "zero"


async def scenario_hello(env: Env) -> None:
    async with env.worker(Hello, activities=[greet]):
        handle = await env.client.start_workflow(Hello.run, "World", id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_activity_retry(env: Env) -> None:
    async with env.worker(Flaky, activities=[fail_twice]):
        handle = await env.client.start_workflow(Flaky.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_activity_failure(env: Env) -> None:
    async with env.worker(ActivityFails, activities=[always_fails]):
        handle = await env.client.start_workflow(ActivityFails.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_timer(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 1.0, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_signals_in_order(env: Env) -> None:
    async with env.worker(Signals):
        handle = await env.client.start_workflow(Signals.run, 3, id=env.id(), task_queue=env.queue)
        for text in ("a", "b", "c"):
            await env.settled(handle)
            await handle.signal(Signals.add, text)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_query(env: Env) -> None:
    async with env.worker(Signals):
        handle = await env.client.start_workflow(Signals.run, 1, id=env.id(), task_queue=env.queue)
        await env.outcome("before", handle.query(Signals.received))
        await env.settled(handle)
        await handle.signal(Signals.add, "x")
        await env.outcome("result", handle.result())
        await env.outcome("after", handle.query(Signals.received))
        await env.history(handle)


async def scenario_cancel_with_cleanup(env: Env) -> None:
    async with env.worker(Cleanup, activities=[greet]):
        handle = await env.client.start_workflow(Cleanup.run, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.cancel()
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_terminate(env: Env) -> None:
    async with env.worker(Sleeper):
        handle = await env.client.start_workflow(Sleeper.run, 100.0, id=env.id(), task_queue=env.queue)
        await env.settled(handle)
        await handle.terminate("detail", 7, reason="enough")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_continue_as_new(env: Env) -> None:
    async with env.worker(Countdown):
        handle = await env.client.start_workflow(Countdown.run, 2, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.outcome("result of the first run", handle.result(follow_runs=False))
        await env.chain(handle.id, handle.first_execution_run_id or "")


async def scenario_not_found(env: Env) -> None:
    handle = env.client.get_workflow_handle(env.id("nobody"))
    await env.outcome("result", handle.result())
    await env.outcome("describe", handle.describe())
    await env.outcome("signal", handle.signal("s"))
    await env.outcome("query", handle.query("q"))
    await env.outcome("cancel", handle.cancel())
    await env.outcome("terminate", handle.terminate())
