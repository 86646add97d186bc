"""Imports: runs that were begun on another service are put into this database, each in one commit.

A run keeps its id, so a second import of it finds it there. What has been imported of its family before is looked at,
and the commit is conditional on it: a child that ends at this very moment is not forgotten by a parent that arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType, ParentClosePolicy
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from ..contracts.commit import EventBatch, Mark
from ..contracts.errors import CurrentRunConflict, DuplicateMark, RevisionConflict
from ..engine import adoption
from ..engine.adoption import Adopted, ChildNews
from ..engine.machines import child_workflow, workflow
from ..engine.model import Child
from ..engine.turn import Turn
from .execution import Change, Executions
from .history import Histories
from .keys import RunKey
from .loaded import Loaded

_BATCH_EVENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """A run as it is to be here: all its events, and what its service said of it when it was over there.

    ``news``: of its children, by the event id with which it has asked for them. ``arrived``: its signals to others
    that have arrived, by event id, though it has not heard of that. ``schedule``: which schedule waits for its end
    (`ExecutionState.schedule`).
    """

    key: RunKey
    events: Sequence[HistoryEvent]
    described: DescribeWorkflowExecutionResponse
    news: dict[int, ChildNews] = field(default_factory=dict[int, ChildNews])
    arrived: frozenset[int] = frozenset()
    schedule: str = ""


class IdInUse(Exception):
    """Another run has the workflow id here, and is open. ``run_id`` is that run."""

    def __init__(self, workflow_id: str, run_id: str) -> None:
        super().__init__(f"the workflow id {workflow_id!r} is that of the open run {run_id} there")
        self.run_id = run_id


class Imports:
    """Puts runs of other services into the database."""

    def __init__(self, executions: Executions, histories: Histories) -> None:
        self._executions = executions
        self._histories = histories

    async def has(self, key: RunKey) -> bool:
        """The run is here."""
        return await self._executions.load(key) is not None

    async def current(self, namespace: str, workflow_id: str) -> Loaded | None:
        """The current run of a workflow id here."""
        return await self._executions.load_current(namespace, workflow_id)

    async def adopt(self, run: ImportedRun) -> bool:
        """Let a run go on here, or keep it if it is closed. False if it is here already.

        Raises `IdInUse`, and ``KeyError``, ``AssertionError`` or ``AttributeError`` for a history that this engine
        cannot read.
        """
        marks = list(_marks(run))
        while True:
            if await self.has(run.key):
                return False
            try:
                await self._adopt(run, marks)
            except DuplicateMark:
                marks = [each for each in marks if not await self._executions.is_marked(each)]
            except (RevisionConflict, CurrentRunConflict):
                self._executions.forget(run.key.job_id)
            else:
                return True

    async def _adopt(self, run: ImportedRun, marks: Sequence[Mark]) -> None:
        current = await self._executions.load_current(run.key.namespace, run.key.workflow_id)
        adopted = rebuilt(run.key, run.events)
        adopted.describe(run.described)
        state = adopted.state
        state.schedule = run.schedule
        changes: list[Change] = []
        turn = adoption.begin(self._executions.context(), adopted)
        if state.running:
            if current is not None and current.state.running:
                raise IdInUse(run.key.workflow_id, current.state.run_id)
            adoption.resume(turn, adopted, run.described.pending_activities, run.news, run.arrived)
            changes += await self._children(turn, run.news)
            changes += await self._parent(turn)
        await self._executions.create_with(
            turn,
            current.job_id if current is not None else None,
            changes,
            (),
            inherited=list(_batches(run.events)),
            marks=marks,
            becomes_current=state.running or current is None,
        )

    async def _children(self, turn: Turn, news: dict[int, ChildNews]) -> list[Change]:
        """Those that are here already: one that has ended could not tell its parent. The commit depends on each."""
        changes: list[Change] = []
        for child in list(turn.state.children.values()):
            known = news.get(child.initiated_event_id)
            last = await self._last_of(turn, child, known) if known is not None else None
            if last is None:
                continue
            if last.state.running:
                changes.append((self._executions.turn(last), last))
            else:
                closing = await self._histories.event(last, last.state.next_event_id - 1)
                child_workflow.end(turn, child, last.state.run_id, closing)
        return changes

    async def _last_of(self, turn: Turn, child: Child, known: ChildNews) -> Loaded | None:
        """The last run of a child's chain, if the chain goes on here."""
        last, run_id = None, known.last_run_id
        while run_id:
            key = RunKey(turn.state.namespace, child.workflow_id, run_id)
            found = await self._executions.load(key)
            if found is None:
                break
            last, run_id = found, found.state.new_run_id or found.state.reset_run_id
        return last

    async def _parent(self, turn: Turn) -> list[Change]:
        """One that is here already and has ended could not do to this child what its parent close policy says."""
        state = turn.state
        if not state.parent_run_id:
            return []
        key = RunKey(state.namespace, state.parent_workflow_id, state.parent_run_id)
        parent = await self._executions.load(key)
        if parent is None:
            return []
        child = parent.state.children.get(state.parent_initiated_id)
        if parent.state.running:
            return [(self._executions.turn(parent), parent)]
        if child is None or parent.state.gave_way or child.run_id != state.first_run_id:
            return []
        if child.policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE:
            workflow.terminate(turn, "by parent close policy", None, workflow.SERVER)
        elif child.policy == ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL and not state.cancel_requested:
            workflow.request_cancel(turn, "", workflow.SERVER)
        return []


def rebuilt(key: RunKey, events: Sequence[HistoryEvent]) -> Adopted:
    """The run that a history makes. Raises ``KeyError`` and the like if this engine cannot read it."""
    adopted = Adopted(*key)
    for event in events:
        adopted.take(event)
    return adopted


def _batches(events: Sequence[HistoryEvent]) -> Iterator[EventBatch]:
    for begin in range(0, len(events), _BATCH_EVENTS):
        part = events[begin : begin + _BATCH_EVENTS]
        data = History(events=part).SerializeToString()
        yield EventBatch(part[0].event_id, part[-1].event_id + 1, data)


def _marks(run: ImportedRun) -> Iterator[Mark]:
    """The requests that the history knows: one that is repeated because its answer got lost changes nothing."""
    first = run.events[0].workflow_execution_started_event_attributes.first_execution_run_id or run.key.run_id
    chain = run.key._replace(run_id=first).job_id
    known: set[Mark] = set()
    for event in run.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            mark = Mark(chain, event.workflow_execution_signaled_event_attributes.request_id)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED:
            request_id = event.workflow_execution_options_updated_event_attributes.attached_request_id
            mark = Mark(run.key.job_id, request_id)
        else:
            continue
        if mark.guid and mark not in known:
            known.add(mark)
            yield mark
