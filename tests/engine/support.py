"""One run in the hands of a test: it owns the clock and the ids, and does to the run what the runtime would do.

Every step is one decision on a private copy of the state, as in the runtime. A `Step` tells what the step recorded
and offered, one short line each, so that a test reads like a transition table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message as ProtoMessage
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads, WorkerVersionStamp, WorkflowType
from temporalio.api.enums.v1 import EventType, TaskQueueKind
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.api.protocol.v1 import Message
from temporalio.api.taskqueue.v1 import StickyExecutionAttributes, TaskQueue
from temporalio.api.update.v1 import Acceptance, Input, Meta, Outcome, Rejection, Request, Response
from temporalio.api.workflowservice.v1 import RespondWorkflowTaskCompletedRequest

from hotmesh_temporal.engine import activity_operations, deadlines, reset, tasks
from hotmesh_temporal.engine.activity_operations import Selection
from hotmesh_temporal.engine.context import SECOND, Context, Limits
from hotmesh_temporal.engine.effects import TaskDispatch
from hotmesh_temporal.engine.machines import (
    activity,
    child_workflow,
    external_cancel,
    external_signal,
    update,
    workflow,
    workflow_task,
)
from hotmesh_temporal.engine.machines.activity import Answerer
from hotmesh_temporal.engine.machines.workflow_task import has_or_repeats
from hotmesh_temporal.engine.model import Activity, ExecutionState, decode_state, encode_state
from hotmesh_temporal.engine.opening import Opening, begin, expiration, open_run
from hotmesh_temporal.engine.protos import duration
from hotmesh_temporal.engine.reset import Fork
from hotmesh_temporal.engine.turn import Turn
from hotmesh_temporal.errors import RpcError, TaskFailed

T = TypeVar("T")

TaskToken = tuple[int, int, int, int]
"""What tells a workflow task that a worker was given from all others: scheduled, started, attempt, when."""

ActivityToken = tuple[int, int]
"""The same for the attempt of an activity: scheduled, attempt."""

BEGIN = 1_700_000_000 * SECOND
QUEUE = "queue"
STICKY = "sticky"
WORKER = "worker"


def seconds(value: float) -> int:
    """Nanoseconds."""
    return int(value * SECOND)


def payloads(text: str) -> Payloads:
    """One JSON string."""
    return Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=f'"{text}"'.encode())])


def failure(message: str = "broken", *, kind: str = "", non_retryable: bool = False) -> Failure:
    """What a worker reports of an exception."""
    info = ApplicationFailureInfo(type=kind, non_retryable=non_retryable)
    return Failure(message=message, application_failure_info=info)


def title(event: HistoryEvent) -> str:
    """``5 ActivityTaskScheduled``"""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").title().replace("_", "")
    return f"{event.event_id} {name}"


def offer(task: TaskDispatch) -> str:
    """``activity 5 on queue``, ``workflow task 2 on sticky``; ``, 3`` follows for a stamp other than the first."""
    first = 0 if task.activity else 1
    kind = "activity" if task.activity else "workflow task"
    return f"{kind} {task.event_id} on {task.queue}" + (f", {task.stamp}" if task.stamp != first else "")


@dataclass
class Step:
    """What one decision led to. ``buffered``: how many events wait for the workflow task in flight, afterwards."""

    events: list[str] = field(default_factory=list[str])
    offers: list[str] = field(default_factory=list[str])
    buffered: int = 0
    orders: list[str] = field(default_factory=list[str])
    """``start 5``: the engine has to start the child of event 5."""


class Run:
    """A run and all that was recorded of it.

    ``next_run`` is the run that followed it, once there is one; ``offered`` are the tasks that lie in queues,
    ``ordered`` the wishes to other runs. ``delivered`` is what reached the run by a message or a token that may come
    again; ``task_tokens`` and ``activity_tokens`` are of all tasks that workers were given.
    """

    def __init__(
        self,
        attributes: WorkflowExecutionStartedEventAttributes | None = None,
        *,
        wait: float = 0,
        limits: Limits | None = None,
        now: int = BEGIN,
    ) -> None:
        self.now = now
        self.limits = limits or Limits()
        self._last_id = 0
        turn = open_run(
            self.context(), Opening("default", "workflow", self.new_id(), attributes or started(), wait=seconds(wait))
        )
        begin(turn)
        self._begin(turn)

    @classmethod
    def of(cls, turn: Turn, now: int, limits: Limits) -> Run:
        """The run that a decision on another one has opened."""
        run = cls.__new__(cls)
        run.now, run.limits, run._last_id = now, limits, 1000
        run._begin(turn)
        return run

    def _begin(self, turn: Turn) -> None:
        self.origin = turn.origin
        self.history: list[HistoryEvent] = []
        self.next_run: Run | None = None
        self.offered: set[TaskDispatch] = set()
        self.ordered: set[str] = set()
        self.delivered: list[Callable[[Turn], object]] = []
        self.task_tokens: list[TaskToken] = []
        self.activity_tokens: list[ActivityToken] = []
        self.loses_races = False
        self.opened = self._accept(turn)

    def new_id(self) -> str:
        """The next id."""
        self._last_id += 1
        return f"id-{self._last_id}"

    def context(self) -> Context:
        """A decision's surroundings, now."""
        return Context(self.now, self.new_id, self.limits)

    def step(self, decide: Callable[[Turn], object]) -> Step:
        """Make a decision and keep what it did. A run that ``loses_races`` makes it in vain first."""
        if not self.loses_races:
            return self._accept(self._decide(decide))
        last_id, origin, length = self._last_id, self.origin.SerializeToString(), len(self.history)
        in_vain = self._decide(decide)
        assert (encode_state(self.state), self.origin.SerializeToString()) == (self.data, origin)
        assert len(self.history) == length
        self._last_id = last_id
        turn = self._decide(decide)
        assert encode_state(turn.state) == encode_state(in_vain.state), "made again, the decision is another one"
        assert turn.events == in_vain.events
        assert (turn.dispatches, turn.orders) == (in_vain.dispatches, in_vain.orders)
        return self._accept(turn)

    def _decide(self, decide: Callable[[Turn], object]) -> Turn:
        """A refusal leaves a turn that others share as it was, once it is put back."""
        turn = Turn(self.context(), decode_state(self.data), self.origin)
        before = turn.snapshot()
        try:
            decide(turn)
        except (RpcError, TaskFailed):
            turn.restore(before)
            assert encode_state(turn.state) == self.data
            assert (turn.events, turn.dispatches, turn.withdrawn, turn.orders) == ([], [], [], [])
            assert turn.next_run is None
            raise
        turn.settle(self.data)
        return turn

    def _deliver(self, decide: Callable[[Turn], object]) -> Step:
        """A decision that a message or a token leads to."""
        step = self.step(decide)
        self.delivered.append(decide)
        return step

    def _accept(self, turn: Turn) -> Step:
        self.data = encode_state(turn.state)
        """The stored state."""
        self.state: ExecutionState = decode_state(self.data)
        self.history += [copy(each) for each in turn.events]
        self.offered.update(turn.dispatches)
        orders = [f"{each.work.value} {each.event_id}" for each in turn.orders]
        self.ordered.update(orders)
        self._note_tokens()
        if turn.next_run is not None:
            self.next_run = Run.of(turn.next_run, self.now, self.limits)
        return Step(
            [title(each) for each in turn.events],
            [offer(each) for each in turn.dispatches],
            len(self.state.buffered),
            orders,
        )

    def _note_tokens(self) -> None:
        """What workers have now."""
        if self.state.task_in_flight:
            token = self._token()
            if token not in self.task_tokens[-1:]:
                self.task_tokens.append(token)
        for each in self.state.activities.values():
            token = (each.scheduled_event_id, each.attempt)
            if each.started and token not in self.activity_tokens:
                self.activity_tokens.append(token)

    # -- time ---------------------------------------------------------------------------------------------------

    def later(self, by: float) -> Step:
        """So many seconds pass; then everything that is due happens."""
        self.now += seconds(by)
        return self.step(deadlines.fire_due)

    @property
    def deadline(self) -> float:
        """Seconds until the run has to be looked at; infinite if never."""
        at = deadlines.next_deadline(self.state)
        return (at - self.now) / SECOND if at else float("inf")

    # -- workflow tasks -----------------------------------------------------------------------------------------

    def take(self) -> Step:
        """A worker takes the workflow task that is offered."""
        task = self.state.task
        assert task is not None
        given, offered_at = (task.scheduled_event_id, task.attempt), task.scheduled_at

        def decide(turn: Turn) -> None:
            # What is left of a task without events that was dropped may bring the next one: that is no harm.
            if turn.state.task is not None and turn.state.task.scheduled_at != offered_at:
                raise Stale
            taken(tasks.take_workflow_task(turn, *given, self.new_id(), WORKER, VERSION))

        step = self._deliver(decide)
        self.offered.discard(TaskDispatch(False, task.queue, task.sticky, *given))
        return step

    def answer(
        self,
        *commands: Command,
        messages: Sequence[Message] = (),
        sticky: float = 0,
        force_new: bool = False,
        inline: bool = False,
    ) -> Step:
        """The worker answers; ``sticky`` seconds is how long its own queue is preferred.

        Raises `TaskFailed` for an invalid command.
        """
        request = RespondWorkflowTaskCompletedRequest(
            commands=commands,
            messages=messages,
            identity=WORKER,
            force_create_new_workflow_task=force_new,
            return_new_workflow_task=inline,
            capabilities=DISCARD,
        )
        if sticky:
            queue = TaskQueue(name=STICKY, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name=QUEUE)
            wait = duration(seconds(sticky))
            request.sticky_attributes.CopyFrom(
                StickyExecutionAttributes(worker_task_queue=queue, schedule_to_start_timeout=wait)
            )
        return self._deliver(answering(self._token(), request))

    def _token(self) -> TaskToken:
        """What tells the workflow task in flight from all others."""
        task = self.state.task
        assert task is not None
        return task.scheduled_event_id, task.started_event_id, task.attempt, task.started_at

    def answer_badly(self, *commands: Command, messages: Sequence[Message] = ()) -> Step:
        """The worker answers with something invalid; the step is what the service does about it."""
        try:
            self.answer(*commands, messages=messages)
        except TaskFailed as error:
            rejected = error
            return self.step(lambda turn: tasks.reject_answer(turn, rejected, WORKER))
        raise AssertionError("the answer was accepted")

    def fail_task(self) -> Step:
        """The worker could not process the task."""

        token = self._token()

        def decide(turn: Turn) -> None:
            tasks.check_workflow_task(turn.state, *token)
            workflow_task.fail(turn, 1, failure(), WORKER)
            workflow_task.schedule(turn)

        return self._deliver(decide)

    def turn(self, *commands: Command, **options: Any) -> Step:
        """Take the task and answer it at once; the step is that of the answer."""
        self.take()
        return self.answer(*commands, **options)

    # -- activities ---------------------------------------------------------------------------------------------

    def activity(self, activity_id: str = "a") -> Activity:
        """A pending activity."""
        return tasks.find_activity(self.state, activity_id)

    def take_activity(self, activity_id: str = "a") -> Step:
        """A worker takes the attempt that is offered."""
        pending = self.activity(activity_id)
        given = (pending.scheduled_event_id, pending.stamp)
        step = self._deliver(lambda turn: taken(take_activity(turn, *given, self.new_id())))
        self.offered.discard(TaskDispatch(True, pending.queue, False, *given))
        return step

    def complete_activity(self, activity_id: str = "a") -> Step:
        """The attempt succeeds."""
        return self._outcome(activity_id, OUTCOMES["complete"])

    def complete_by_id(self, activity_id: str = "a") -> Step:
        """Somebody has the result, maybe before any worker has begun."""

        def decide(turn: Turn) -> None:
            pending = tasks.find_activity(turn.state, activity_id)
            if not pending.started:
                activity.start(turn, pending, "", WORKER)
            activity.complete(turn, pending, payloads("done"), BY)
            workflow_task.schedule(turn)

        return self.step(decide)

    def fail_activity(self, activity_id: str = "a", error: Failure | None = None) -> Step:
        """The attempt fails."""
        return self._outcome(activity_id, lambda turn, each: not activity.fail(turn, each, error or failure(), BY))

    def cancel_activity(self, activity_id: str = "a") -> Step:
        """The worker stops because it was asked to."""
        return self._outcome(activity_id, OUTCOMES["cancel"])

    def heartbeat(self, activity_id: str = "a", details: str = "alive") -> Step:
        """The worker says that it is alive."""
        event_id = self.activity(activity_id).scheduled_event_id
        return self.step(lambda turn: activity.heartbeat(turn, turn.state.activities[event_id], payloads(details)))

    def pause(self, activity_id: str = "a", request_id: str = "") -> Step:
        """Somebody pauses the activity."""
        which = Selection(activity_id)
        return self.step(lambda turn: activity_operations.pause(turn, which, "someone", "because", request_id))

    def unpause(self, activity_id: str = "a", *, jitter: float = 0, **options: bool) -> Step:
        """Somebody unpauses the activity."""
        given = {"reset_attempts": False, "reset_heartbeat": False, **options}
        which = Selection(activity_id)
        return self.step(lambda turn: activity_operations.unpause(turn, which, jitter=seconds(jitter), **given))

    def reset(self, activity_id: str = "a", *, jitter: float = 0, **options: bool) -> Step:
        """Somebody lets the activity begin again."""
        given = {"reset_heartbeat": False, "keep_paused": False, "restore_options": False, **options}
        which = Selection(activity_id)
        return self.step(lambda turn: activity_operations.reset(turn, which, jitter=seconds(jitter), **given))

    def change_options(self, activity_id: str = "a", *paths: str, **options: Any) -> Step:
        """Somebody changes options of the activity: all that are given, unless ``paths`` names some."""
        which, changes = Selection(activity_id), ActivityOptions(**options)
        return self.step(lambda turn: activity_operations.change_options(turn, which, changes, paths or list(options)))

    def restore_options(self, activity_id: str = "a") -> Step:
        """Somebody undoes all changes of options."""
        return self.step(lambda turn: activity_operations.restore_options(turn, Selection(activity_id)))

    def _outcome(self, activity_id: str, change: Callable[[Turn, Activity], bool]) -> Step:
        """``change`` says whether the workflow has to hear of it."""
        pending = self.activity(activity_id)
        return self._deliver(reporting((pending.scheduled_event_id, pending.attempt), change))

    # -- other runs ---------------------------------------------------------------------------------------------

    def child_starts(self, initiated_id: int) -> Step:
        """The engine has started a child."""
        return self.step(lambda turn: child_workflow.start(turn, turn.state.children[initiated_id], "child-run"))

    def child_does_not_start(self, initiated_id: int) -> Step:
        """The child's id is in use."""
        return self.step(lambda turn: child_workflow.fail_to_start(turn, turn.state.children[initiated_id], 1))

    def child_ends(self, initiated_id: int) -> Step:
        """The child has completed."""
        closing = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
        closing.workflow_execution_completed_event_attributes.SetInParent()
        return self.step(lambda turn: child_workflow.end(turn, turn.state.children[initiated_id], "child-run", closing))

    def signal_is_answered(self, initiated_id: int, *, well: bool) -> Step:
        """The other workflow has the signal, or there is none."""
        if well:
            return self.step(lambda turn: external_signal.arrive(turn, turn.state.signals[initiated_id]))
        return self.step(lambda turn: external_signal.fail(turn, turn.state.signals[initiated_id], 1))

    def cancel_is_answered(self, initiated_id: int, *, well: bool) -> Step:
        """The other workflow was asked, or there is none."""
        if well:
            return self.step(lambda turn: external_cancel.arrive(turn, turn.state.cancels[initiated_id]))
        return self.step(lambda turn: external_cancel.fail(turn, turn.state.cancels[initiated_id], 1))

    # -- reset --------------------------------------------------------------------------------------------------

    def points(self) -> list[int]:
        """The events that the run can be reset to."""
        fork, found = Fork(self.context(), self.state, "fork"), list[int]()
        for event in self.history:
            if event.event_id > 1 and fork.last_event_type in _BEFORE_POINTS and has_or_repeats(fork.state):
                found.append(event.event_id)
            fork.take(copy(event))
        return found

    def reset_run(self, finish_event_id: int, excluded: Set[int] = frozenset()) -> Run:
        """Somebody resets the run; the new one."""
        fork = Fork(self.context(), self.state, self.new_id())
        before = [copy(each) for each in self.history[: finish_event_id - 1]]
        for event in before:
            fork.take(event)
        fork.check_end(())
        if self.state.running:
            self.step(lambda turn: workflow.give_way(turn, "reason"))
        turn = reset.begin(self.context(), fork, self.state.run_id, "request", "reason")
        reset.reapply(turn, [copy(each) for each in self.history[finish_event_id - 1 :]], excluded)
        reset.resume(turn)
        made = Run.of(turn, self.now, self.limits)
        made.history[:0] = before
        return made

    # -- from outside -------------------------------------------------------------------------------------------

    def signal(self, name: str = "signal") -> Step:
        """Somebody signals the workflow."""
        return self.step(lambda turn: workflow.signal(turn, name, payloads(name), "client", None))

    def ask(self, update_id: str = "u") -> Step:
        """Somebody sends an update."""
        return self.step(lambda turn: update.ask(turn, _request(update_id)))

    def sent(self) -> list[str]:
        """The updates that went to the worker along with the task that it has."""
        assert self.state.task is not None
        return [each.protocol_instance_id for each in update.messages(self.state, self.state.task)]

    def request_cancel(self) -> Step:
        """Somebody asks the workflow to cancel itself."""
        return self.step(lambda turn: workflow.request_cancel(turn, "reason", "client"))

    def delete(self) -> Step:
        """A client has the run removed."""
        return self.step(workflow.delete)

    def terminate(self) -> Step:
        """Somebody ends the run."""
        return self.step(lambda turn: workflow.terminate(turn, "reason", None, "client"))


