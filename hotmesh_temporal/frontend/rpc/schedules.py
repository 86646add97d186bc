"""CreateSchedule, DescribeSchedule, UpdateSchedule, PatchSchedule, DeleteSchedule, ListSchedules, CountSchedules.

A Temporal server keeps a schedule as a workflow, and so its words are about workflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import TaskQueueKind, WorkflowIdReusePolicy
from temporalio.api.schedule.v1 import Schedule, ScheduleListEntry, SchedulePatch
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CountSchedulesResponse,
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PatchScheduleRequest,
    PatchScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)

from ...contracts.search import All, Condition
from ...engine import search_attributes
from ...engine.context import Namespace
from ...engine.nulls import attributes_without_nulls, memo_without_nulls
from ...engine.protos import timestamp
from ...engine.schedules.draft import Draft
from ...engine.schedules.spec import canonical
from ...engine.schedules.state import FIRST_TOKEN
from ...errors import RpcError, failed_precondition, invalid_argument
from ...runtime.schedule_documents import ID_PREFIX, SCHEDULES, info_of, list_info_of
from ...runtime.schedules import NewSchedule
from ...runtime.search_values import listed_values
from ...runtime.service import Runtime
from .. import validate
from ..list_filter import parse_for_schedules
from .pages import page_of

if TYPE_CHECKING:
    from ..server import Call

_TIME_SUFFIX = "-2009-11-10T23:00:00Z"
"""Any time, as it is added to the ids of the workflows that a schedule starts."""

_TOKEN_BYTES = 8
_REUSE_POLICIES = (
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
)


async def create_schedule(runtime: Runtime, request: CreateScheduleRequest, call: Call) -> CreateScheduleResponse:
    """Make a schedule."""
    del call
    if not request.request_id:
        raise invalid_argument("RequestId is not set on request.")
    _check_id(request.schedule_id)
    validate.length_at_most("WorkflowId", ID_PREFIX + request.schedule_id)
    validate.length("RequestId", request.request_id)
    schedule = _with_canonical_spec(request.schedule)
    await _check_action(runtime, request.namespace, schedule.action.start_workflow, schedule)
    await _check_attributes(runtime, request.namespace, request.search_attributes)
    _check_size(runtime, schedule, request.initial_patch)
    validate.memo(request.memo, runtime.limits.memo_size)
    new = NewSchedule(
        request.namespace,
        request.schedule_id,
        schedule,
        request.initial_patch,
        memo_without_nulls(request.memo) or Memo(),
        attributes_without_nulls(request.search_attributes) or SearchAttributes(),
        request.request_id,
    )
    await runtime.schedules.create(new)
    return CreateScheduleResponse(conflict_token=_token(FIRST_TOKEN))


async def describe_schedule(runtime: Runtime, request: DescribeScheduleRequest, call: Call) -> DescribeScheduleResponse:
    """What it is, and what has become of it so far."""
    del call
    _check_id(request.schedule_id)
    draft = await runtime.schedules.find(request.namespace, request.schedule_id)
    namespace = await runtime.namespaces.view(request.namespace)
    if draft.schedule.action.start_workflow.HasField("search_attributes"):
        search_attributes.declare(draft.schedule.action.start_workflow.search_attributes, namespace)
    record = draft.record
    response = DescribeScheduleResponse(
        schedule=draft.schedule, info=info_of(draft), conflict_token=_token(record.conflict_token)
    )
    if record.memo:
        response.memo.ParseFromString(record.memo)
    attributes = _shown_attributes(SearchAttributes.FromString(record.search_attributes), namespace)
    if attributes.indexed_fields:
        response.search_attributes.CopyFrom(attributes)
    return response


async def update_schedule(runtime: Runtime, request: UpdateScheduleRequest, call: Call) -> UpdateScheduleResponse:
    """Put another schedule in its place."""
    del call
    _check_id(request.schedule_id)
    schedule = Schedule()
    schedule.CopyFrom(request.schedule)
    if not schedule.action.HasField("start_workflow"):
        raise invalid_argument("Only StartWorkflow action is supported for schedules")
    await _check_action(runtime, request.namespace, schedule.action.start_workflow, schedule)
    schedule = _with_canonical_spec(schedule)
    await _check_attributes(runtime, request.namespace, request.search_attributes)
    if request.HasField("memo"):
        raise failed_precondition("memo updates are not supported on workflow-backed schedules")
    validate.length("RequestId", request.request_id)
    _check_size(runtime, schedule)
    expected = int.from_bytes(request.conflict_token[:_TOKEN_BYTES], "big")
    if len(request.conflict_token) < _TOKEN_BYTES:
        expected = 0

    def decide(draft: Draft) -> None:
        if expected and expected != draft.record.conflict_token:
            raise failed_precondition("mismatched conflict token")
        draft.update(schedule)
        if request.HasField("search_attributes"):
            kept = attributes_without_nulls(request.search_attributes) or SearchAttributes()
            draft.record.search_attributes = kept.SerializeToString(deterministic=True)

    await runtime.schedules.change(request.namespace, request.schedule_id, decide, request.request_id)
    return UpdateScheduleResponse()


async def patch_schedule(runtime: Runtime, request: PatchScheduleRequest, call: Call) -> PatchScheduleResponse:
    """Start at once, make up for times of the past, pause, or go on."""
    del call
    _check_id(request.schedule_id)
    validate.length("RequestId", request.request_id)
    if not request.HasField("patch"):
        raise invalid_argument("Patch is not set on request.")
    patch, longest = SchedulePatch(), runtime.limits.schedule_notes
    patch.CopyFrom(request.patch)
    if max(len(patch.pause.encode()), len(patch.unpause.encode())) > longest:
        raise invalid_argument("Schedule notes exceeds limit.")
    if patch.HasField("trigger_immediately") and not patch.trigger_immediately.HasField("scheduled_time"):
        patch.trigger_immediately.scheduled_time.CopyFrom(timestamp(runtime.clock.now()))
    validate.blob(patch, runtime.limits.blob_size)
    await runtime.schedules.change(
        request.namespace, request.schedule_id, lambda draft: draft.patch(patch), request.request_id
    )
    return PatchScheduleResponse()


async def delete_schedule(runtime: Runtime, request: DeleteScheduleRequest, call: Call) -> DeleteScheduleResponse:
    """End a schedule. What it has started goes on."""
    del call
    _check_id(request.schedule_id)
    await runtime.schedules.delete(request.namespace, request.schedule_id)
    return DeleteScheduleResponse()


async def list_schedules(runtime: Runtime, request: ListSchedulesRequest, call: Call) -> ListSchedulesResponse:
    """One page of the schedules that match, the newest first."""
    del call
    condition = await _condition(runtime, request.query, request.namespace)
    documents, token = await page_of(runtime, request, condition, request.maximum_page_size)
    namespace = await runtime.namespaces.view(request.namespace)
    entries = [_entry(WorkflowExecutionInfo.FromString(each.data), namespace) for each in documents]
    return ListSchedulesResponse(schedules=entries, next_page_token=token)


async def count_schedules(runtime: Runtime, request: CountSchedulesRequest, call: Call) -> CountSchedulesResponse:
    """How many schedules match. They cannot be grouped by anything, as on a Temporal server."""
    del call
    condition = await _condition(runtime, request.query, request.namespace)
    counts = await runtime.search.count(request.namespace, condition)
    return CountSchedulesResponse(count=sum(counts.values()))


def _check_id(schedule_id: str) -> None:
    if not schedule_id:
        raise invalid_argument("Can't load workflow execution.  WorkflowId not set.")


def _with_canonical_spec(given: Schedule) -> Schedule:
    schedule = Schedule()
    schedule.CopyFrom(given)
    if given.HasField("spec"):
        schedule.spec.CopyFrom(canonical(given.spec))
    return schedule


async def _check_action(runtime: Runtime, namespace: str, action: NewWorkflowExecutionInfo, schedule: Schedule) -> None:
    """What can be wrong with the workflow that is to be started; the rest is found when it is."""
    if not schedule.action.HasField("start_workflow"):
        return
    validate.length_at_most("WorkflowId", action.workflow_id + _TIME_SUFFIX)
    validate.workflow_type(action.workflow_type)
    validate.task_queue(action.task_queue, present=action.HasField("task_queue"))
    action.task_queue.kind = action.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    for title, name in (
        ("WorkflowExecutionTimeoutSeconds", "workflow_execution_timeout"),
        ("WorkflowRunTimeoutSeconds", "workflow_run_timeout"),
        ("WorkflowTaskTimeoutSeconds", "workflow_task_timeout"),
    ):
        if action.HasField(name):  # type: ignore[arg-type]  # the names are fields of it
            validate.duration(title, getattr(action, name))
    if action.cron_schedule:
        raise invalid_argument("Scheduled workflow must not contain CronSchedule")
    if action.workflow_id_reuse_policy not in _REUSE_POLICIES:
        raise invalid_argument("Scheduled workflow must not contain WorkflowIDReusePolicy")
    await _check_attributes(runtime, namespace, action.search_attributes)


async def _check_attributes(runtime: Runtime, namespace: str, given: SearchAttributes) -> None:
    if not given.indexed_fields:
        return
    view = await runtime.namespaces.view(namespace)
    if search_attributes.problem(given, view, runtime.limits):
        # It may just have been added by another process.
        view = await runtime.namespaces.view(namespace, now=True)
        wrong = search_attributes.problem(given, view, runtime.limits)
        if wrong:
            raise invalid_argument(wrong)


def _check_size(runtime: Runtime, schedule: Schedule, patch: SchedulePatch | None = None) -> None:
    validate.blob(schedule, runtime.limits.blob_size - (patch.ByteSize() if patch is not None else 0))


def _token(number: int) -> bytes:
    return number.to_bytes(_TOKEN_BYTES, "big")


def _shown_attributes(given: SearchAttributes, namespace: Namespace) -> SearchAttributes:
    return listed_values(given, namespace)


async def _condition(runtime: Runtime, query: str, namespace: str) -> Condition:
    view = await runtime.namespaces.view(namespace)
    try:
        asked = parse_for_schedules(query, view, ID_PREFIX)
    except RpcError:
        # A search attribute may just have been added by another process.
        now = await runtime.namespaces.view(namespace, now=True)
        if now is view:
            raise
        asked = parse_for_schedules(query, now, ID_PREFIX)
    return All((SCHEDULES, asked))


def _entry(info: WorkflowExecutionInfo, namespace: Namespace) -> ScheduleListEntry:
    entry = ScheduleListEntry(
        schedule_id=info.execution.workflow_id.removeprefix(ID_PREFIX), info=list_info_of(info.memo), memo=info.memo
    )
    custom = {
        name: value for name, value in info.search_attributes.indexed_fields.items() if name in namespace.attributes
    }
    if custom:
        entry.search_attributes.CopyFrom(SearchAttributes(indexed_fields=custom))
    return entry
