"""Whatever happens to a run, in whatever order: what holds for every run (`sound`) holds in made-up lives (`walk`)."""

from __future__ import annotations

from collections import Counter

import pytest

from hotmesh_temporal.engine.machines import timer
from hotmesh_temporal.engine.machines.timer import fire
from hotmesh_temporal.engine.model import Timer
from hotmesh_temporal.engine.turn import Turn
from tests.engine.actions import ACTIONS
from tests.engine.walk import CHUNKS, live, lives


@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_run_is_sound(chunk: int) -> None:
    lives(chunk)


def test_everything_that_can_happen_does() -> None:
    done = sum((lives(each).done for each in CHUNKS), start=Counter[str]())
    assert {each.name for each in ACTIONS} - done.keys() == set()


def test_a_life_is_made_of_its_seed() -> None:
    assert live(5, steps=60).run.history == live(5, steps=60).run.history


def test_a_failure_is_told_in_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that is made on purpose: timers fire twice."""

    def fire_twice(turn: Turn, pending: Timer) -> None:
        fire(turn, pending)
        fire(turn, pending)

    monkeypatch.setattr(timer, "fire", fire_twice)
    with pytest.raises(AssertionError, match=r"ends again") as failed:
        _live_a_hundred_times()
    story = str(failed.value).splitlines()
    assert "TimerFired" in story[-1]
    assert len(story) < 10


def _live_a_hundred_times() -> None:
    for seed in range(100):
        live(seed, steps=60)
