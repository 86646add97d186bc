"""Sessions as text: one command of the ``temporal`` CLI per line, with what is special about it in lines before it.

::

    # a comment
    workflow start --type Greet --task-queue queue --workflow-id greet --input '"Ada"'
    until COMPLETED                        again and again, until what it prints matches
    workflow list
    save JOB job ID: (\\S+)                 what the expression finds is $JOB from now on
    workflow cancel --query … --yes
    only text                              not in the session with the other kind of output (json)
    workflow trace --workflow-id greet
    without httpAddress                    lines that are left out of the comparison
    operator cluster list
    sorted                                 the lines that it prints have no order
    operator search-attribute list
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).with_name("sessions")


@dataclass(frozen=True)
class Step:
    """One command, as it is written, and how it is run."""

    command: str = ""
    until: str = ""
    save: tuple[str, str] = ("", "")
    only: str = ""
    without: str = ""
    in_any_order: bool = False

    def arguments(self, saved: dict[str, str]) -> list[str]:
        """The command's words, with what was saved in place of ``$NAME``."""
        words = shlex.split(self.command)
        for name, value in saved.items():
            words = [word.replace(f"${name}", value) for word in words]
        return words


def sessions() -> list[str]:
    """The names of all of them."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def steps_of(name: str, output: str) -> Iterator[Step]:
    """The commands of a session with this kind of output (text or json)."""
    step = Step()
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "until":
            step = replace(step, until=rest)
        elif word == "save":
            variable, _, expression = rest.partition(" ")
            step = replace(step, save=(variable, expression))
        elif word == "only":
            step = replace(step, only=rest)
        elif word == "without":
            step = replace(step, without=rest)
        elif word == "sorted":
            step = replace(step, in_any_order=True)
        elif word and word != "#":
            if step.only in ("", output):
                yield replace(step, command=line)
            step = Step()