_BEFORE_POINTS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)


def copy(event: HistoryEvent) -> HistoryEvent:
    """An event as it comes from the database."""
    return HistoryEvent.FromString(event.SerializeToString())


def accept(update_id: str = "u") -> Message:
    """A worker accepts an update."""
    return _message(update_id, "accept", Acceptance())


def reject(update_id: str = "u") -> Message:
    """A worker rejects an update."""
    return _message(update_id, "reject", Rejection(failure=failure("rejected")))


def accept_given(update_id: str = "u") -> Message:
    """A worker accepts an update, and gives its request back."""
    return _message(update_id, "accept", Acceptance(accepted_request=_request(update_id)))


def reject_given(update_id: str = "u") -> Message:
    """A worker rejects an update, and gives its request back."""
    return _message(update_id, "reject", Rejection(failure=failure("rejected"), rejected_request=_request(update_id)))


def respond(update_id: str = "u") -> Message:
    """A worker has the outcome of an update."""
    body = Response(meta=Meta(update_id=update_id), outcome=Outcome(success=payloads("done")))
    return _message(update_id, "complete", body)


def _request(update_id: str) -> Request:
    return Request(meta=Meta(update_id=update_id), input=Input(name="change"))


def _message(update_id: str, what: str, body: ProtoMessage) -> Message:
    packed = AnyMessage()
    packed.Pack(body)
    return Message(id=f"{update_id}/{what}", protocol_instance_id=update_id, body=packed)


