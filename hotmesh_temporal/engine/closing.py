"""Close a run, and open the next one where its retry policy or cron schedule says so."""

from __future__ import annotations

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import ContinueAsNewInitiator, RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo
from temporalio.api.history.v1 import (
    WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
)

from . import cron
from .machines import workflow, workflow_task
from .opening import Continuation, continue_run
from .protos import nanos
from .retry import Backoff, next_attempt
from .turn import Turn

_RETRY = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
_CRON = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE


def complete(turn: Turn, task_completed_id: int, result: Payloads | None) -> None:
    """The workflow returned."""
    new_run_id = _next_tick(turn, None, result)
    workflow.close(
        turn,
        WorkflowExecutionCompletedEventAttributes(
            result=result, workflow_task_completed_event_id=task_completed_id, new_execution_run_id=new_run_id
        ),
    )


def fail(turn: Turn, task_completed_id: int, failure: Failure) -> None:
    """The workflow failed for good; its retry policy or cron schedule may run it again."""
    backoff, new_run_id = _retry_or_tick(turn, failure)
    workflow.close(
        turn,
        WorkflowExecutionFailedEventAttributes(
            failure=failure,
            retry_state=backoff.state,  # type: ignore[arg-type]  # enum values are ints
            workflow_task_completed_event_id=task_completed_id,
            new_execution_run_id=new_run_id,
        ),
    )


def cancel(turn: Turn, task_completed_id: int, details: Payloads | None) -> None:
    """The workflow says that it was canceled; the chain ends."""
    workflow.close(
        turn,
        WorkflowExecutionCanceledEventAttributes(workflow_task_completed_event_id=task_completed_id, details=details),
    )


def time_out(turn: Turn, *, whole_chain: bool) -> None:
    """The run's or the whole chain's time is over; the latter ends the chain."""
    failure = Failure(
        message="workflow timeout",
        source="Server",
        timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
    )
    if whole_chain:
        backoff, new_run_id = Backoff(RetryState.RETRY_STATE_TIMEOUT), ""
    else:
        backoff, new_run_id = _retry_or_tick(turn, failure)
    if turn.state.task_in_flight:
        workflow_task.fail(turn, workflow_task.FORCE_CLOSE, None, workflow.SERVER)
    turn.flush()
    workflow.close(
        turn,
        WorkflowExecutionTimedOutEventAttributes(
            retry_state=backoff.state,  # type: ignore[arg-type]  # enum values are ints
            new_execution_run_id=new_run_id,
        ),
    )


def _retry_or_tick(turn: Turn, failure: Failure) -> tuple[Backoff, str]:
    """The verdict of the retry policy, and the id of the next run, by retry or else by cron ("": there is none)."""
    backoff = _backoff(turn, failure)
    if not backoff.again:
        return backoff, _next_tick(turn, failure, None)
    how = Continuation(_RETRY, wait=backoff.delay, attempt=turn.state.attempt + 1, failure=failure)
    return backoff, continue_run(turn, how).state.run_id


def _backoff(turn: Turn, failure: Failure) -> Backoff:
    origin = turn.origin.workflow_execution_started_event_attributes
    if not origin.HasField("retry_policy"):
        return Backoff(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET)
    policy = origin.retry_policy
    return next_attempt(
        now=turn.ctx.now,
        attempt=turn.state.attempt,
        maximum_attempts=policy.maximum_attempts,
        initial=nanos(policy.initial_interval),
        coefficient=policy.backoff_coefficient,
        maximum=nanos(policy.maximum_interval),
        expires_at=turn.state.execution_expires_at,
        failure=failure,
        non_retryable=policy.non_retryable_error_types,
        caps_given=True,
    )


def _next_tick(turn: Turn, failure: Failure | None, result: Payloads | None) -> str:
    """Open the run of the next cron tick; its id ("" without a schedule, or when the chain expires before)."""
    origin, state = turn.origin.workflow_execution_started_event_attributes, turn.state
    if not origin.cron_schedule:
        return ""
    wait = cron.backoff(origin.cron_schedule, state.runs_since, turn.ctx.now)
    if state.execution_expires_at and turn.ctx.now + wait >= state.execution_expires_at:
        return ""
    how = Continuation(_CRON, wait=wait, failure=failure, last_result=result)
    return continue_run(turn, how).state.run_id
