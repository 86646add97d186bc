"""Every command of a workflow with one field spoiled, field by field."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    ProtocolMessageCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    StartTimerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import (
    ActivityType,
    Memo,
    Payload,
    Priority,
    RetryPolicy,
    SearchAttributes,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueResponse
from temporalio.service import RPCError

from compat_tests.env import Env, seconds
from compat_tests.mutations import send_each
from compat_tests.raw import RawWorker, command, payloads

_TEXT = Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
_RETRY = RetryPolicy(initial_interval=Duration(seconds=1), maximum_attempts=3)
_LATER = Duration(seconds=500)
_LATER_FAILURES = (
    "external_workflow_execution_failed_event_attributes",
    "start_child_workflow_execution_failed_event_attributes",
)
"""Events that come some time after the answer, or not at all."""
_ONCE = frozenset({"user_metadata", "event_group_markers"})
"""What all commands share: tried with one of them."""


async def _each(
    env: Env, kind: str, attributes: Message, before: list[Command] | None = None, *, skip: frozenset[str] = _ONCE
) -> None:
    """Answer a fresh workflow with each mutation of a command (after the commands ``before``)."""
    worker, numbers, workflow_id = RawWorker(env), itertools.count(1), ""
    fields: dict[str, Message] = {f"{kind.lower()}_command_attributes": attributes}

    async def prepare() -> Message:
        return command(kind, user_metadata=UserMetadata(summary=_TEXT), **fields)

    async def call(given: Any) -> None:
        nonlocal workflow_id
        workflow_id = env.id(f"w{next(numbers)}")
        await env.start_raw(workflow_id, workflow_run_timeout=seconds(1000))
        await worker.complete(await _task_of(worker, workflow_id), *(before or []), given)

    async def after() -> None:
        with contextlib.suppress(RPCError):  # it may be closed
            await env.client.get_workflow_handle(workflow_id).terminate()
        await _record(env, workflow_id)

    await send_each(env, prepare, call, skip=frozenset({"command_type"}) | _others(kind) | skip, after=after)


async def _task_of(worker: RawWorker, workflow_id: str) -> PollWorkflowTaskQueueResponse:
    """The workflow's task; a child that an earlier command has started may be on the same queue, it is left alone."""
    while (task := await worker.poll()).workflow_execution.workflow_id != workflow_id:
        pass
    return task


async def _record(env: Env, workflow_id: str) -> None:
    """What the answer led to: the events of commands, and the failed task. What comes later depends on the clock."""
    events = (await env.fetch_history(workflow_id)).events
    env.record("events", [event for event in events if _is_of_answer(event)])


def _is_of_answer(event: HistoryEvent) -> bool:
    kind = event.WhichOneof("attributes") or ""
    attributes = getattr(event, kind)
    by_command = "workflow_task_completed_event_id" in attributes.DESCRIPTOR.fields_by_name
    return (by_command and not kind.endswith(_LATER_FAILURES)) or kind == "workflow_task_failed_event_attributes"


def _others(kind: str) -> frozenset[str]:
    """The attributes of all other commands."""
    own = f"{kind.lower()}_command_attributes"
    names = [field.name for field in Command.DESCRIPTOR.fields if field.name.endswith("_attributes")]
    return frozenset(name for name in names if name != own)


async def scenario_mutated_activity_command(env: Env) -> None:
    attributes = ScheduleActivityTaskCommandAttributes(
        activity_id="1",
        activity_type=ActivityType(name="act"),
        task_queue=TaskQueue(name=env.queue),
        input=payloads("1"),
        start_to_close_timeout=_LATER,
        retry_policy=_RETRY,
        priority=Priority(priority_key=2),
    )
    await _each(env, "SCHEDULE_ACTIVITY_TASK", attributes)


