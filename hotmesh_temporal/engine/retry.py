"""Whether and when something is tried again (temporal.api.common.v1.RetryPolicy)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure

from .context import SECOND
from .durations import cut_down, product
from .protos import duration, nanos

_RETRIED_TIMEOUTS = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "TemporalTimeout:StartToClose",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "TemporalTimeout:Heartbeat",
}


_MAXIMUM_FACTOR = 100
_TIMEOUT_PREFIX = "TemporalTimeout:"
_TIMEOUT_KINDS = ("StartToClose", "ScheduleToStart", "ScheduleToClose", "Heartbeat")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The verdict: ``state`` IN_PROGRESS and the wait before the next attempt, or why there is none."""

    state: int
    delay: int = 0

    @property
    def again(self) -> bool:
        """There is a next attempt."""
        return self.state == RetryState.RETRY_STATE_IN_PROGRESS


def next_attempt(
    *,
    now: int,
    attempt: int,
    maximum_attempts: int,
    initial: int,
    coefficient: float,
    maximum: int,
    expires_at: int,
    failure: Failure,
    non_retryable: Collection[str],
    caps_given: bool = False,
) -> Backoff:
    """What follows after attempt number ``attempt`` (from 1) ended with ``failure``. Durations in nanoseconds.

    ``caps_given``: the maximum holds for a delay that the failure itself asks for, too (so it is for workflows).
    """
    if not is_retryable(failure, non_retryable):
        return Backoff(RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE)
    if 0 < maximum_attempts <= attempt:
        return Backoff(RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
    given = failure.application_failure_info
    if given.HasField("next_retry_delay"):
        delay = nanos(given.next_retry_delay)
        delay = min(delay, maximum or delay) if caps_given else delay
    else:
        delay = delay_after(attempt, initial, coefficient, maximum)
    if expires_at and now + delay > expires_at:
        return Backoff(RetryState.RETRY_STATE_TIMEOUT)
    return Backoff(RetryState.RETRY_STATE_IN_PROGRESS, delay)


def delay_after(attempt: int, initial: int, coefficient: float, maximum: int) -> int:
    """The wait after attempt number ``attempt`` (from 1), in nanoseconds."""
    try:
        delay = int(initial * coefficient ** (attempt - 1))
    except OverflowError:
        delay = maximum or 2**62
    if maximum and (delay <= 0 or delay > maximum):
        return maximum
    return min(max(delay, 0), 2**62)


def is_retryable(failure: Failure, non_retryable: Collection[str]) -> bool:
    """Another attempt may help. ``non_retryable`` are the types of failures of which that is not so."""
    kind = failure.WhichOneof("failure_info")
    if kind in ("terminated_failure_info", "canceled_failure_info"):
        return False
    if kind == "timeout_failure_info":
        name = _RETRIED_TIMEOUTS.get(failure.timeout_failure_info.timeout_type)
        return name is not None and name not in non_retryable
    if kind == "server_failure_info":
        return not failure.server_failure_info.non_retryable
    if kind == "application_failure_info":
        info = failure.application_failure_info
        return not info.non_retryable and info.type not in non_retryable
    return True


def with_defaults(policy: RetryPolicy) -> RetryPolicy:
    """The policy with the server's defaults for what is not set: 1 s, doubled, at most 100 times the first."""
    filled = RetryPolicy()
    filled.CopyFrom(policy)
    if not nanos(filled.initial_interval):
        filled.initial_interval.CopyFrom(duration(SECOND))
    if not filled.backoff_coefficient:
        filled.backoff_coefficient = 2.0
    if not nanos(filled.maximum_interval):
        filled.maximum_interval.CopyFrom(product(filled.initial_interval, _MAXIMUM_FACTOR))
    cut_down(filled.initial_interval)
    cut_down(filled.maximum_interval)
    return filled


def problem(policy: RetryPolicy, *, filled: bool = False) -> str | None:
    """What is wrong with a policy, in the server's words; None if nothing is.

    ``filled``: a coefficient that is not set is wrong, too, because no default will take its place.
    """
    if policy.maximum_attempts == 1:
        return _problem_of_types(policy)
    whole = policy if filled else with_defaults(policy)
    wrong = cut_down(whole.initial_interval)
    if wrong is not None:
        return f"invalid InitialInterval set on retry policy: {wrong}"
    if whole.backoff_coefficient < 1:
        return "BackoffCoefficient cannot be less than 1 on retry policy."
    wrong = cut_down(whole.maximum_interval)
    if wrong is not None:
        return f"invalid MaximumInterval set on retry policy: {wrong}"
    maximum = nanos(whole.maximum_interval)
    if maximum and maximum < nanos(whole.initial_interval):
        return "MaximumInterval cannot be less than InitialInterval on retry policy."
    if policy.maximum_attempts < 0:
        return "MaximumAttempts cannot be negative on retry policy."
    return _problem_of_types(policy)


def _problem_of_types(policy: RetryPolicy) -> str | None:
    for name in policy.non_retryable_error_types:
        kind = name.removeprefix(_TIMEOUT_PREFIX)
        if kind != name and kind not in _TIMEOUT_KINDS:
            return f"Invalid timeout type value: {kind}."
    return None
