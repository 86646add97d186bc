"""Open a run: the first one of a chain, or the next one after a retry, a cron tick or continue-as-new."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Header, Link, Payloads, RetryPolicy
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflow.v1 import ResetPoints

from .context import Context
from .machines import workflow_task
from .model import ExecutionState
from .protos import duration, moment, timestamp
from .turn import Turn


@dataclass(slots=True)
class Opening:
    """What a new run starts with; ``attributes`` lacks only what follows from the run itself."""

    namespace: str
    workflow_id: str
    run_id: str
    attributes: WorkflowExecutionStartedEventAttributes
    request_id: str = ""
    wait: int = 0
    user_metadata: UserMetadata | None = None
    links: list[Link] = field(default_factory=list[Link])


def open_run(ctx: Context, opening: Opening) -> Turn:
    """Write the first event; without a wait also offer the first workflow task (see `begin`)."""
    attributes = opening.attributes
    attributes.workflow_id = opening.workflow_id
    attributes.original_execution_run_id = opening.run_id
    if not attributes.first_execution_run_id:
        attributes.first_execution_run_id = opening.run_id
    attributes.attempt = attributes.attempt or 1
    if opening.wait or not _continued_by_worker(attributes):
        attributes.first_workflow_task_backoff.CopyFrom(duration(opening.wait))
    state = ExecutionState(opening.namespace, opening.workflow_id, opening.run_id)
    state.start_request_id = opening.request_id
    state.reset_points = attributes.prev_auto_reset_points.SerializeToString()
    turn = Turn(ctx, state, HistoryEvent())
    turn.origin = turn.record(
        attributes,
        user_metadata=opening.user_metadata,
        adjust=lambda event: event.links.extend(opening.links),
    )
    turn.visibility_changed = True
    return turn


def _continued_by_worker(attributes: WorkflowExecutionStartedEventAttributes) -> bool:
    """Continued as new: then the server leaves out a wait of zero."""
    return attributes.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW


def begin(turn: Turn) -> None:
    """Offer the first workflow task, unless the run has to wait for it."""
    if not turn.state.waits_for_first_task:
        workflow_task.schedule(turn)


@dataclass(slots=True)
class Continuation:
    """How the next run of a chain differs from this one. None: as it was."""

    initiator: int
    wait: int = 0
    attempt: int = 1
    input: Payloads | None = None
    header: Header | None = None
    workflow_type: str = ""
    task_queue: str = ""
    run_timeout: int | None = None
    task_timeout: int = 0
    retry_policy: RetryPolicy | None = None
    cron_schedule: str = ""
    memo: bytes | None = None
    search_attributes: bytes | None = None
    failure: Failure | None = None
    last_result: Payloads | None = None
    by_worker: bool = False
    """By a command: then input, header, retry policy and schedule are those of the command, also if it has none."""


def continue_run(turn: Turn, how: Continuation) -> Turn:
    """Open the next run of the chain; the caller writes the closing event of this one, naming the new run's id."""
    state, previous = turn.state, turn.origin.workflow_execution_started_event_attributes
    attributes = WorkflowExecutionStartedEventAttributes()
    attributes.CopyFrom(previous)
    attributes.continued_execution_run_id = state.run_id
    attributes.initiator = how.initiator  # type: ignore[assignment]  # enum values are ints
    attributes.attempt = how.attempt
    _replace(attributes, how)
    _carry_over(attributes, turn, how)
    if state.reset_at and state.execution_expires_at:
        attributes.workflow_execution_expiration_time.CopyFrom(timestamp(state.execution_expires_at))
    opening = Opening(
        state.namespace,
        state.workflow_id,
        turn.ctx.new_id(),
        attributes,
        request_id=turn.ctx.new_id(),
        wait=_no_sooner(turn, how.wait),
    )
    following = open_run(turn.ctx, opening)
    following.state.schedule = state.schedule
    begin(following)
    turn.next_run = following
    return following


def _no_sooner(turn: Turn, wait: int) -> int:
    """Runs of one chain do not start more often than once in the minimum interval, so that a fast loop is held back."""
    earliest = turn.state.runs_since + turn.ctx.limits.run_minimum_interval
    return max(wait, earliest - turn.ctx.now)


def _replace(attributes: WorkflowExecutionStartedEventAttributes, how: Continuation) -> None:
    attributes.ClearField("continued_failure")
    attributes.ClearField("first_workflow_task_backoff")
    attributes.identity = ""
    attributes.eager_execution_accepted = False
    if how.failure is not None:
        attributes.continued_failure.CopyFrom(how.failure)
    if how.last_result is not None:
        attributes.last_completion_result.CopyFrom(how.last_result)
    if how.by_worker:
        for name, value in (("input", how.input), ("header", how.header), ("retry_policy", how.retry_policy)):
            attributes.ClearField(name)  # type: ignore[arg-type]  # the names above are fields
            if value is not None:
                getattr(attributes, name).CopyFrom(value)
        attributes.cron_schedule = how.cron_schedule
    if how.workflow_type:
        attributes.workflow_type.name = how.workflow_type
    if how.task_queue:
        attributes.task_queue.name = how.task_queue
    if how.run_timeout is not None:
        attributes.workflow_run_timeout.CopyFrom(duration(how.run_timeout))
    if how.task_timeout:
        attributes.workflow_task_timeout.CopyFrom(duration(how.task_timeout))


def _carry_over(attributes: WorkflowExecutionStartedEventAttributes, turn: Turn, how: Continuation) -> None:
    """Memo, search attributes and priority, as this run began with unless others are given; the reset points so far.

    A run that the worker continues has the priority that it has now.
    """
    state = turn.state
    for name, data in (("memo", how.memo), ("search_attributes", how.search_attributes)):
        if data is None:
            continue
        attributes.ClearField(name)  # type: ignore[arg-type]  # the names above are fields
        if data:
            getattr(attributes, name).ParseFromString(data)
    if how.by_worker and state.priority is not None:
        attributes.priority.ParseFromString(state.priority)
    points = ResetPoints.FromString(state.reset_points)
    expires = timestamp(turn.ctx.now + turn.ctx.namespace(state.namespace).retention)
    for point in points.points:
        if point.run_id == state.run_id and not point.HasField("expire_time"):
            point.expire_time.CopyFrom(expires)
    state.reset_points = points.SerializeToString()
    attributes.prev_auto_reset_points.CopyFrom(points)


def expiration(now: int, timeout: int) -> Timestamp | None:
    """When the chain that starts now expires, waiting included; None without an execution timeout.

    Whole milliseconds, as the server keeps it.
    """
    if not timeout:
        return None
    return timestamp((now + timeout) // 1_000_000 * 1_000_000)


def expires_at(attributes: WorkflowExecutionStartedEventAttributes) -> int:
    """When the whole chain expires (0: never)."""
    return moment(attributes.workflow_execution_expiration_time)
