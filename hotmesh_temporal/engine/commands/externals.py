"""Signal another workflow, and request its cancellation."""

from __future__ import annotations

import re

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    RequestCancelExternalWorkflowExecutionInitiatedEventAttributes,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
)

from ..effects import Work, WorkOrder
from .scope import CommandScope, require, require_own_namespace, require_size

_BAD_SIGNAL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES
_BAD_CANCEL = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES
)
_SIGNALS = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED
_CANCELS = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def signal(scope: CommandScope, command: Command) -> None:
    """SignalExternalWorkflowExecution."""
    given, turn, name = command.signal_external_workflow_execution_command_attributes, scope.turn, _SIGNAL
    require_own_namespace(scope, given.namespace, _BAD_SIGNAL)
    require(given.HasField("execution"), _BAD_SIGNAL, f"Execution is not set on {name}.")
    target = given.execution
    where = f"Namespace={given.namespace} RunId={target.run_id}"
    require(target.workflow_id, _BAD_SIGNAL, f"WorkflowId is not set on {name}. {where} SignalName={given.signal_name}")
    _check_length(scope, target, name, _BAD_SIGNAL, f"{where} SignalName={given.signal_name}")
    require(
        not target.run_id or _UUID.fullmatch(target.run_id),
        _BAD_SIGNAL,
        f"Invalid RunId set on {name}. WorkflowId={target.workflow_id} {where} SignalName={given.signal_name}",
    )
    require(given.signal_name, _BAD_SIGNAL, f"SignalName is not set on {name}. WorkflowId={target.workflow_id} {where}")
    require_size(scope, given.input.ByteSize(), _BAD_SIGNAL, "SignalExternalWorkflowExecutionCommandAttributes.Input")
    limit, pending = turn.ctx.limits.pending_signals, len(turn.state.signals)
    require(
        pending < limit,
        _SIGNALS,
        f"the number of pending signals to external workflows, {pending}, has reached the per-workflow limit of "
        f"{limit}",
    )
    event = turn.record(
        SignalExternalWorkflowExecutionInitiatedEventAttributes(
            workflow_task_completed_event_id=scope.completed_id,
            namespace=given.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=target,
            signal_name=given.signal_name,
            input=given.input if given.HasField("input") else None,
            control=given.control,
            child_workflow_only=given.child_workflow_only,
            header=given.header if given.HasField("header") else None,
        )
    )
    turn.order(WorkOrder(Work.SIGNAL, event.event_id))


def request_cancel(scope: CommandScope, command: Command) -> None:
    """RequestCancelExternalWorkflowExecution."""
    given, turn, name = command.request_cancel_external_workflow_execution_command_attributes, scope.turn, _CANCEL
    require_own_namespace(scope, given.namespace, _BAD_CANCEL)
    target = WorkflowExecution(workflow_id=given.workflow_id, run_id=given.run_id)
    require(
        target.workflow_id,
        _BAD_CANCEL,
        f"WorkflowId is not set on {name}. Namespace={given.namespace} RunId={target.run_id}",
    )
    _check_length(scope, target, name, _BAD_CANCEL, f"RunId={target.run_id} Namespace={given.namespace}")
    require(
        not target.run_id or _UUID.fullmatch(target.run_id),
        _BAD_CANCEL,
        f"Invalid RunId set on {name}. WorkflowId={target.workflow_id} RunId={target.run_id} "
        f"Namespace={given.namespace}",
    )
    limit, pending = turn.ctx.limits.pending_cancels, len(turn.state.cancels)
    require(
        pending < limit,
        _CANCELS,
        f"the number of pending requests to cancel external workflows, {pending}, has reached the per-workflow limit "
        f"of {limit}",
    )
    event = turn.record(
        RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(
            workflow_task_completed_event_id=scope.completed_id,
            namespace=given.namespace,
            namespace_id=turn.ctx.namespace_id(turn.state.namespace),
            workflow_execution=target,
            control=given.control,
            child_workflow_only=given.child_workflow_only,
            reason=given.reason,
        )
    )
    turn.order(WorkOrder(Work.CANCEL, event.event_id))


_SIGNAL, _CANCEL = "SignalExternalWorkflowExecutionCommand", "RequestCancelExternalWorkflowExecutionCommand"


def _check_length(scope: CommandScope, target: WorkflowExecution, name: str, cause: int, more: str) -> None:
    size, limit = len(target.workflow_id.encode()), scope.turn.ctx.limits.id_length
    require(
        size <= limit,
        cause,
        f"WorkflowId on {name} exceeds length limit. WorkflowId={target.workflow_id} Length={size} Limit={limit} "
        f"{more}",
    )


HANDLERS = {
    CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION: signal,
    CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION: request_cancel,
}
