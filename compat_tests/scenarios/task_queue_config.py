"""Configurations of task queues: UpdateTaskQueueConfig, what DescribeTaskQueue shows of them, and that rates hold."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.mutations import send_each
from compat_tests.targets import IDENTITY

_WORKFLOW, _ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_Rate = UpdateTaskQueueConfigRequest.RateLimitUpdate

BETWEEN = 4.0
"""Seconds: sixteen activities take six or more at two a second, without a rate less than one, a busy machine or not."""


def _rate(per_second: float, reason: str = "") -> _Rate:
    return _Rate(rate_limit=RateLimit(requests_per_second=per_second), reason=reason)


async def _update(env: Env, **fields: Any) -> UpdateTaskQueueConfigResponse:
    whole: dict[str, Any] = {"task_queue": env.queue, "task_queue_type": _ACTIVITY, **fields}
    request = UpdateTaskQueueConfigRequest(namespace=NAMESPACE, identity=IDENTITY, **whole)
    return await env.rpc.update_task_queue_config(request)


async def _described(env: Env, kind: TaskQueueType.ValueType = _ACTIVITY, **fields: Any) -> DescribeTaskQueueResponse:
    """Without the rate of a queue that has none of its own: it says what a server can do."""
    request = DescribeTaskQueueRequest(
        namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue), task_queue_type=kind, **fields
    )
    answer = await env.rpc.describe_task_queue(request)
    answer.task_queue_status.ClearField("task_id_block")
    limit = answer.effective_rate_limit
    if limit.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM:
        assert limit.requests_per_second > 0
        limit.ClearField("requests_per_second")
        answer.task_queue_status.ClearField("rate_per_second")
    return answer


async def scenario_task_queue_config(env: Env) -> None:
    """Set, changed one by one, taken back; what is not named stays."""
    config: dict[str, Any] = {"report_config": True, "include_task_queue_status": True}
    env.record("none", await _described(env, **config))
    env.record("nothing", await _update(env))
    env.record("rate", await _update(env, update_queue_rate_limit=_rate(500, "slow")))
    env.record("described", await _described(env, **config))
    env.record("without the configuration", await _described(env, include_task_queue_status=True))
    env.record("key", await _update(env, update_fairness_key_rate_limit_default=_rate(7.5)))
    env.record("weights", await _update(env, set_fairness_weight_overrides={"a": 2.5, "b": 0.25, '"': 3}))
    env.record(
        "weight", await _update(env, set_fairness_weight_overrides={"a": 1}, unset_fairness_weight_overrides=["b"])
    )
    env.record("described with all", await _described(env, **config))
    env.record("taken back", await _update(env, update_queue_rate_limit=_Rate(reason="fast")))
    env.record("described without a rate", await _described(env, **config))
    env.record(
        "weights of workflows", await _update(env, task_queue_type=_WORKFLOW, set_fairness_weight_overrides={"w": 1})
    )
    env.record("workflows", await _described(env, _WORKFLOW, **config))
    env.record("activities", await _described(env, **config))


async def scenario_task_queue_config_errors(env: Env) -> None:
    """What is refused, and in which order."""
    text, key = "x" * 1001, "x" * 65
    wrong: dict[str, dict[str, Any]] = {
        "rate of workflows": {"task_queue_type": _WORKFLOW, "update_queue_rate_limit": _rate(1)},
        "key rate of workflows": {"task_queue_type": _WORKFLOW, "update_fairness_key_rate_limit_default": _rate(1)},
        "below zero": {"update_queue_rate_limit": _rate(-1, text)},
        "key below zero": {"update_fairness_key_rate_limit_default": _rate(-1)},
        "reason": {"update_queue_rate_limit": _rate(1, text)},
        "reason of key": {"update_fairness_key_rate_limit_default": _rate(1, text)},
        "no weight": {"set_fairness_weight_overrides": {"a": 0}},
        "negative weight": {"set_fairness_weight_overrides": {"a": -1}},
        "long key": {"set_fairness_weight_overrides": {key: 1}},
        "empty key": {"set_fairness_weight_overrides": {"": 1}},
        "long key taken back": {"unset_fairness_weight_overrides": [key]},
        "empty key taken back": {"unset_fairness_weight_overrides": [""]},
        "both": {"set_fairness_weight_overrides": {"a": 1}, "unset_fairness_weight_overrides": ["a"]},
        "many": {"set_fairness_weight_overrides": {f"k{number}": 1 for number in range(1001)}},
        "partition": {"task_queue": "/_sys/queue/1"},
        "no partition": {"task_queue": "/_sys/queue"},
    }
    for label, fields in wrong.items():
        await env.outcome(label, _update(env, **fields))
    many = {f"a{number}": 1.0 for number in range(600)}
    await _update(env, set_fairness_weight_overrides=many)
    more = {f"b{number}": 1.0 for number in range(600)}
    await env.outcome("too many together", _update(env, set_fairness_weight_overrides=more))
    env.record("nothing was changed", len((await _described(env, report_config=True)).config.fairness_weight_overrides))


async def scenario_mutated_task_queue_config(env: Env) -> None:
    async def make() -> UpdateTaskQueueConfigRequest:
        return UpdateTaskQueueConfigRequest(
            namespace=NAMESPACE,
            identity=IDENTITY,
            task_queue=env.queue,
            task_queue_type=_ACTIVITY,
            update_queue_rate_limit=_rate(1000, "slow"),
        )

    async def call(request: Any) -> Any:
        return await env.rpc.update_task_queue_config(request)

    # Queues of no type, or of one that nobody knows, are configured there and never used; weights: see above.
    skip = frozenset({"task_queue_type", "set_fairness_weight_overrides"})
    await send_each(env, make, call, skip=skip)


@activity.defn(name="tick")
async def tick() -> float:
    """When it ran."""
    return time.time()


@workflow.defn(name="TicksWorkflow")
class Ticks:
    @workflow.run
    async def run(self, count: int) -> list[float]:
        each = [workflow.execute_activity(tick, start_to_close_timeout=timedelta(seconds=60)) for _ in range(count)]
        return sorted(await asyncio.gather(*each))


async def _took(env: Env, name: str, **options: Any) -> float:
    """Seconds between the first and the last of sixteen activities."""
    async with env.worker(Ticks, activities=[tick], **options):
        times = await env.client.execute_workflow(Ticks.run, 16, id=env.id(name), task_queue=env.queue)
    return times[-1] - times[0]


async def scenario_task_queue_rate_holds(env: Env) -> None:
    """Two tasks a second, and none when an operator says so; some may come at once, as the rate is not exact."""
    await _update(env, update_queue_rate_limit=_rate(2))
    env.record("slow", (await _took(env, "slow")) > BETWEEN)
    await _update(env, update_queue_rate_limit=_Rate())
    env.record("fast", (await _took(env, "fast")) < BETWEEN)


async def scenario_task_queue_rate_by_worker(env: Env) -> None:
    """A worker asks for two tasks a second of the whole queue; an operator's rate wins over it."""
    env.record("slow", (await _took(env, "slow", max_task_queue_activities_per_second=2)) > BETWEEN)
    await _update(env, update_queue_rate_limit=_rate(1000))
    env.record("fast", (await _took(env, "fast", max_task_queue_activities_per_second=2)) < BETWEEN)
    env.record("described", (await _described(env)).effective_rate_limit)
