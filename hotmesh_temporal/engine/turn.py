"""One decision in the making: a private copy of the state, the events recorded on it, and the effects as data.

Every event goes through `Turn.record`, which gives it an id (or buffers it while a worker has a workflow task) and
folds it into the state with the same `evolve` that a rebuild uses. Nothing leaves a turn before the runtime commits it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import EventGroupMarker, UserMetadata

from .context import Context
from .effects import TaskDispatch, Withdrawal, WorkOrder
from .events import BUFFERED, CLOSES_PENDING, FIELD_OF, KIND_OF
from .evolve import append, fold
from .machines import workflow_task
from .model import ExecutionState, decode_state, encode_state
from .protos import timestamp


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A turn as it was at some moment."""

    state: bytes
    events: list[HistoryEvent]
    dispatches: list[TaskDispatch]
    withdrawn: list[Withdrawal]
    orders: list[WorkOrder]
    next_run: Turn | None
    visibility_changed: bool


@dataclass(slots=True)
class Turn:
    """See the module's text. ``origin`` is the run's first event; ``next_runs`` are runs that this decision opens."""

    ctx: Context
    state: ExecutionState
    origin: HistoryEvent
    events: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    dispatches: list[TaskDispatch] = field(default_factory=list[TaskDispatch])
    withdrawn: list[Withdrawal] = field(default_factory=list[Withdrawal])
    orders: list[WorkOrder] = field(default_factory=list[WorkOrder])
    next_run: Turn | None = None
    visibility_changed: bool = False
    keeps_speculative: bool = False
    """The decision is about updates: a speculative workflow task stays what it is."""

    event_group_markers: Sequence[EventGroupMarker] = ()
    """The same as the next, for the groups that the command belongs to."""

    user_metadata: UserMetadata | None = None
    """Summary and details of the command that is being carried out: for the first event that it leads to."""

    size_before: int = 0
    """Bytes of the history before this decision: what a worker is told as the size."""

    def __post_init__(self) -> None:
        self.size_before = self.state.history_size

    def record(
        self,
        attributes: Message,
        *,
        user_metadata: UserMetadata | None = None,
        adjust: Callable[[HistoryEvent], Any] | None = None,
    ) -> HistoryEvent:
        """Add the event with these attributes, now. Its id is 0 while it is buffered. ``adjust`` sets more fields."""
        workflow_task.write_speculative(self)
        kind = KIND_OF[type(attributes)]
        user_metadata = user_metadata or self.user_metadata
        self.user_metadata = None
        markers, self.event_group_markers = self.event_group_markers, ()
        event = HistoryEvent(
            event_type=kind,  # type: ignore[arg-type]  # enum values are ints
            event_time=timestamp(self.ctx.now),
            user_metadata=user_metadata,
            event_group_markers=markers,
            **{FIELD_OF[kind]: attributes},  # type: ignore[arg-type]  # the field name depends on the kind
        )
        if adjust is not None:
            adjust(event)
        if kind in BUFFERED and self.state.task_in_flight:
            fold(self.state, event)
            self.state.buffered.append(event.SerializeToString())
        else:
            self._append(event)
            fold(self.state, event)
        return event

    def snapshot(self) -> Snapshot:
        """What `restore` needs to undo what is done from here on."""
        lists = (list(self.events), list(self.dispatches), list(self.withdrawn), list(self.orders))
        return Snapshot(encode_state(self.state), *lists, self.next_run, self.visibility_changed)

    def restore(self, before: Snapshot) -> None:
        """Back to the snapshot: a decision was refused half-way, others on the same turn stand."""
        self.state = decode_state(before.state)
        self.events, self.dispatches, self.withdrawn = before.events, before.dispatches, before.withdrawn
        self.orders = before.orders
        self.next_run, self.visibility_changed = before.next_run, before.visibility_changed
        self.user_metadata, self.event_group_markers, self.keeps_speculative = None, (), False

    def flush(self) -> bool:
        """Give the buffered events their place in the history. True if there were any.

        Outcomes of activities and children go last, so that a worker sees everything that led to them first (as
        the server does).
        """
        if not self.state.buffered:
            return False
        events = [HistoryEvent.FromString(data) for data in self.state.buffered]
        self.state.buffered = []
        started: dict[int, int] = {}
        for event in sorted(events, key=lambda each: each.event_type in CLOSES_PENDING):
            _link_to_start(event, started)
            self._append(event)
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                scheduled = event.activity_task_started_event_attributes.scheduled_event_id
                started[scheduled] = event.event_id
            elif event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                initiated = event.child_workflow_execution_started_event_attributes.initiated_event_id
                started[initiated] = event.event_id
                if initiated in self.state.children:
                    self.state.children[initiated].started_event_id = event.event_id
        return True

    def settle(self, before: bytes) -> None:
        """A decision on the state ``before`` is made. If it changed the run, without events, and is not about the
        speculative task that is pending, that one is written down: the run is not idle any more. If it added to what
        waits for the task in flight, that may be too much by now.
        """
        workflow_task.shed_buffer(self)
        kept, self.keeps_speculative = self.keeps_speculative, False
        task = self.state.task
        if task is not None and task.speculative and not kept and encode_state(self.state) != before:
            workflow_task.write_speculative(self)

    def dispatch(self, task: TaskDispatch) -> None:
        """Offer a task when the decision is committed."""
        self.dispatches.append(task)

    def withdraw(self, task: Withdrawal) -> None:
        """A task that was offered by an earlier decision is off: its message is of no use any more."""
        self.withdrawn.append(task)

    def order(self, order: WorkOrder) -> None:
        """Let the engine do something to another run when the decision is committed."""
        self.orders.append(order)

    def withdraw_workflow_task(self) -> None:
        """The workflow task was handed over within this decision: nobody else needs to hear of it."""
        self.dispatches = [each for each in self.dispatches if each.activity]

    def _append(self, event: HistoryEvent) -> None:
        event.event_id = event.task_id = self.state.next_event_id
        append(self.state, event)
        self.events.append(event)


def _link_to_start(event: HistoryEvent, started: dict[int, int]) -> None:
    """An outcome that was buffered together with its start learns the id that the start has got."""
    if event.event_type not in CLOSES_PENDING:
        return
    attributes: Any = getattr(event, FIELD_OF[event.event_type])
    begun_by = getattr(attributes, "scheduled_event_id", 0) or getattr(attributes, "initiated_event_id", 0)
    if attributes.started_event_id == 0 and begun_by in started:
        attributes.started_event_id = started[begun_by]
