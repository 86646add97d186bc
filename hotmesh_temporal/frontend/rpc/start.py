"""StartWorkflowExecution, and what SignalWithStart shares with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Link, WorkerVersionStamp
from temporalio.api.enums.v1 import (
    ContinueAsNewInitiator,
    EventType,
    TaskQueueKind,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionOptionsUpdatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from ...contracts.commit import Mark
from ...contracts.errors import CurrentRunConflict, DuplicateMark, RevisionConflict
from ...engine import cron, model, search_attributes
from ...engine.machines import workflow, workflow_task
from ...engine.model import ExecutionState, decode_state
from ...engine.nulls import attributes_without_nulls, memo_without_nulls
from ...engine.opening import Opening, begin, expiration, open_run
from ...engine.protos import nanos
from ...engine.retry import with_defaults
from ...engine.turn import Turn
from ...errors import already_started, invalid_argument
from ...runtime.keys import RunKey
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from .. import validate
from ..links import check_links
from .task_response import task_response
from .throttled import hold_back_start

if TYPE_CHECKING:
    from ..server import Call

StartRequest = StartWorkflowExecutionRequest | SignalWithStartWorkflowExecutionRequest
_Conflict, _Reuse = WorkflowIdConflictPolicy, WorkflowIdReusePolicy


@dataclass(frozen=True, slots=True)
class Outcome:
    """The run that the caller gets: a new one (``started``), or the one that was there."""

    run: Loaded
    started: bool


async def start_workflow_execution(
    runtime: Runtime, request: StartWorkflowExecutionRequest, call: Call
) -> StartWorkflowExecutionResponse:
    """Start a workflow, by the policies for an id that is in use already."""
    del call
    check(request)
    hold_back_start(runtime, request)
    await check_attributes(runtime, request)
    validate.blob(request.input, runtime.limits.blob_size)
    validate.memo(request.memo, runtime.limits.memo_size)
    check_links(request.links, runtime.limits)
    check_policies(request)
    outcome = await open_or_join(runtime, request, lambda: _first_turn(runtime, request))
    response = response_of(outcome.run.state, started=outcome.started)
    task = outcome.run.state.task
    if task is not None and task.started_at and task.request_id == request.request_id:
        response.eager_workflow_task.CopyFrom(await task_response(runtime, outcome.run, task, only_new=False))
    if not outcome.started and request.HasField("on_conflict_options"):
        response.link.CopyFrom(await _attach(runtime, request, outcome.run))
    return response


def response_of(state: ExecutionState, *, started: bool) -> StartWorkflowExecutionResponse:
    """What a starter is told of the run."""
    return StartWorkflowExecutionResponse(
        run_id=state.run_id,
        first_execution_run_id=state.first_run_id,
        started=started,
        status=status_of(state),
        link=_link_to_start(state),
    )


def status_of(state: ExecutionState) -> WorkflowExecutionStatus.ValueType:
    """The run's status, as the protocol has it."""
    return WorkflowExecutionStatus.ValueType(state.status)


def _first_turn(runtime: Runtime, request: StartWorkflowExecutionRequest) -> Turn:
    """The new run; an eager start hands its first task to the starter, who has a worker of its own."""
    turn = opening_turn(runtime, request)
    if request.request_eager_execution and turn.state.task is not None:
        turn.withdraw_workflow_task()
        workflow_task.start(turn, request.request_id, request.identity, WorkerVersionStamp())
    return turn


async def _attach(runtime: Runtime, request: StartWorkflowExecutionRequest, existing: Loaded) -> Link:
    """Note in the run that was there already what the request asks to be noted."""
    options, request_id = request.on_conflict_options, request.request_id
    attributes = WorkflowExecutionOptionsUpdatedEventAttributes()
    if options.attach_request_id:
        attributes.attached_request_id = request_id
    links = list(request.links) if options.attach_links else []

    def decide(turn: Turn) -> None:
        def adjust(event: HistoryEvent) -> None:
            event.worker_may_ignore = True
            event.links.extend(links)

        turn.record(attributes, adjust=adjust)

    key = RunKey(request.namespace, request.workflow_id, existing.state.run_id)
    marks = [Mark(key.job_id, request_id)] if options.attach_request_id and request_id else []
    with contextlib.suppress(DuplicateMark):
        await runtime.executions.update(key, decide, marks=marks)
    reference = Link.WorkflowEvent.RequestIdReference(
        request_id=request_id, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    )
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=key.namespace, workflow_id=key.workflow_id, run_id=key.run_id, request_id_ref=reference
        )
    )


