"""Whether and when something is tried again."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    ServerFailureInfo,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)

from hotmesh_temporal.engine.protos import duration, nanos
from hotmesh_temporal.engine.retry import Backoff, next_attempt, problem, with_defaults
from tests.engine import commands
from tests.engine.support import failure, seconds

AGAIN = RetryState.RETRY_STATE_IN_PROGRESS
EXHAUSTED = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
EXPIRED = RetryState.RETRY_STATE_TIMEOUT
REFUSED = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


def verdict(
    attempt: int = 1,
    *,
    maximum_attempts: int = 0,
    coefficient: float = 2,
    maximum: float = 0,
    expires_in: float = 0,
    error: Failure | None = None,
    non_retryable: tuple[str, ...] = (),
) -> Backoff:
    """What follows attempt number ``attempt``, the first wait being one second."""
    now = seconds(1000)
    return next_attempt(
        now=now,
        attempt=attempt,
        maximum_attempts=maximum_attempts,
        initial=seconds(1),
        coefficient=coefficient,
        maximum=seconds(maximum),
        expires_at=now + seconds(expires_in) if expires_in else 0,
        failure=error or failure(),
        non_retryable=non_retryable,
    )


@pytest.mark.parametrize(
    ("attempt", "coefficient", "maximum", "wait"),
    [
        (1, 2, 0, 1),
        (2, 2, 0, 2),
        (5, 2, 0, 16),
        (5, 1, 0, 1),
        (3, 1.5, 0, 2.25),
        (5, 2, 10, 10),
        (1, 2, 0.5, 0.5),
        (5000, 2, 60, 60),
    ],
)
def test_the_wait_grows(attempt: int, coefficient: float, maximum: float, wait: float) -> None:
    assert verdict(attempt, coefficient=coefficient, maximum=maximum) == Backoff(AGAIN, seconds(wait))


def test_the_wait_has_an_end_even_without_a_maximum() -> None:
    assert 0 < verdict(5000).delay <= 2**62


@pytest.mark.parametrize(("attempt", "maximum_attempts", "state"), [(1, 2, AGAIN), (2, 2, EXHAUSTED), (9, 0, AGAIN)])
def test_the_number_of_attempts(attempt: int, maximum_attempts: int, state: int) -> None:
    assert verdict(attempt, maximum_attempts=maximum_attempts).state == state


@pytest.mark.parametrize(("expires_in", "state"), [(0.9, EXPIRED), (1, AGAIN), (0, AGAIN)])
def test_no_attempt_begins_after_the_end(expires_in: float, state: int) -> None:
    assert verdict(expires_in=expires_in).state == state


def timeout(kind: TimeoutType.ValueType) -> Failure:
    """A timeout of this kind."""
    return Failure(timeout_failure_info=TimeoutFailureInfo(timeout_type=kind))


@pytest.mark.parametrize(
    ("error", "non_retryable", "state"),
    [
        (failure(kind="Busy"), (), AGAIN),
        (failure(kind="Busy"), ("Other",), AGAIN),
        (failure(kind="Busy"), ("Busy",), REFUSED),
        (failure(non_retryable=True), (), REFUSED),
        (timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), (), AGAIN),
        (timeout(TimeoutType.TIMEOUT_TYPE_HEARTBEAT), (), AGAIN),
        (timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE), ("TemporalTimeout:StartToClose",), REFUSED),
        (timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START), (), REFUSED),
        (timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE), (), REFUSED),
        (Failure(server_failure_info=ServerFailureInfo()), (), AGAIN),
        (Failure(server_failure_info=ServerFailureInfo(non_retryable=True)), (), REFUSED),
        (Failure(canceled_failure_info=CanceledFailureInfo()), (), REFUSED),
        (Failure(terminated_failure_info=TerminatedFailureInfo()), (), REFUSED),
        (Failure(), (), AGAIN),
    ],
)
def test_which_failures_are_retried(error: Failure, non_retryable: tuple[str, ...], state: int) -> None:
    assert verdict(error=error, non_retryable=non_retryable).state == state


def test_the_failure_may_name_its_own_wait() -> None:
    info = ApplicationFailureInfo(next_retry_delay=duration(seconds(7)))
    assert verdict(maximum=3, error=Failure(application_failure_info=info)) == Backoff(AGAIN, seconds(7))


def test_defaults() -> None:
    filled = with_defaults(RetryPolicy())
    assert nanos(filled.initial_interval) == seconds(1)
    assert filled.backoff_coefficient == 2
    assert nanos(filled.maximum_interval) == seconds(100)
    assert filled.maximum_attempts == 0


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        (commands.retry(), None),
        (commands.retry(-1), "invalid InitialInterval"),
        (commands.retry(coefficient=0.5), "BackoffCoefficient cannot be less than 1"),
        (commands.retry(maximum=-1), "invalid MaximumInterval"),
        (commands.retry(5, maximum=1), "MaximumInterval cannot be less than InitialInterval"),
        (commands.retry(attempts=-1), "MaximumAttempts cannot be negative"),
        (commands.retry(-1, attempts=1), None),
        (RetryPolicy(non_retryable_error_types=["TemporalTimeout:Nonsense"]), "Invalid timeout type value: Nonsense"),
        (RetryPolicy(non_retryable_error_types=["TemporalTimeout:StartToClose"]), None),
    ],
)
def test_policies_that_make_no_sense(policy: RetryPolicy, wrong: str | None) -> None:
    found = problem(policy)
    assert found == wrong if wrong is None else str(found).startswith(wrong)
