"""A made-up life: the run that it is about, the chance that rules it, and what can happen at all (see `actions`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from hotmesh_temporal.engine.turn import Turn
from hotmesh_temporal.errors import RpcError
from tests.engine.drawn import Watch
from tests.engine.sound import Witness
from tests.engine.support import Run, Stale

T = TypeVar("T")


class Life:
    """What is going on. ``picked`` are the choices of the step that is being made."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch or Watch()
        self.random = Random()
        self.picked: list[object] = []
        self.signals = self.resets = 0
        self.run = Run()
        self.go_on(self.run)

    def go_on(self, run: Run) -> None:
        """With this run."""
        run.now, self.run, self.witness = max(run.now, self.run.now), run, Witness(run)

    def pick(self, given: Sequence[T]) -> T:
        """One of them."""
        found = given[self.random.randrange(len(given))]
        self.picked.append(found)
        return found

    def chance(self, one_in: int) -> bool:
        """Seldom."""
        return self.random.randrange(one_in) == 0

    def act(self, action: Action, seed: int) -> None:
        """Do it, and look what came of it."""
        self.random.seed(seed)
        self.picked = []
        self.run.now += 1  # no two things happen in the same nanosecond
        self.run.loses_races = self.chance(8)
        action.do(self)
        self.witness.look()
        self.watch.look(self.run)

    @property
    def open(self) -> bool:
        """The run is open."""
        return self.run.state.running

    @property
    def in_flight(self) -> bool:
        """A worker has the workflow task of an open run."""
        return self.open and self.run.state.task_in_flight

    def activities(self, *, at_work: bool) -> list[str]:
        """Ids of activities that a worker has, or that one may take."""
        found = self.run.state.activities.values() if self.open else ()
        waits = [each.activity_id for each in found if not each.started and (each.retry_at or each.paused)]
        return [each.activity_id for each in found if each.started == at_work and each.activity_id not in waits]

    def nothing_comes_of(self, decide: Callable[[Turn], object], *errors: str) -> None:
        """It is refused with one of the errors."""
        assert self.refusal(decide) in (errors or ("stale",))

    def refusal(self, decide: Callable[[Turn], object]) -> str:
        """Why a decision is refused."""
        try:
            self.run.step(decide)
        except Stale:
            return "stale"
        except RpcError as error:
            return error.message
        return "it was accepted"


@dataclass(frozen=True)
class Action:
    """Something that can happen: whether it can now, and how often it does beside others."""

    do: Callable[[Life], None]
    possible: Callable[[Life], object]
    often: int

    @property
    def name(self) -> str:
        """In words."""
        return self.do.__name__
