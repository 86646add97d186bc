"""Record a marker: what local activities, side effects, patches and versions leave in the history."""

from __future__ import annotations

from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import MarkerRecordedEventAttributes

from .scope import CommandScope, require, require_size

_BAD = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES


def record(scope: CommandScope, command: Command) -> None:
    """RecordMarker."""
    given = command.record_marker_command_attributes
    require(given.marker_name, _BAD, "MarkerName is not set on RecordMarkerCommand.")
    size, limit = len(given.marker_name.encode()), scope.turn.ctx.limits.id_length
    require(
        size <= limit,
        _BAD,
        f"MarkerName on RecordMarkerCommand exceeds length limit. MarkerName={given.marker_name} Length={size} "
        f"Limit={limit}",
    )
    details = sum(len(key.encode()) + value.ByteSize() for key, value in given.details.items())
    require_size(scope, details, _BAD, "RecordMarkerCommandAttributes.Details")
    attributes = MarkerRecordedEventAttributes(
        marker_name=given.marker_name,
        details=given.details,
        workflow_task_completed_event_id=scope.completed_id,
        header=given.header if given.HasField("header") else None,
        failure=given.failure if given.HasField("failure") else None,
    )
    scope.turn.record(attributes)


HANDLERS = {CommandType.COMMAND_TYPE_RECORD_MARKER: record}