async def scenario_mutated_cancel_activity_command(env: Env) -> None:
    await _each(env, "REQUEST_CANCEL_ACTIVITY_TASK", RequestCancelActivityTaskCommandAttributes(scheduled_event_id=5))


async def scenario_mutated_timer_command(env: Env) -> None:
    await _each(env, "START_TIMER", StartTimerCommandAttributes(timer_id="1", start_to_fire_timeout=_LATER))


async def scenario_mutated_cancel_timer_command(env: Env) -> None:
    timer = StartTimerCommandAttributes(timer_id="1", start_to_fire_timeout=_LATER)
    before = [command("START_TIMER", start_timer_command_attributes=timer)]
    await _each(env, "CANCEL_TIMER", CancelTimerCommandAttributes(timer_id="1"), before)


async def scenario_mutated_complete_command(env: Env) -> None:
    attributes = CompleteWorkflowExecutionCommandAttributes(result=payloads("1"))
    await _each(env, "COMPLETE_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_fail_command(env: Env) -> None:
    attributes = FailWorkflowExecutionCommandAttributes(failure=Failure(message="x"))
    await _each(env, "FAIL_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_cancel_command(env: Env) -> None:
    attributes = CancelWorkflowExecutionCommandAttributes(details=payloads("1"))
    await _each(env, "CANCEL_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_continue_command(env: Env) -> None:
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes(
        memo=Memo(fields={"a": _TEXT}),
        search_attributes=SearchAttributes(indexed_fields={"BatcherUser": _TEXT}),
        workflow_type=WorkflowType(name="Raw"),
        task_queue=TaskQueue(name=env.queue),
        input=payloads("1"),
        backoff_start_interval=_LATER,
        retry_policy=_RETRY,
    )
    await _each(env, "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_marker_command(env: Env) -> None:
    attributes = RecordMarkerCommandAttributes(marker_name="m", details={"a": payloads("1")})
    await _each(env, "RECORD_MARKER", attributes, skip=frozenset())


async def scenario_mutated_child_command(env: Env) -> None:
    attributes = StartChildWorkflowExecutionCommandAttributes(
        workflow_id=env.id("child"),
        memo=Memo(fields={"a": _TEXT}),
        search_attributes=SearchAttributes(indexed_fields={"BatcherUser": _TEXT}),
        workflow_type=WorkflowType(name="Child"),
        task_queue=TaskQueue(name=env.unique("other queue")),
        input=payloads("1"),
        workflow_run_timeout=_LATER,
        retry_policy=_RETRY,
        priority=Priority(priority_key=2),
    )
    # Without attributes the real server has an internal error.
    skip = _ONCE | {"start_child_workflow_execution_command_attributes: unset"}
    await _each(env, "START_CHILD_WORKFLOW_EXECUTION", attributes, skip=skip)


async def scenario_mutated_signal_command(env: Env) -> None:
    attributes = SignalExternalWorkflowExecutionCommandAttributes(
        execution=WorkflowExecution(workflow_id=env.id("nobody")), signal_name="s", input=payloads("1")
    )
    await _each(env, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_cancel_external_command(env: Env) -> None:
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(workflow_id=env.id("nobody"), reason="x")
    await _each(env, "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", attributes)


async def scenario_mutated_search_attributes_command(env: Env) -> None:
    fields = {"BatcherUser": _TEXT}
    attributes = UpsertWorkflowSearchAttributesCommandAttributes(
        search_attributes=SearchAttributes(indexed_fields=fields)
    )
    await _each(env, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", attributes)


async def scenario_mutated_properties_command(env: Env) -> None:
    attributes = ModifyWorkflowPropertiesCommandAttributes(upserted_memo=Memo(fields={"a": _TEXT}))
    await _each(env, "MODIFY_WORKFLOW_PROPERTIES", attributes)


async def scenario_mutated_message_command(env: Env) -> None:
    await _each(env, "PROTOCOL_MESSAGE", ProtocolMessageCommandAttributes(message_id="none"))
