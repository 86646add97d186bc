"""Programs as data, and as text.

A program is what one workflow does: ``gate`` (optional, before anything else), ``body`` (nodes, one after the other),
``cleanup`` (the gate at which a cancelled run stops), ``on_cancel`` and ``end``. A node is a dictionary with its
``kind`` and a number ``id``, unique in the whole tree, so that nodes keep their names when others are taken away.

Nothing in a program may race. The rules, kept by the shape of the tree so that taking nodes away cannot break them:

- Only the driver moves things on, one at a time, and only when nothing else is under way in the whole family of runs.
  What waits for the driver is *held*: a gate (a wait for a signal) or a held activity.
- Branches that run in parallel begin with something held. So only one branch of all runs is ever awake.
- What wakes two runs, or one run twice, is followed by a gate: starting a child without waiting for it, signals and
  cancellations of other workflows, cancelled branches, tasks with buffered events (but for the last of a run). A child
  begins with a gate, a cancelled run ends at one.
- Of what may be cancelled together at most one is a child whose cancellation is asked of the server: each request is
  answered by an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

Node = dict[str, Any]

INNER = ("held", "gate", "body", "branches", "before", "during", "then", "program", "after", "cleanup", "end", "last")
"""Keys that hold other nodes, in the order in which they are read."""


def nodes(value: Any) -> Iterator[Node]:
    """Every dictionary of a tree that has an id, from the outside in."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from nodes(item)
    elif isinstance(value, dict):
        node = cast("Node", value)
        if "id" in node:
            yield node
        for item in node.values():
            yield from nodes(item)


def size(program: Node) -> int:
    """How many nodes a program has."""
    return sum(1 for _ in nodes(program))


def describe(program: Node) -> str:
    """A program as text: one line per node, inner ones indented."""
    return "\n".join(_lines(program, "program"))


def _lines(value: Any, label: str, indent: int = 0) -> Iterator[str]:
    if isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _lines(item, f"{label} {number + 1}" if label == "branches" else label, indent)
        return
    node = cast("Node", value)
    yield "  " * indent + _head(node, label)
    for key in INNER:
        if isinstance(node.get(key), (dict, list)):
            inner = node[key]
            if key == "branches":
                for number, branch in enumerate(cast("list[Any]", inner)):
                    yield "  " * (indent + 1) + f"branch {number + 1}:"
                    yield from _lines(branch, "", indent + 2)
            else:
                yield from _lines(inner, "" if key == "body" else key, indent + 1)


def _head(node: Node, label: str) -> str:
    options = {k: v for k, v in node.items() if k not in ("kind", "id") and not _is_inner(k, v)}
    parts = [f"{label}:" if label else "", node.get("kind", ""), f"#{node['id']}" if "id" in node else ""]
    parts += [f"{key}={json.dumps(option)}" for key, option in options.items()]
    return " ".join(part for part in parts if part)


def _is_inner(key: str, value: Any) -> bool:
    return key in INNER and isinstance(value, (dict, list))
