"""Local activities: markers, retries in the worker, long back-off by a timer, heartbeat of the workflow task."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from compat_tests.env import Env, seconds
from compat_tests.scenarios.core import greet


@activity.defn
async def fails_once() -> int:
    attempt = activity.info().attempt
    if attempt == 1:
        raise ApplicationError("first attempt fails", type="Once")
    return attempt


@activity.defn
async def fails_always() -> None:
    raise ApplicationError("always", "detail", type="Always")


@activity.defn
async def takes_long() -> str:
    await asyncio.sleep(1.8)
    return "long"


@workflow.defn
class Local:
    @workflow.run
    async def run(self, name: str, options: dict[str, Any]) -> Any:
        return await workflow.execute_local_activity(
            name,
            args=options.get("args", []),
            start_to_close_timeout=seconds(options.get("timeout", 20)),
            local_retry_threshold=seconds(options["threshold"]) if "threshold" in options else None,
            retry_policy=RetryPolicy(
                initial_interval=seconds(options.get("interval", 0.05)), maximum_attempts=options.get("attempts", 3)
            ),
        )


async def _local(env: Env, function: Any, options: dict[str, Any], **start: Any) -> None:
    async with env.worker(Local, activities=[function]):
        handle = await env.client.start_workflow(
            Local.run, args=[function.__name__, options], id=env.id(), task_queue=env.queue, **start
        )
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_local_activity(env: Env) -> None:
    await _local(env, greet, {"args": ["local"]})


async def scenario_local_activity_retry(env: Env) -> None:
    await _local(env, fails_once, {})


async def scenario_local_activity_failure(env: Env) -> None:
    await _local(env, fails_always, {"attempts": 2})


async def scenario_local_activity_timeout(env: Env) -> None:
    await _local(env, takes_long, {"attempts": 1, "timeout": 0.5})


async def scenario_local_activity_long_backoff(env: Env) -> None:
    """A back-off longer than the threshold is a timer of the workflow."""
    await _local(env, fails_once, {"interval": 1, "threshold": 0.2})


async def scenario_local_activity_heartbeats_task(env: Env) -> None:
    """A local activity longer than the workflow task timeout keeps its task by answering with a new one."""
    await _local(env, takes_long, {}, task_timeout=seconds(2))
