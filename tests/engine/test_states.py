"""The drawings of the machines are true: made-up lives take no step that is not drawn, and every step that is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis.stateful import invariant, run_state_machine_as_test

from docs import draw_states
from docs.draw_states import NONE, Machine
from hotmesh_temporal.engine.model import Activity, AskedUpdate, Child, ExecutionState, Update
from tests.engine import commands
from tests.engine.support import Run
from tests.engine.test_properties import MANY_LIVES, Life

States = dict[tuple[str, object], str]
"""(machine, entity): its state."""

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


Seen = tuple[Run, States]


class Watch:
    """Looks at a run after each step, and notes what its entities did."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, str]] = set()

    def look(self, run: Run, before: Seen | None) -> Seen:
        """What to give to the next look."""
        state, now = run.state, states_of(run.state)
        # What a reset leaves out was not ended.
        old = before[1] if before is not None and before[0] is run else {}
        for machine, key in old.keys() | now.keys():
            step = (machine, old.get((machine, key), NONE), now.get((machine, key), NONE))
            # What a run leaves behind when it closes was not ended either.
            if step[1] != step[2] and (state.running or machine == "workflow"):
                self.seen.add(step)
        return run, now


class Watched(Life):
    """A life that is watched."""

    watch = Watch()

    @invariant()
    def is_watched(self) -> None:
        self.before = self.watch.look(self.run, getattr(self, "before", None))


@pytest.fixture(scope="module")
def seen() -> set[tuple[str, str, str]]:
    """Every step that was taken in many lives: machine, from, to."""
    run_state_machine_as_test(Watched, settings=MANY_LIVES)
    _watch_paused_activities(Watched.watch)
    return Watched.watch.seen


def _watch_paused_activities(watch: Watch) -> None:
    """What made-up lives come to too seldom."""
    run = Run()
    before = watch.look(run, None)
    for do in (
        lambda: run.turn(commands.activity("a", retry=commands.retry(1)), commands.activity("b")),
        lambda: run.pause("a"),
        lambda: run.unpause("a"),
        lambda: run.take_activity("a"),
        lambda: run.fail_activity("a"),
        lambda: run.later(1),
        lambda: run.take_activity("a"),
        lambda: run.pause("a"),
        lambda: run.fail_activity("a"),
        lambda: run.later(0.5),
        lambda: run.unpause("a", jitter=60),
        lambda: run.pause("a"),
        lambda: run.signal(),
        lambda: run.turn(*(commands.cancel_activity(each) for each in run.state.activities)),
        lambda: run.signal(),
        lambda: run.turn(commands.activity("c", retry=commands.retry(1))),
        lambda: run.take_activity("c"),
        lambda: run.fail_activity("c"),
        lambda: run.signal(),
        lambda: run.turn(*(commands.cancel_activity(each) for each in run.state.activities)),
    ):
        do()
        before = watch.look(run, before)


@pytest.mark.parametrize("machine", draw_states.machines(), ids=lambda machine: machine.name)
def test_no_step_is_taken_that_is_not_drawn(machine: Machine, seen: set[tuple[str, str, str]]) -> None:
    drawn = {(each.source, each.target) for each in machine.transitions}
    drawn |= {
        (source, target)
        for source, end in drawn
        for begin, target in drawn
        if machine.name in _ONE_BY_ONE and end == begin == NONE
    }
    taken = {(source, target) for name, source, target in seen if name == machine.name}
    assert {each for each in taken if not _is_path(drawn, *each)} == set()


@pytest.mark.parametrize("machine", draw_states.machines(), ids=lambda machine: machine.name)
def test_every_step_that_is_drawn_is_taken(machine: Machine, seen: set[tuple[str, str, str]]) -> None:
    taken = {(source, target) for name, source, target in seen if name == machine.name}
    wanted = {(each.source, each.target) for each in machine.transitions if each.source != each.target}
    assert wanted - taken == set()


def _is_path(drawn: set[tuple[str, str]], source: str, target: str, longest: int = _LONGEST) -> bool:
    if (source, target) in drawn:
        return True
    return longest > 1 and any(
        _is_path(drawn, between, target, longest - 1) for begin, between in drawn if begin == source and between != NONE
    )


def test_the_page_shows_the_drawings_of_the_files() -> None:
    assert draw_states.PAGE.read_text() == draw_states.page(), "run `make docs`"
