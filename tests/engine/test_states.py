"""The drawings of the machines are true: made-up lives take no step that is not drawn, and every step that is drawn.

That no other step is taken is looked at in each life, after each step (`drawn.Watch`).
"""

from __future__ import annotations

from collections import Counter

import pytest

from docs import draw_states
from docs.draw_states import Machine
from tests.engine.drawn import Taken, is_drawn
from tests.engine.walk import CHUNKS, lives


@pytest.fixture(scope="module")
def seen() -> Counter[Taken]:
    """How often every step was taken in many lives."""
    return sum((lives(each).watch.taken for each in CHUNKS), start=Counter[Taken]())


@pytest.mark.parametrize("machine", draw_states.machines(), ids=lambda machine: machine.name)
def test_every_step_that_is_drawn_is_taken(machine: Machine, seen: Counter[Taken]) -> None:
    wanted = {(machine.name, each.source, each.target) for each in machine.transitions if each.source != each.target}
    assert wanted - seen.keys() == set()


def test_what_is_not_drawn_is_noticed() -> None:
    assert is_drawn(("update", "asked", "accepted"))
    assert not is_drawn(("update", "sent", "asked"))
    assert not is_drawn(("timer", "pending", "fired"))


def test_the_page_shows_the_drawings_of_the_files() -> None:
    assert draw_states.PAGE.read_text() == draw_states.page(), "run `make docs`"
