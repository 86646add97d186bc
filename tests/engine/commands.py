"""The commands of a worker, in short; times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import ActivityType, Payload, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue

from hotmesh_temporal.engine.protos import duration

from .support import QUEUE, failure, payloads, seconds


def _command(name: str, **attributes: Any) -> Command:
    command = Command(command_type=CommandType.Value(f"COMMAND_TYPE_{name.upper()}"))
    getattr(command, f"{name}_command_attributes").SetInParent()
    for field, value in attributes.items():
        target = getattr(command, f"{name}_command_attributes")
        if value is None:
            continue
        if isinstance(value, (str, int, bool)):
            setattr(target, field, value)
        else:
            getattr(target, field).CopyFrom(value)
    return command


def activity(
    activity_id: str = "a",
    *,
    start_to_close: float = 0,
    schedule_to_close: float = 0,
    schedule_to_start: float = 0,
    heartbeat: float = 0,
    retry: RetryPolicy | None = None,
    eager: bool = False,
) -> Command:
    """ScheduleActivityTask; with no timeout at all it may run for ten seconds."""
    if not start_to_close and not schedule_to_close:
        start_to_close = 10
    return _command(
        "schedule_activity_task",
        activity_id=activity_id,
        activity_type=ActivityType(name="Activity"),
        task_queue=TaskQueue(name=QUEUE),
        input=payloads("input"),
        start_to_close_timeout=duration(seconds(start_to_close)),
        schedule_to_close_timeout=duration(seconds(schedule_to_close)),
        schedule_to_start_timeout=duration(seconds(schedule_to_start)),
        heartbeat_timeout=duration(seconds(heartbeat)),
        retry_policy=retry,
        request_eager_execution=eager,
    )


def retry(initial: float = 1, *, coefficient: float = 2, attempts: int = 0, maximum: float = 0) -> RetryPolicy:
    """A retry policy."""
    return RetryPolicy(
        initial_interval=duration(seconds(initial)),
        backoff_coefficient=coefficient,
        maximum_attempts=attempts,
        maximum_interval=duration(seconds(maximum)),
    )


def cancel_activity(scheduled_event_id: int) -> Command:
    """RequestCancelActivityTask."""
    return _command("request_cancel_activity_task", scheduled_event_id=scheduled_event_id)


def timer(timer_id: str = "t", after: float = 5) -> Command:
    """StartTimer."""
    return _command("start_timer", timer_id=timer_id, start_to_fire_timeout=duration(seconds(after)))


def cancel_timer(timer_id: str = "t") -> Command:
    """CancelTimer."""
    return _command("cancel_timer", timer_id=timer_id)


def complete() -> Command:
    """CompleteWorkflowExecution."""
    return _command("complete_workflow_execution", result=payloads("result"))


def fail(error: Failure | None = None) -> Command:
    """FailWorkflowExecution."""
    return _command("fail_workflow_execution", failure=error or failure())


def cancel() -> Command:
    """CancelWorkflowExecution."""
    return _command("cancel_workflow_execution")


def continue_as_new(workflow_type: str = "Workflow") -> Command:
    """ContinueAsNewWorkflowExecution."""
    return _command(
        "continue_as_new_workflow_execution",
        workflow_type=WorkflowType(name=workflow_type),
        task_queue=TaskQueue(name=QUEUE),
        input=payloads("again"),
    )


def marker(name: str = "marker") -> Command:
    """RecordMarker."""
    return _command("record_marker", marker_name=name)


def memo(values: Mapping[str, bytes]) -> Command:
    """ModifyWorkflowProperties; an empty value takes the entry away."""
    command = _command("modify_workflow_properties")
    fields = command.modify_workflow_properties_command_attributes.upserted_memo.fields
    for key, value in values.items():
        fields[key].CopyFrom(Payload(metadata={"encoding": b"json/plain"}, data=value))
    return command


def search_attributes(values: Mapping[str, bytes]) -> Command:
    """UpsertWorkflowSearchAttributes; an empty value takes the attribute away."""
    command = _command("upsert_workflow_search_attributes")
    fields = command.upsert_workflow_search_attributes_command_attributes.search_attributes.indexed_fields
    for key, value in values.items():
        fields[key].CopyFrom(Payload(metadata={"encoding": b"json/plain", "type": b"Keyword"}, data=value))
    return command


def child(workflow_id: str = "child") -> Command:
    """StartChildWorkflowExecution."""
    return _command(
        "start_child_workflow_execution", workflow_id=workflow_id, workflow_type=WorkflowType(name="Workflow")
    )


def signal_other(workflow_id: str = "other") -> Command:
    """SignalExternalWorkflowExecution."""
    target = WorkflowExecution(workflow_id=workflow_id)
    return _command("signal_external_workflow_execution", execution=target, signal_name="signal")


def cancel_other(workflow_id: str = "other") -> Command:
    """RequestCancelExternalWorkflowExecution."""
    return _command("request_cancel_external_workflow_execution", workflow_id=workflow_id)