def check(request: StartRequest) -> None:
    """Everything that can be wrong with a request that starts a workflow."""
    validate.workflow_id(request.workflow_id)
    if isinstance(request, SignalWithStartWorkflowExecutionRequest):
        if not request.signal_name:
            raise invalid_argument("signal not set")
        validate.length_at_most("signal name", request.signal_name)
        if not request.workflow_type.name:
            raise invalid_argument("workflow type not set")
        validate.length_at_most("workflow type name", request.workflow_type.name)
        validate.length_at_most("Request ID", request.request_id)
    else:
        validate.workflow_type(request.workflow_type)
    validate.task_queue(request.task_queue, present=request.HasField("task_queue"))
    validate.length("RequestId", request.request_id)
    _check_times(request)
    if request.HasField("retry_policy"):
        validate.retry_policy(request.retry_policy)
    validate.priority(request.priority)


async def check_attributes(runtime: Runtime, request: StartRequest) -> None:
    """The search attributes are those of the namespace, valid, and not too large; from here on with their types."""
    given, limits = request.search_attributes, runtime.limits
    if not given.indexed_fields:
        return
    namespace = await runtime.namespaces.view(request.namespace)
    if search_attributes.problem(given, namespace, limits):
        # It may just have been added by another process.
        namespace = await runtime.namespaces.view(request.namespace, now=True)
        wrong = search_attributes.problem(given, namespace, limits)
        if wrong:
            raise invalid_argument(wrong)
    search_attributes.declare(given, namespace)


def _check_times(request: StartRequest) -> None:
    for title, name in (
        ("WorkflowExecutionTimeoutSeconds", "workflow_execution_timeout"),
        ("WorkflowRunTimeoutSeconds", "workflow_run_timeout"),
        ("WorkflowTaskTimeoutSeconds", "workflow_task_timeout"),
        ("WorkflowStartDelaySeconds", "workflow_start_delay"),
    ):
        if request.HasField(name):  # type: ignore[arg-type]  # the names are fields of both requests
            validate.duration(title, getattr(request, name))
    if request.cron_schedule and nanos(request.workflow_start_delay):
        raise invalid_argument("CronSchedule and WorkflowStartDelay may not be used together.")
    if request.cron_schedule and not cron.is_valid(request.cron_schedule):
        raise invalid_argument("invalid CronSchedule.")


def check_policies(request: StartWorkflowExecutionRequest) -> None:
    """The two policies do not contradict each other."""
    reuse, conflict = request.workflow_id_reuse_policy, request.workflow_id_conflict_policy
    unset = conflict == _Conflict.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
    if reuse == _Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING and not unset:
        raise invalid_argument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together "
            "with a WorkflowIDConflictPolicy"
        )
    if (
        reuse == _Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
        and conflict == _Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    ):
        raise invalid_argument(
            "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together "
            "with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
        )


def opening_turn(runtime: Runtime, request: StartRequest, *, offer_task: bool = True) -> Turn:
    """The new run with its first events; with ``offer_task`` False the caller offers the first task itself."""
    ctx = runtime.executions.context()
    wait = nanos(request.workflow_start_delay)
    if request.cron_schedule:
        wait = cron.backoff(request.cron_schedule, ctx.now, ctx.now)
    opening = Opening(
        request.namespace,
        request.workflow_id,
        ctx.new_id(),
        _attributes(request, runtime, ctx.now, wait),
        request_id=request.request_id or ctx.new_id(),
        wait=wait,
        user_metadata=request.user_metadata if request.HasField("user_metadata") else None,
        links=list(request.links),
    )
    turn = open_run(ctx, opening)
    if offer_task:
        begin(turn)
    return turn


