"""Watches what the entities of a run do, and holds it against the drawings of their machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

from docs import draw_states
from docs.draw_states import NONE
from hotmesh_temporal.engine.model import Activity, AskedUpdate, Child, ExecutionState, Update
from tests.engine.support import Run

States = dict[tuple[str, object], str]
"""(machine, entity): its state."""

Taken = tuple[str, str, str]
"""A step that was taken: machine, from, to."""

_LONGEST = 3
"""How many steps an entity may take within one decision: scheduled, started and failed by an eager worker."""

_ONE_BY_ONE = {"workflow_task"}
"""A run has one at a time; the next may come with the end of the last."""


def states_of(state: ExecutionState) -> States:
    """Where each entity of a run is. What is not named is in the state ``(none)``."""
    return {(machine, key): name for machine, key, name in _states_of(state)}


def _states_of(state: ExecutionState) -> Iterator[tuple[str, object, str]]:
    yield "workflow", "", "running" if state.running else "closed"
    if not state.running:
        return
    if state.task is not None:
        yield "workflow_task", "", "in flight" if state.task_in_flight else "scheduled"
    yield from (("activity", key, _of_activity(each)) for key, each in state.activities.items())
    yield from (("timer", key, "pending") for key in state.timers)
    yield from (("child_workflow", key, _of_child(each)) for key, each in state.children.items())
    yield from (("external_signal", key, "on its way") for key in state.signals)
    yield from (("external_cancel", key, "on its way") for key in state.cancels)
    yield from (("update", key, _of_asked(each)) for key, each in state.asked_updates.items())
    yield from (("update", key, _of_update(each)) for key, each in state.updates.items())


def _of_activity(activity: Activity) -> str:
    if activity.started:
        return "started"
    if activity.paused:
        return "paused"
    return "waiting" if activity.retry_at else "scheduled"


def _of_child(child: Child) -> str:
    return "started" if child.run_id else "initiated"


def _of_asked(update: AskedUpdate) -> str:
    return "sent" if update.sent_with else "asked"


def _of_update(update: Update) -> str:
    return "completed" if update.completed_event_id else "accepted"


class Watch:
    """Looks at a run after each step, and counts what its entities did."""

    def __init__(self) -> None:
        self.taken: Counter[Taken] = Counter()
        self._run: Run | None = None
        self._before: States = {}

    def look(self, run: Run) -> None:
        """What was done since the last look is drawn."""
        state, now = run.state, states_of(run.state)
        # What a reset leaves out was not ended.
        before = self._before if run is self._run else {}
        self._run, self._before = run, now
        for machine, key in before.keys() | now.keys():
            taken = (machine, before.get((machine, key), NONE), now.get((machine, key), NONE))
            # What a run leaves behind when it closes was not ended either.
            if taken[1] != taken[2] and (state.running or machine == "workflow"):
                assert is_drawn(taken), f"the drawing of {machine} has no way from {taken[1]} to {taken[2]} ({key})"
                self.taken[taken] += 1


@cache
def is_drawn(taken: Taken) -> bool:
    """The step, or a few that one decision may take, are in the drawing."""
    machine, source, target = taken
    return _is_path(_arrows(machine), source, target)


@cache
def _arrows(name: str) -> frozenset[tuple[str, str]]:
    machine = next(each for each in draw_states.machines() if each.name == name)
    drawn = {(each.source, each.target) for each in machine.transitions}
    if name in _ONE_BY_ONE:
        drawn |= {(source, target) for source, end in drawn for begin, target in drawn if end == begin == NONE}
    return frozenset(drawn)


def _is_path(drawn: frozenset[tuple[str, str]], source: str, target: str, longest: int = _LONGEST) -> bool:
    if (source, target) in drawn:
        return True
    return longest > 1 and any(
        _is_path(drawn, between, target, longest - 1) for begin, between in drawn if begin == source and between != NONE
    )
