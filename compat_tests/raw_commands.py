"""More commands by hand, for the raw worker."""

from __future__ import annotations

from typing import Any

from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, WorkflowExecution
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure

from compat_tests.raw import command

FAILURE = Failure(message="broken", application_failure_info=ApplicationFailureInfo(type="Broken"))
FINAL = Failure(message="final", application_failure_info=ApplicationFailureInfo(type="Final", non_retryable=True))


def payload(text: str) -> Payload:
    """A payload of a JSON text."""
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def memo(**fields: str) -> Memo:
    """A memo of JSON texts."""
    return Memo(fields={name: payload(text) for name, text in fields.items()})


def continue_as_new(**fields: Any) -> Command:
    """Continue as new; what is not given is taken over."""
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes(**fields)
    return command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=attributes
    )


def cancel_workflow() -> Command:
    """End as cancelled."""
    attributes = CancelWorkflowExecutionCommandAttributes()
    return command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=attributes)


def upsert_memo(**fields: str) -> Command:
    """Change the memo."""
    attributes = ModifyWorkflowPropertiesCommandAttributes(upserted_memo=memo(**fields))
    return command("MODIFY_WORKFLOW_PROPERTIES", modify_workflow_properties_command_attributes=attributes)


def marker(name: str) -> Command:
    """Record a marker."""
    return command("RECORD_MARKER", record_marker_command_attributes=RecordMarkerCommandAttributes(marker_name=name))


def signal_other(workflow_id: str, run_id: str = "", **fields: Any) -> Command:
    """Signal another workflow."""
    defaults: dict[str, Any] = {
        "execution": WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        "signal_name": "hello",
    }
    attributes = SignalExternalWorkflowExecutionCommandAttributes(**{**defaults, **fields})
    return command(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", signal_external_workflow_execution_command_attributes=attributes
    )


def cancel_other(workflow_id: str, run_id: str = "", **fields: Any) -> Command:
    """Ask another workflow to cancel itself."""
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(
        workflow_id=workflow_id, run_id=run_id, **fields
    )
    return command(
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION",
        request_cancel_external_workflow_execution_command_attributes=attributes,
    )
