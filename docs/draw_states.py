"""Writes docs/states.md: the state diagram of each machine of the engine, from the drawing at the top of its file.

A drawing has one transition a line, ``scheduled, waiting --timed out--> (none)``; ``(none)`` is the state of an entity
that is not there. Run it as ``make docs``; the tests fail if the page is not what it would write.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MACHINES = HERE.parent / "hotmesh_temporal" / "engine" / "machines"
PAGE = HERE / "states.md"
NONE = "(none)"

_LINE = re.compile(r"^\s*(?P<sources>\S.*?)\s+--(?P<label>.+?)-*>\s+(?P<target>\S.*?)\s*$")

_HEAD = """# States

What the entities of a workflow execution go through. Each diagram is made of the drawing at the top of the machine's
file by `make docs`; `tests/engine/test_states.py` watches a thousand made-up lives for a step that is not in it.
"""


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow."""

    source: str
    label: str
    target: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its file draws it. ``name``: the file's; ``title``: the first line of its text."""

    name: str
    title: str
    transitions: tuple[Transition, ...]


def machines() -> list[Machine]:
    """All machines that have a drawing, by name."""
    read = [_read(path) for path in sorted(MACHINES.glob("*.py"))]
    return [each for each in read if each.transitions]


def _read(path: Path) -> Machine:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    found = [arrow for line in text.splitlines() for arrow in _arrows(line)]
    return Machine(path.stem, text.partition("\n")[0].rstrip("."), tuple(found))


def _arrows(line: str) -> Iterator[Transition]:
    match = _LINE.match(line)
    if match is None:
        return
    for source in match["sources"].split(", "):
        yield Transition(source, match["label"].strip("- "), match["target"])


def page() -> str:
    """The page as it should be."""
    return "\n".join([_HEAD, *(_section(each) for each in machines())])


def _section(machine: Machine) -> str:
    arrows = "\n".join(f"    {_arrow(each)}" for each in machine.transitions)
    link = f"../hotmesh_temporal/engine/machines/{machine.name}.py"
    return f"## {machine.title}\n\n[`{machine.name}.py`]({link})\n\n```mermaid\nstateDiagram-v2\n{arrows}\n```\n"


def _arrow(transition: Transition) -> str:
    return f"{_name(transition.source)} --> {_name(transition.target)}: {transition.label}"


def _name(state: str) -> str:
    """Mermaid's start and end are one symbol; names are one word."""
    return "[*]" if state == NONE else state.replace(" ", "_")


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(HERE.parent)}: {len(machines())} diagrams")