DISCARD = RespondWorkflowTaskCompletedRequest.Capabilities(discard_speculative_workflow_task_with_events=True)
VERSION = WorkerVersionStamp(build_id="build")
BY = Answerer(WORKER)


OUTCOMES: dict[str, Callable[[Turn, Activity], bool]] = {
    "complete": lambda turn, each: not activity.complete(turn, each, payloads("done"), BY),
    "fail": lambda turn, each: not activity.fail(turn, each, failure(), BY),
    "cancel": lambda turn, each: not activity.cancel_at_worker(turn, each, None, WORKER),
    "heartbeat": lambda turn, each: activity.heartbeat(turn, each, payloads("alive")) is not None,
}
"""What a worker may report of an attempt; true if the workflow has to hear of it."""


def take_activity(turn: Turn, event_id: int, stamp: int, request_id: str) -> Activity | None:
    """A worker takes what was offered, if it is of use."""
    return tasks.take_activity_task(turn, event_id, stamp, request_id, WORKER)


def answering(token: TaskToken, request: RespondWorkflowTaskCompletedRequest) -> Callable[[Turn], None]:
    """A worker answers the workflow task of the token."""

    def decide(turn: Turn) -> None:
        tasks.check_workflow_task(turn.state, *token)
        tasks.answer_workflow_task(turn, request)

    return decide


