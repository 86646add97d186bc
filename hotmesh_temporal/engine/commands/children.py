"""Start a child workflow."""

from __future__ import annotations

from typing import Literal, get_args

from temporalio.api.command.v1 import Command, StartChildWorkflowExecutionCommandAttributes
from temporalio.api.enums.v1 import (
    CommandType,
    ParentClosePolicy,
    TaskQueueKind,
    WorkflowIdReusePolicy,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import StartChildWorkflowExecutionInitiatedEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue

from .. import cron
from ..durations import cut_down
from ..effects import Work, WorkOrder
from ..nulls import attributes_without_nulls, memo_without_nulls
from ..priorities import problem as problem_of_priority
from ..protos import duration, nanos
from ..retry import problem, with_defaults
from .scope import CommandScope, require, require_attributes, require_own_namespace, require_size

_BAD = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES
_DISABLED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FEATURE_DISABLED
_TOO_MANY = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED
_Timeout = Literal["workflow_execution_timeout", "workflow_run_timeout", "workflow_task_timeout"]
_TIMEOUTS: tuple[_Timeout, ...] = get_args(_Timeout)
_COMMAND = "StartChildWorkflowExecutionCommand"


def start(scope: CommandScope, command: Command) -> None:
    """StartChildWorkflowExecution. The child itself starts after the commit."""
    given, turn = command.start_child_workflow_execution_command_attributes, scope.turn
    require_own_namespace(scope, given.namespace, _BAD)
    require(not given.HasField("versioning_override"), _DISABLED, "worker versioning is not supported")
    _fill(scope, given)
    _check(given, turn.ctx.limits.id_length)
    same_queue = given.task_queue.name == turn.state.task_queue
    require(
        same_queue or not given.inherit_build_id,
        _BAD,
        "StartChildWorkflowExecution with UseCompatibleVersion cannot run on different task queue.",
    )
    who = f"WorkflowId={given.workflow_id} WorkflowType={given.workflow_type.name} Namespace={given.namespace}"
    require_attributes(scope, given.search_attributes, "StartChildWorkflowCommand", who, _BAD)
    require_size(scope, given.input.ByteSize(), _BAD, "StartChildWorkflowExecutionCommandAttributes. Input")
    limit, pending = turn.ctx.limits.pending_children, len(turn.state.children)
    require(
        pending < limit,
        _TOO_MANY,
        f"the number of pending child workflow executions, {pending}, has reached the per-workflow limit of {limit}",
    )
    event = turn.record(_attributes(scope, given))
    turn.order(WorkOrder(Work.START_CHILD, event.event_id))


def _fill(scope: CommandScope, given: StartChildWorkflowExecutionCommandAttributes) -> None:
    """What was left out."""
    given.namespace = scope.turn.state.namespace
    given.task_queue.CopyFrom(
        TaskQueue(
            name=given.task_queue.name or scope.turn.state.task_queue,
            kind=given.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
            normal_name=given.task_queue.normal_name,
        )
    )
    given.parent_close_policy = given.parent_close_policy or ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
    allow = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    given.workflow_id_reuse_policy = given.workflow_id_reuse_policy or allow


def _check(given: StartChildWorkflowExecutionCommandAttributes, limit: int) -> None:
    workflow_id, kind, namespace = given.workflow_id, given.workflow_type.name, given.namespace
    who = f"WorkflowId={workflow_id} WorkflowType={kind} Namespace={namespace}"
    unset = "Required field {} is not set on " + _COMMAND + ". {} Namespace={}"
    require(workflow_id, _BAD, unset.format("WorkflowId", f"WorkflowType={kind}", namespace))
    require(kind, _BAD, unset.format("WorkflowType", f"WorkflowId={workflow_id}", namespace))
    size = len(workflow_id.encode())
    require(
        size <= limit,
        _BAD,
        f"WorkflowId on {_COMMAND} exceeds length limit. WorkflowId={workflow_id} Length={size} Limit={limit} "
        f"WorkflowType={kind} Namespace={namespace}",
    )
    size = len(kind.encode())
    require(
        size <= limit,
        _BAD,
        f"WorkflowType on {_COMMAND} exceeds length limit. WorkflowId={workflow_id} WorkflowType={kind} "
        f"Length={size} Limit={limit} Namespace={namespace}",
    )
    for name in _TIMEOUTS:
        title = "".join(part.capitalize() for part in name.split("_"))
        wrong = cut_down(getattr(given, name)) if given.HasField(name) else None
        require(wrong is None, _BAD, f"Invalid {title} on {_COMMAND}: {wrong}. {who}")
    wrong = problem(given.retry_policy) if given.HasField("retry_policy") else None
    require(wrong is None, _BAD, f"invalid WorkflowRetryPolicy on {_COMMAND}: {wrong}. {who}")
    valid = not given.cron_schedule or cron.is_valid(given.cron_schedule)
    require(valid, _BAD, f"invalid CronSchedule on {_COMMAND}: invalid CronSchedule.. {who}")
    _check_queue(given, limit, who)
    wrong = problem_of_priority(given.priority)
    require(wrong is None, _BAD, wrong or "")


def _check_queue(given: StartChildWorkflowExecutionCommandAttributes, limit: int, who: str) -> None:
    queue = given.task_queue.name
    require(
        len(queue.encode()) <= limit,
        _BAD,
        f"invalid TaskQueue on {_COMMAND}: taskQueue length exceeds limit. {who} "
        f'TaskQueue=name:"{queue}"  kind:TASK_QUEUE_KIND_NORMAL',
    )


def _attributes(
    scope: CommandScope, given: StartChildWorkflowExecutionCommandAttributes
) -> StartChildWorkflowExecutionInitiatedEventAttributes:
    limits, state = scope.turn.ctx.limits, scope.turn.state
    whole, run = nanos(given.workflow_execution_timeout), nanos(given.workflow_run_timeout)
    if whole:
        run = min(run or whole, whole)
    task = min(nanos(given.workflow_task_timeout) or limits.task_timeout, limits.task_timeout_maximum)
    attributes = StartChildWorkflowExecutionInitiatedEventAttributes(
        namespace=given.namespace,
        namespace_id=scope.turn.ctx.namespace_id(state.namespace),
        workflow_id=given.workflow_id,
        workflow_type=given.workflow_type,
        task_queue=given.task_queue,
        workflow_run_timeout=duration(run),
        workflow_task_timeout=duration(min(task, run) if run else task),
        parent_close_policy=given.parent_close_policy,
        control=given.control,
        workflow_task_completed_event_id=scope.completed_id,
        workflow_id_reuse_policy=given.workflow_id_reuse_policy,
        retry_policy=with_defaults(given.retry_policy) if given.HasField("retry_policy") else None,
        cron_schedule=given.cron_schedule,
        inherit_build_id=given.inherit_build_id,
        memo=memo_without_nulls(given.memo),
        search_attributes=attributes_without_nulls(given.search_attributes),
    )
    for name in ("input", "workflow_execution_timeout", "header", "priority"):
        if given.HasField(name):  # type: ignore[arg-type]  # the names are fields of both
            getattr(attributes, name).CopyFrom(getattr(given, name))
    return attributes


HANDLERS = {CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION: start}
