"""Reset of runs: read the histories that the new run is made of, and put it in the place of the current run.

The new run, the end of the current one, the note in the run that was reset and the pointer are one commit, conditional
on the revisions of both runs. If anything happens to one of them meanwhile, all is done again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import dataclass

from temporalio.api.history.v1 import History, HistoryEvent

from ..contracts.commit import EventBatch
from ..contracts.errors import CurrentRunConflict, RevisionConflict
from ..engine import reset
from ..engine.machines import workflow
from ..engine.turn import Turn
from ..errors import workflow_not_found
from .execution import Change, Executions
from .history import Histories
from .keys import RunKey
from .loaded import Loaded
from .plan import key_of_state


@dataclass(frozen=True, slots=True)
class ResetOrder:
    """What is asked for. Without a ``run_id`` the current run is reset. ``excluded``: see `engine.reset.reapply`."""

    namespace: str
    workflow_id: str
    run_id: str
    finish_event_id: int
    request_id: str
    reason: str
    excluded: Set[int]


class Resets:
    """Resets runs."""

    def __init__(self, executions: Executions, histories: Histories) -> None:
        self._executions = executions
        self._histories = histories

    async def reset(self, order: ResetOrder) -> str:
        """The id of the new run; of the current one if it is the work of this very request.

        Raises NOT_FOUND if there is no such run, INVALID_ARGUMENT for a point that no run can be reset to.
        """
        while True:
            base = await self._base(order)
            reset.check_point(base.state, order.finish_event_id)
            current = await self._current(order, base)
            if order.request_id in (current.state.start_request_id, current.state.reset_request_id):
                return current.state.run_id
            try:
                return await self._reset(order, base, current)
            except (RevisionConflict, CurrentRunConflict):
                self._executions.forget(base.job_id)
                self._executions.forget(current.job_id)

    async def _base(self, order: ResetOrder) -> Loaded:
        if order.run_id:
            base = await self._executions.load(RunKey(order.namespace, order.workflow_id, order.run_id))
        else:
            base = await self._executions.load_current(order.namespace, order.workflow_id)
        if base is None:
            raise workflow_not_found(order.workflow_id, order.run_id)
        return base

    async def _current(self, order: ResetOrder, base: Loaded) -> Loaded:
        current = await self._executions.load_current(order.namespace, order.workflow_id)
        if current is None:
            raise workflow_not_found(order.workflow_id)
        return base if current.job_id == base.job_id else current

    async def _reset(self, order: ResetOrder, base: Loaded, current: Loaded) -> str:
        ctx = self._executions.context()
        fork, inherited = reset.Fork(ctx, base.state, ctx.new_id()), await self._prefix(base, order.finish_event_id)
        fork.check_end(self._feed(fork, inherited, order.finish_event_id))
        ending = self._executions.turn(current)
        if ending.state.running:
            workflow.give_way(ending, order.reason)
        turn = reset.begin(ctx, fork, base.state.run_id, order.request_id, order.reason)
        await self._reapply(turn, order, base, current, ending)
        reset.resume(turn)
        noted = ending if base is current else self._executions.turn(base)
        noted.state.reset_run_id = turn.state.run_id
        noted.visibility_changed = True
        changes: list[Change] = [(ending, current)]
        if base is not current:
            changes = [(noted, base), *([(ending, current)] if ending.events else [])]
        await self._executions.create_with(turn, current.job_id, changes, (), inherited=inherited)
        return turn.state.run_id

    async def _prefix(self, base: Loaded, finish_event_id: int) -> list[EventBatch]:
        """The stored history before the point; the last batch may reach beyond it."""
        return [batch async for batch in self._histories.batches(base, 1, finish_event_id)]

    @staticmethod
    def _feed(fork: reset.Fork, inherited: list[EventBatch], finish_event_id: int) -> Sequence[HistoryEvent]:
        """Fold the events before the point, and cut them off there. The result is what `Fork.check_end` asks for."""
        divided: Sequence[HistoryEvent] = ()
        for index, batch in enumerate(inherited):
            events = History.FromString(batch.data).events
            kept = [each for each in events if each.event_id < finish_event_id]
            for event in kept:
                fork.take(event)
            if len(kept) < len(events):
                divided = list(events)
                data = History(events=kept).SerializeToString()
                inherited[index] = EventBatch(batch.first_event_id, finish_event_id, data)
        return divided

    async def _reapply(self, turn: Turn, order: ResetOrder, base: Loaded, current: Loaded, ending: Turn) -> None:
        """What came in after the point: to the run that is reset, and to those that it was continued as."""
        loaded, first, last_run = base, order.finish_event_id, base.job_id
        while not reset.excludes_all(order.excluded):
            async for events in self._events(loaded, first):
                reset.reapply(turn, events, order.excluded)
            last_run = loaded.job_id
            if not loaded.state.continued_as_new:
                break
            key = key_of_state(loaded.state)._replace(run_id=loaded.state.new_run_id)
            following = current if key.job_id == current.job_id else await self._executions.load(key)
            if following is None:
                break
            loaded, first = following, 1
        if last_run == current.job_id:
            reset.reapply(turn, ending.events, order.excluded)

    async def _events(self, loaded: Loaded, first: int) -> AsyncIterator[list[HistoryEvent]]:
        """The events from ``first`` on, batch by batch."""
        async for batch in self._histories.batches(loaded, first, loaded.state.next_event_id):
            yield [event for event in History.FromString(batch.data).events if event.event_id >= first]
