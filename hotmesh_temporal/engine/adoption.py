"""Adoption: a run that was begun elsewhere goes on here, with its own history and its own id.

`Adopted` folds the history into a state, as a rebuild does. `resume` adds what a history does not say (attempts of
pending activities, see `Adopted`) and brings everything that the run waits for on its way again. Workers of the place
that it comes from have nothing of it any more: their attempts are over, and no worker has it in its cache.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, PendingActivityState, TimeoutType
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskTimedOutEventAttributes
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from . import activity_options
from .attribute_values import KEYWORD_LIST, InvalidValue, value_of
from .context import Context
from .effects import TaskDispatch, Work, WorkOrder
from .events import WAKES
from .evolve import append, fold
from .machines import activity, child_workflow, external_signal, workflow, workflow_task
from .model import Activity, ExecutionState
from .protos import moment, nanos
from .turn import Turn

_WITH_WORKER = frozenset(
    {
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED,
    }
)
_REPEATED = frozenset({EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT})
"""After one of these a workflow task was under way again, in attempts that leave no events."""


class Adopted:
    """The run as its history makes it: give it the events in order (`take`), then what else is known (`describe`)."""

    def __init__(self, namespace: str, workflow_id: str, run_id: str) -> None:
        self.state = ExecutionState(namespace, workflow_id, run_id)
        self.origin = HistoryEvent()
        self._last_wake = 0

    def take(self, event: HistoryEvent) -> None:
        """The next event. Raises ``KeyError`` for one that this engine does not know or that does not follow."""
        if event.event_id == 1:
            self.origin = event
        append(self.state, event)
        fold(self.state, event)
        if event.event_type in WAKES or event.event_type in _REPEATED:
            self._last_wake = event.event_id

    def describe(self, described: DescribeWorkflowExecutionResponse) -> None:
        """What the history does not say: under which request it was started, the builds of its workers."""
        state, info = self.state, described.workflow_execution_info
        if state.parent_run_id:
            # What the request of a child is called, for a server that does not say it.
            state.start_request_id = f"{state.parent_run_id}:{state.parent_initiated_id}:0"
        for request_id, each in described.workflow_extended_info.request_id_infos.items():
            if each.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                state.start_request_id = request_id
        state.transitions = info.state_transition_count
        state.worker_version = info.most_recent_worker_version_stamp.SerializeToString()
        state.reset_points = info.auto_reset_points.SerializeToString()
        state.build_ids = _build_ids(info)
        state.reset_run_id = described.workflow_extended_info.reset_run_id

    @property
    def waits_for_worker(self) -> bool:
        """No worker has seen the newest of what it has to be shown."""
        state = self.state
        return self._last_wake > state.last_task_completed_id or not state.had_task


def _build_ids(info: WorkflowExecutionInfo) -> list[str]:
    payload: Payload = info.search_attributes.indexed_fields["BuildIds"]
    try:
        value = value_of(payload, KEYWORD_LIST) if payload.data else None
    except InvalidValue:
        return []
    return [str(each) for each in value] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class ChildNews:
    """A child where it was: its first and its last run, and the closing event if it has ended there.

    The parent could not be told of that end, because it was taken away at that moment.
    """

    run_id: str
    last_run_id: str = ""
    closing: HistoryEvent | None = None


def begin(ctx: Context, adopted: Adopted) -> Turn:
    """The run, to be committed as a new one here. Nothing is done about what it waits for, see `resume`."""
    turn = Turn(ctx, adopted.state, adopted.origin)
    turn.visibility_changed = True
    return turn


def resume(
    turn: Turn,
    adopted: Adopted,
    pending: Sequence[PendingActivityInfo],
    news: dict[int, ChildNews],
    arrived: Collection[int] = (),
) -> None:
    """Go on with an open run.

    ``news`` is by the event id with which the parent asked for the child; ``arrived`` are the event ids of signals to
    others that have arrived, though the run could not be told.
    """
    waits = _take_over_task(turn) or adopted.waits_for_worker
    infos = {info.activity_id: info for info in pending}
    for each in list(turn.state.activities.values()):
        _take_over_activity(turn, each, infos.get(each.activity_id, PendingActivityInfo()))
    _tell(turn, news)
    for event_id in arrived:
        external_signal.arrive(turn, turn.state.signals[event_id])
    _ask_again(turn)
    if waits and not turn.state.waits_for_first_task:
        workflow_task.schedule(turn)


def _take_over_task(turn: Turn) -> bool:
    """The pending workflow task. True if it is over and another one is needed.

    One that lies in the queue of a single worker is over, because that worker does not ask here.
    """
    state, task = turn.state, turn.state.task
    state.sticky_queue, state.sticky_timeout = "", 0
    if task is None:
        state.task_attempt = 1
        return False
    if task.started_at:
        workflow_task.fail(turn, workflow_task.FORCE_CLOSE, None, workflow.SERVER)
    elif task.sticky:
        attributes = WorkflowTaskTimedOutEventAttributes(
            scheduled_event_id=task.scheduled_event_id, timeout_type=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
        )
        turn.record(attributes)
    else:
        turn.dispatch(TaskDispatch(False, task.queue, False, task.scheduled_event_id, task.attempt))
        return False
    state.task_attempt = 1
    return True


def _take_over_activity(turn: Turn, pending: Activity, info: PendingActivityInfo) -> None:
    """Attempts, heartbeats, failures, changed options and pauses are beside the history."""
    pending.attempt = max(info.attempt, 1)
    if info.HasField("activity_options"):
        activity_options.take_over(pending, info.activity_options)
    if info.HasField("scheduled_time"):
        pending.scheduled_at = moment(info.scheduled_time)
    if info.HasField("expiration_time"):
        pending.retry_expires_at = moment(info.expiration_time)
    if info.HasField("last_heartbeat_time"):
        pending.heartbeat_at = moment(info.last_heartbeat_time)
        pending.heartbeat_details = info.heartbeat_details.SerializeToString()
    if info.HasField("last_failure"):
        pending.last_failure = info.last_failure.SerializeToString()
    if info.HasField("last_attempt_complete_time"):
        pending.last_attempt_completed_at = moment(info.last_attempt_complete_time)
    pending.last_worker_identity = info.last_worker_identity
    if info.paused:
        pending.paused_at = moment(info.pause_info.pause_time) or turn.ctx.now
        pending.pause_identity = info.pause_info.manual.identity
        pending.pause_reason = info.pause_info.manual.reason
    _offer_activity(turn, pending, info)


def _offer_activity(turn: Turn, pending: Activity, info: PendingActivityInfo) -> None:
    if info.state in _WITH_WORKER:
        pending.started_at = moment(info.last_started_time) or pending.scheduled_at
        pending.identity = info.last_worker_identity
        activity.lose_worker(turn, pending)
    elif pending.paused:
        return
    elif pending.scheduled_at > turn.ctx.now:
        pending.retry_at = pending.scheduled_at
        pending.retry_interval = nanos(info.current_retry_interval)
    else:
        activity.dispatch(turn, pending)


def _tell(turn: Turn, news: dict[int, ChildNews]) -> None:
    for event_id, each in news.items():
        child = turn.state.children.get(event_id)
        if child is None:
            continue
        if not child.run_id:
            child_workflow.start(turn, child, each.run_id)
        if each.closing is not None and child.run_id == each.run_id:
            child_workflow.end(turn, child, each.last_run_id, each.closing)


def _ask_again(turn: Turn) -> None:
    """Let the engine do what the run has asked for and has no answer to."""
    state = turn.state
    for child in state.children.values():
        if not child.run_id:
            turn.order(WorkOrder(Work.START_CHILD, child.initiated_event_id))
    for event_id in state.signals:
        turn.order(WorkOrder(Work.SIGNAL, event_id))
    for event_id in state.cancels:
        turn.order(WorkOrder(Work.CANCEL, event_id))
