"""Complete, fail, cancel the execution, or continue it as new."""

from __future__ import annotations

from typing import Literal, get_args

from temporalio.api.command.v1 import Command, ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.enums.v1 import CommandType, ContinueAsNewInitiator, TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.history.v1 import WorkflowExecutionContinuedAsNewEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue

from .. import closing
from ..durations import cut_down
from ..machines import workflow
from ..opening import Continuation, continue_run
from ..protos import duration, nanos
from ..retry import problem, with_defaults
from ..turn import Turn
from .scope import CommandScope, require, require_attributes, require_size

_UNHANDLED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
_BAD_CONTINUE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
_BAD_SCHEDULE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
_BAD_FAIL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES


def complete(scope: CommandScope, command: Command) -> None:
    """CompleteWorkflowExecution."""
    if not _may_close(scope):
        return
    attributes = command.complete_workflow_execution_command_attributes
    result = attributes.result if attributes.HasField("result") else None
    name = "CompleteWorkflowExecutionCommandAttributes.Result"
    require_size(scope, attributes.result.ByteSize(), _BAD_SCHEDULE, name)  # this cause, on the server too
    closing.complete(scope.turn, scope.completed_id, result)


def fail(scope: CommandScope, command: Command) -> None:
    """FailWorkflowExecution."""
    if not _may_close(scope):
        return
    attributes = command.fail_workflow_execution_command_attributes
    require(attributes.HasField("failure"), _BAD_FAIL, "Failure is not set on FailWorkflowExecutionCommand.")
    require_size(scope, attributes.failure.ByteSize(), _BAD_FAIL, "FailWorkflowExecutionCommandAttributes.Failure")
    closing.fail(scope.turn, scope.completed_id, attributes.failure)


def cancel(scope: CommandScope, command: Command) -> None:
    """CancelWorkflowExecution."""
    if not _may_close(scope):
        return
    attributes = command.cancel_workflow_execution_command_attributes
    details = attributes.details if attributes.HasField("details") else None
    closing.cancel(scope.turn, scope.completed_id, details)


def continue_as_new(scope: CommandScope, command: Command) -> None:
    """ContinueAsNewWorkflowExecution."""
    if not _may_close(scope):
        return
    given, turn = command.continue_as_new_workflow_execution_command_attributes, scope.turn
    given.workflow_type.name = given.workflow_type.name or turn.state.workflow_type
    if not given.task_queue.name:
        given.task_queue.CopyFrom(turn.origin.workflow_execution_started_event_attributes.task_queue)
    given.task_queue.kind = given.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    _check(scope, given)
    name = "ContinueAsNewWorkflowExecutionCommandAttributes. Input"
    require_size(scope, given.input.ByteSize(), _BAD_CONTINUE, name)
    how = _continuation(turn, given)
    following = continue_run(turn, how)
    started = following.origin.workflow_execution_started_event_attributes
    workflow.close(
        turn,
        WorkflowExecutionContinuedAsNewEventAttributes(
            new_execution_run_id=following.state.run_id,
            workflow_type=started.workflow_type,
            task_queue=TaskQueue(name=started.task_queue.name, kind=started.task_queue.kind),
            input=how.input,
            workflow_run_timeout=duration(nanos(started.workflow_run_timeout)),
            workflow_task_timeout=started.workflow_task_timeout,
            workflow_task_completed_event_id=scope.completed_id,
            backoff_start_interval=given.backoff_start_interval if given.HasField("backoff_start_interval") else None,
            initiator=given.initiator,
            failure=given.failure if given.HasField("failure") else None,
            last_completion_result=how.last_result,
            header=how.header,
            memo=given.memo if given.memo.fields else None,
            search_attributes=given.search_attributes if given.search_attributes.indexed_fields else None,
            inherit_build_id=given.inherit_build_id,
        ),
    )


def _continuation(turn: Turn, given: ContinueAsNewWorkflowExecutionCommandAttributes) -> Continuation:
    """How the next run differs. Its timeouts are cut to what may last at most, as those of a start are."""
    run_timeout = nanos(given.workflow_run_timeout) or turn.state.run_timeout
    if turn.state.execution_timeout:
        run_timeout = min(run_timeout or turn.state.execution_timeout, turn.state.execution_timeout)
    task_timeout = min(
        nanos(given.workflow_task_timeout) or turn.state.task_timeout, turn.ctx.limits.task_timeout_maximum
    )
    initiator = given.initiator or ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    retries = initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    return Continuation(
        initiator,
        by_worker=True,
        attempt=turn.state.attempt + 1 if retries else 1,
        failure=given.failure if given.HasField("failure") else None,
        wait=nanos(given.backoff_start_interval),
        input=given.input if given.HasField("input") else None,
        header=given.header if given.HasField("header") else None,
        workflow_type=given.workflow_type.name,
        task_queue=given.task_queue.name,
        run_timeout=run_timeout,
        cron_schedule=given.cron_schedule,
        memo=given.memo.SerializeToString(),
        search_attributes=given.search_attributes.SerializeToString(),
        task_timeout=min(task_timeout, run_timeout or task_timeout),
        retry_policy=with_defaults(given.retry_policy) if given.HasField("retry_policy") else None,
        last_result=given.last_completion_result if given.HasField("last_completion_result") else None,
    )


_Time = Literal["workflow_run_timeout", "workflow_task_timeout", "backoff_start_interval"]
_TIMES: tuple[_Time, ...] = get_args(_Time)


def _check(scope: CommandScope, given: ContinueAsNewWorkflowExecutionCommandAttributes) -> None:
    id_limit = scope.turn.ctx.limits.id_length
    for name in _TIMES:
        title = "".join(part.capitalize() for part in name.split("_"))
        wrong = cut_down(getattr(given, name)) if given.HasField(name) else None
        require(
            wrong is None,
            _BAD_CONTINUE,
            f"Invalid {title} on ContinueAsNewWorkflowExecutionCommand: {wrong}. {_who(given)}",
        )

    kind, queue = given.workflow_type.name, given.task_queue.name
    require(
        len(kind.encode()) <= id_limit,
        _BAD_CONTINUE,
        "WorkflowType on ContinueAsNewWorkflowExecutionCommand exceeds length limit. "
        f"WorkflowType={kind} Length={len(kind.encode())} Limit={id_limit}",
    )
    require(
        len(queue.encode()) <= id_limit,
        _BAD_CONTINUE,
        "error validating ContinueAsNewWorkflowExecutionCommand TaskQueue: taskQueue length exceeds limit. "
        f"{_who(given)}",
    )
    command_name = "ContinueAsNewWorkflowExecutionCommand"
    require_attributes(scope, given.search_attributes, command_name, _who(given), _BAD_CONTINUE)
    wrong = problem(given.retry_policy) if given.HasField("retry_policy") else None
    require(
        wrong is None,
        _BAD_CONTINUE,
        f"invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand: {wrong}. {_who(given)}",
    )


def _who(given: ContinueAsNewWorkflowExecutionCommandAttributes) -> str:
    number = given.task_queue.kind
    kind = TaskQueueKind.Name(number) if number in TaskQueueKind.values() else number
    return f'WorkflowType={given.workflow_type.name} TaskQueue=name:"{given.task_queue.name}"  kind:{kind}'


def _may_close(scope: CommandScope) -> bool:
    """A run closes once, and not before its worker has seen everything that came in meanwhile."""
    require(not scope.turn.state.buffered, _UNHANDLED, "")
    return scope.turn.state.running


HANDLERS = {
    CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION: complete,
    CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION: fail,
    CommandType.COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION: cancel,
    CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION: continue_as_new,
}
