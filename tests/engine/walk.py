"""Many lives, each a random walk: one of the actions that are possible now, then another.

After each of them the run is looked at (`sound`), and what its entities did is held against the drawings (`drawn`). A
life is made of its seed alone. One that fails is told in a few lines: the steps that the failure does not need are left
out first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random

from tests.engine.actions import ACTIONS
from tests.engine.drawn import Watch
from tests.engine.life import Action, Life
from tests.engine.support import Run, title

Steps = list[tuple[Action, int]]
"""What was done, and the seed of the choices made on the way."""

CHUNKS = range(10)
_LIVES = 100
_STEPS = 60


@dataclass(frozen=True)
class Seen:
    """What was seen in many lives: the steps of entities, and how often each action was done."""

    watch: Watch
    done: Counter[str]


@cache
def lives(chunk: int) -> Seen:
    """The next hundred lives; the same each time."""
    seen = Seen(Watch(), Counter())
    for seed in range(chunk * _LIVES, (chunk + 1) * _LIVES):
        live(seed, _STEPS, seen)
    return seen


def live(seed: int, steps: int, seen: Seen | None = None) -> Life:
    """A life of so many steps. Raises `AssertionError` with its story if something does not hold that should."""
    random, done, seen = Random(seed), Steps(), seen or Seen(Watch(), Counter())
    life = Life(seen.watch)
    try:
        for _ in range(steps):
            possible = [each for each in ACTIONS if each.possible(life)]
            chosen = random.choices(possible, [each.often for each in possible])[0]
            done.append((chosen, random.getrandbits(32)))
            seen.done[chosen.name] += 1
            life.act(*done[-1])
    except Exception as error:
        needed = without_needless(done, type(error))
        raise AssertionError(f"seed {seed}: {error!r}\n" + "\n".join(story(needed))) from error
    return life


def replay(steps: Steps, told: list[str] | None = None) -> Exception | None:
    """Do the same again, but for what is not possible (any more); the error that it ends with. It is ``told``."""
    life = Life()
    for act, seed in steps:
        if not act.possible(life):
            continue
        run, length = life.run, len(life.run.history)
        try:
            life.act(act, seed)
        except Exception as error:
            if told is not None:
                told.append(f"{_line(life, act, run, length)} !! {error!r}")
            return error
        if told is not None:
            told.append(_line(life, act, run, length))
    return None


def without_needless(steps: Steps, kind: type[Exception]) -> Steps:
    """A shorter way to an error of the same kind: parts are left out as long as it still comes, large ones first."""
    size = len(steps) // 2
    while size:
        begin = 0
        while begin < len(steps):
            rest = steps[:begin] + steps[begin + size :]
            if isinstance(replay(rest), kind):
                steps = rest
            else:
                begin += size
        size //= 2
    return steps


def story(steps: Steps) -> list[str]:
    """One line for each step: what was done, with what choices, and what was recorded."""
    told: list[str] = []
    replay(steps, told)
    return [f"{number:3} {line}" for number, line in enumerate(told, 1)]


def _line(life: Life, act: Action, run: Run, length: int) -> str:
    new = life.run.history if life.run is not run else run.history[length:]
    choices = ", ".join(getattr(each, "__name__", str(each)).strip("_") for each in life.picked)
    state = life.run.state
    buffered = f" ({len(state.buffered)} buffered)" if state.buffered else ""
    return f"{act.name}({choices}) -> {', '.join(map(title, new)) or '-'}{buffered}"