def reporting(token: ActivityToken, change: Callable[[Turn, Activity], bool]) -> Callable[[Turn], None]:
    """A worker reports of the attempt of the token; ``change`` says whether the workflow has to hear of it."""

    def decide(turn: Turn) -> None:
        if change(turn, tasks.check_activity(turn.state, *token)):
            workflow_task.schedule(turn)

    return decide


class Stale(Exception):
    """Nobody gets the task that was offered: it is taken, or of no use any more."""


def taken(task: T | None) -> T:
    """The task."""
    if task is None:
        raise Stale
    return task


def started(
    *, run_timeout: float = 0, execution_timeout: float = 0, task_timeout: float = 10, **more: Any
) -> WorkflowExecutionStartedEventAttributes:
    """The attributes of a first event; timeouts in seconds."""
    return WorkflowExecutionStartedEventAttributes(
        workflow_type=WorkflowType(name="Workflow"),
        task_queue=TaskQueue(name=QUEUE, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
        workflow_run_timeout=duration(seconds(run_timeout)),
        workflow_execution_timeout=duration(seconds(execution_timeout)),
        workflow_execution_expiration_time=expiration(BEGIN, seconds(execution_timeout)),
        workflow_task_timeout=duration(seconds(task_timeout)),
        **more,
    )


def attributes_of(run: Run, name: str) -> Sequence[Any]:
    """The attributes of all events of a kind: ``activity_task_started``."""
    return list(_attributes_of(run, f"{name}_event_attributes"))


def _attributes_of(run: Run, name: str) -> Iterator[Any]:
    for event in run.history:
        if event.WhichOneof("attributes") == name:
            yield getattr(event, name)
