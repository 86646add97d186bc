"""UpdateTaskQueueConfig: the rate of a task queue, and what fairness keys weigh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimitConfig
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from ...engine.protos import timestamp
from ...errors import invalid_argument
from ...runtime.keys import QueueKey
from ...runtime.queue_configs import Limit
from ...runtime.service import Runtime
from .. import validate

if TYPE_CHECKING:
    from ..server import Call

_LONGEST_TEXT, _LONGEST_KEY, _MOST_KEYS = 1000, 64, 1000

UNLIMITED = 100_000.0
"""What the server gives as the rate of a poller that has set none."""

_Update = UpdateTaskQueueConfigRequest.RateLimitUpdate


async def update_task_queue_config(
    runtime: Runtime, request: UpdateTaskQueueConfigRequest, call: Call
) -> UpdateTaskQueueConfigResponse:
    """Change what the request names, for all processes. A rate counts from the next task that is handed out."""
    del call
    _check(request)
    kind = request.task_queue_type
    if kind not in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        raise invalid_argument("task_queue_type is neither workflow nor activity: queues of other types are not there")
    key = QueueKey(request.namespace, kind == TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, request.task_queue)
    weights: dict[str, float | None] = dict.fromkeys(request.unset_fairness_weight_overrides)
    weights |= dict(request.set_fairness_weight_overrides)
    if request.set_fairness_weight_overrides:
        known = set((await runtime.queue_configs.find(key)).fairness_weight_overrides)
        if len(known - weights.keys()) + len(request.set_fairness_weight_overrides) > _MOST_KEYS:
            raise invalid_argument("fairness weight overrides update rejected: exceeding maximum key size")
    now = runtime.clock.now()
    rates = {name: _stored(update, request.identity, now) for name, _, update in _updates(request)}
    return UpdateTaskQueueConfigResponse(config=await runtime.queue_configs.update(key, rates, weights))


def _updates(request: UpdateTaskQueueConfigRequest) -> Iterator[tuple[str, str, _Update]]:
    """The changes of rates: the field of the configuration, and the server's word for the change."""
    if request.HasField("update_queue_rate_limit"):
        yield "queue_rate_limit", "UpdateQueueRateLimit", request.update_queue_rate_limit
    if request.HasField("update_fairness_key_rate_limit_default"):
        update = request.update_fairness_key_rate_limit_default
        yield "fairness_keys_rate_limit_default", "UpdateFairnessKeyRateLimitDefault", update


def _stored(update: _Update, identity: str, now: int) -> RateLimitConfig:
    config = RateLimitConfig(rate_limit=update.rate_limit if update.HasField("rate_limit") else None)
    config.metadata.reason = update.reason
    config.metadata.update_identity = identity
    config.metadata.update_time.CopyFrom(timestamp(now))
    return config


def _check(request: UpdateTaskQueueConfigRequest) -> None:
    workflow = request.task_queue_type == TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    for name, title, update in _updates(request):
        if not update.HasField("rate_limit"):
            continue
        if workflow:
            what = "rate limit" if name == "queue_rate_limit" else "fairness key rate limit"
            raise invalid_argument(f"Setting {what} on workflow task queues is not allowed.")
        if update.rate_limit.requests_per_second < 0:
            raise invalid_argument(f"RequestsPerSecond for {title} rate limit must be non-negative.")
        _check_length(f"{title}.Reason", update.reason)
    _check_length("Identity", request.identity)
    _check_weights(request)
    name = request.task_queue
    if name.startswith(validate.RESERVED_QUEUE_PREFIX):
        of_partition = name.rpartition("/")[2].isdecimal()
        raise invalid_argument(
            f"task queue family name cannot have prefix {validate.RESERVED_QUEUE_PREFIX} {name}"
            if of_partition
            else f"invalid task queue partition name {name}"
        )


def _check_length(title: str, text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise invalid_argument(f"{title} field too long (max {_LONGEST_TEXT} characters).")


def _check_weights(request: UpdateTaskQueueConfigRequest) -> None:
    given, taken_back = request.set_fairness_weight_overrides, request.unset_fairness_weight_overrides
    if (count := len(given) + len(taken_back)) > _MOST_KEYS:
        raise invalid_argument(f"too many fairness weight overrides in request: got {count}, maximum {_MOST_KEYS}")
    for key in sorted(given):
        _check_key(key)
        if given[key] <= 0:
            raise invalid_argument(f'invalid fairness weight weight for key "{key}": must be greater than zero')
    for key in taken_back:
        _check_key(key)
        if key in given:
            raise invalid_argument(f'fairness weight override key "{key}" present in both set and unset lists')


def _check_key(key: str) -> None:
    if not key:
        raise invalid_argument("fairness weight override key must not be empty")
    if len(key.encode()) > _LONGEST_KEY:
        raise invalid_argument("fairness key length exceeds limit")


def effective(limit: Limit | None) -> DescribeTaskQueueResponse.EffectiveRateLimit:
    """How many tasks a second a queue gives away, and who has said so."""
    if limit is None:
        return DescribeTaskQueueResponse.EffectiveRateLimit(
            requests_per_second=UNLIMITED, rate_limit_source=RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
        )
    source = RateLimitSource.RATE_LIMIT_SOURCE_WORKER if limit.by_worker else RateLimitSource.RATE_LIMIT_SOURCE_API
    return DescribeTaskQueueResponse.EffectiveRateLimit(requests_per_second=limit.per_second, rate_limit_source=source)
