"""The ``options`` of `Worker.create`: how its workflows retry activities that say nothing about it themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import temporalio.worker
from temporalio.common import RetryPolicy
from temporalio.worker import (
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle

_INTERVALS = ("initial_interval", "maximum_interval")
_NUMBERS = ("backoff_coefficient", "maximum_attempts")
_UNITS = {
    "ms": "milliseconds",
    "millisecond": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "m": "minutes",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
}


def retry_policy_of(options: Mapping[str, Any]) -> RetryPolicy:
    """The retry policy that the options describe.

    Args:
        options: ``initial_interval`` and ``maximum_interval`` (a `timedelta`, seconds, or a text such as "5 seconds"),
            ``backoff_coefficient``, ``maximum_attempts``.

    Raises:
        ValueError: A key is not known, so it would not be honoured, or a value makes no sense.
    """
    if unknown := options.keys() - {*_INTERVALS, *_NUMBERS}:
        raise ValueError(
            f"Worker.create does not honour these options: {', '.join(sorted(unknown))}. It knows: "
            f"{', '.join((*_INTERVALS, *_NUMBERS))}; everything else is an argument of its own"
        )
    settings: dict[str, Any] = {
        name: _interval(name, value) if name in _INTERVALS else value for name, value in options.items()
    }
    policy = RetryPolicy(**settings)
    # A short maximum alone is meant to be kept, not to clash with the default of the other.
    if policy.maximum_interval is not None and "initial_interval" not in settings:
        policy.initial_interval = min(policy.initial_interval, policy.maximum_interval)
    policy._validate()  # pyright: ignore[reportPrivateUsage]  # else it is only found when the first activity is started
    return policy


def _interval(name: str, value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return timedelta(seconds=value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", value.lower()) if isinstance(value, str) else None
    # "ms" ends with the s that marks a plural.
    unit = match and (_UNITS.get(match[2] + "s") or _UNITS.get(match[2]))
    if not match or not unit:
        raise ValueError(f'{name} must be a timedelta, seconds, or a text such as "5 seconds", not {value!r}')
    return timedelta(**{unit: float(match[1])})


class RetryDefaults(temporalio.worker.Interceptor):
    """Gives activities that are started without a retry policy the one of the worker's options."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See base class."""
        policy = self._policy

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, policy))

        return Inbound


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, policy: RetryPolicy) -> None:
        super().__init__(next)
        self._policy = policy

    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        input.retry_policy = input.retry_policy or self._policy
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> ActivityHandle[Any]:
        input.retry_policy = input.retry_policy or self._policy
        return super().start_local_activity(input)