def _attributes(
    request: StartRequest, runtime: Runtime, now: int, wait: int
) -> WorkflowExecutionStartedEventAttributes:
    whole = nanos(request.workflow_execution_timeout)
    run = nanos(request.workflow_run_timeout)
    if whole:
        run = min(run or whole, whole)
    task = min(nanos(request.workflow_task_timeout) or runtime.limits.task_timeout, runtime.limits.task_timeout_maximum)
    attributes = WorkflowExecutionStartedEventAttributes(
        workflow_type=request.workflow_type,
        task_queue=TaskQueue(
            name=request.task_queue.name,
            kind=request.task_queue.kind or TaskQueueKind.TASK_QUEUE_KIND_NORMAL,
            normal_name=request.task_queue.normal_name,
        ),
        identity=request.identity,
        cron_schedule=request.cron_schedule,
        memo=memo_without_nulls(request.memo),
        search_attributes=attributes_without_nulls(request.search_attributes),
        workflow_execution_expiration_time=expiration(now, whole),
    )
    _set_timeouts(attributes, request, whole, run, min(task, run) if run else task)
    for name in ("input", "header", "priority"):
        if request.HasField(name):  # type: ignore[arg-type]  # the names are fields of both requests
            getattr(attributes, name).CopyFrom(getattr(request, name))
    if request.HasField("retry_policy"):
        attributes.retry_policy.CopyFrom(with_defaults(request.retry_policy))
    if request.cron_schedule:
        attributes.initiator = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    if isinstance(request, StartWorkflowExecutionRequest):
        attributes.eager_execution_accepted = request.request_eager_execution and not wait
        if request.HasField("continued_failure"):
            attributes.continued_failure.CopyFrom(request.continued_failure)
        if request.HasField("last_completion_result"):
            attributes.last_completion_result.CopyFrom(request.last_completion_result)
    return attributes


def _set_timeouts(
    attributes: WorkflowExecutionStartedEventAttributes, request: StartRequest, whole: int, run: int, task: int
) -> None:
    """A timeout that was given as zero is written as zero, one that was not given is left out."""
    for name, value in (
        ("workflow_execution_timeout", whole),
        ("workflow_run_timeout", run),
        ("workflow_task_timeout", task),
    ):
        if value or request.HasField(name):  # type: ignore[arg-type]  # the names are fields of both requests
            getattr(attributes, name).FromNanoseconds(value)


async def open_or_join(runtime: Runtime, request: StartRequest, make: Callable[[], Turn]) -> Outcome:
    """Commit the new run, or find by the policies what the caller gets instead. ``make`` gives a fresh opening turn."""
    runtime.registry.started(request.namespace, request.task_queue.name, request.workflow_type.name)
    while True:
        try:
            return Outcome(await runtime.executions.create(make(), expected=None), True)
        except CurrentRunConflict:
            pass
        current = await runtime.executions.load_current(request.namespace, request.workflow_id)
        if current is None:
            continue
        if request.request_id and current.state.start_request_id == request.request_id:
            return Outcome(current, True)
        outcome = await _beside(runtime, request, current, make)
        if outcome is not None:
            return outcome


async def _beside(runtime: Runtime, request: StartRequest, current: Loaded, make: Callable[[], Turn]) -> Outcome | None:
    """What happens when the id is in use; None if another process was faster and it has to be looked at anew."""
    turn, replaces = make(), None
    if current.state.running:
        policy = conflict_policy(request)
        if policy == _Conflict.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
            return Outcome(current, False)
        if policy != _Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING:
            raise _already(current, "Workflow execution is already running.")
        replaces = (_terminated(runtime, current, turn), current)
    else:
        check_reuse(request.workflow_id_reuse_policy, current)
    try:
        made = await runtime.executions.create(turn, expected=current.job_id, replaces=replaces)
    except (CurrentRunConflict, RevisionConflict):
        runtime.executions.forget(current.job_id)
        return None
    return Outcome(made, True)


def conflict_policy(request: StartRequest) -> int:
    """The policy for a running execution, with the older spelling of it taken into account."""
    if request.workflow_id_reuse_policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING:
        return _Conflict.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
    return request.workflow_id_conflict_policy


def _terminated(runtime: Runtime, current: Loaded, successor: Turn) -> Turn:
    turn = Turn(runtime.executions.context(), decode_state(current.data), current.origin)
    workflow.make_room(turn, successor.state.run_id)
    return turn


def check_reuse(policy: int, current: Loaded) -> None:
    """May the id of a closed run be used again?"""
    if policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
        raise _already(
            current,
            "Workflow execution already finished.",
            " Workflow Id reuse policy: reject duplicate workflow Id.",
        )
    failed_only = policy == _Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
    if failed_only and current.state.status == model.COMPLETED:
        raise _already(
            current,
            "Workflow execution already finished successfully.",
            " Workflow Id reuse policy: allow duplicate workflow Id if last run failed.",
        )


def _already(current: Loaded, what: str, why: str = "") -> Exception:
    state = current.state
    message = f"{what} WorkflowId: {state.workflow_id}, RunId: {state.run_id}.{why}"
    return already_started(message, state.start_request_id, state.run_id, state.first_run_id)


def _link_to_start(state: model.ExecutionState) -> Link:
    reference = Link.WorkflowEvent.EventReference(
        event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    )
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=state.namespace, workflow_id=state.workflow_id, run_id=state.run_id, event_ref=reference
        )
    )
