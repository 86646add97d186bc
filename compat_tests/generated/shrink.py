"""Makes a program that fails smaller, as long as it still fails."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

from compat_tests.generated.program import Node, size

AT_ONCE = 8
"""Candidates that are tried at the same time."""

PLAIN: Node = {"how": "ok"}
OPTIONAL = ("fatal", "timed", "summary", "memo", "gate", "run_timeout")
"""What a node has as an extra; without it, it is simpler."""

Fails = Callable[[Node], Awaitable[bool]]


async def shrink(program: Node, fails: Fails, rounds: int = 40) -> Node:
    """The smallest failing program found in so many rounds of trials; `fails` says whether a candidate does."""
    for _ in range(rounds):
        smaller = await _smaller(program, fails)
        if smaller is None:
            return program
        program = smaller
    return program


async def _smaller(program: Node, fails: Fails) -> Node | None:
    """The first smaller program that fails; the most daring cuts are tried first."""
    candidates = sorted(_cuts(program), key=lambda each: (size(each), len(str(each))))
    for start in range(0, len(candidates), AT_ONCE):
        batch = candidates[start : start + AT_ONCE]
        for candidate, failed in zip(batch, await asyncio.gather(*map(fails, batch)), strict=True):
            if failed:
                return candidate
    return None


def _cuts(program: Node) -> Iterator[Node]:
    """Every program that comes from this one by one cut."""
    for path in _paths(program):
        yield from _cuts_at(program, path)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all dictionaries and lists of the tree."""
    if isinstance(value, (dict, list)):
        yield path
        items: Any = cast("Node", value).items() if isinstance(value, dict) else enumerate(cast("list[Any]", value))
        for key, item in items:
            yield from _paths(item, (*path, key))


def _cuts_at(program: Node, path: tuple[Any, ...]) -> Iterator[Node]:
    there = _at(program, path)
    if isinstance(there, list):
        yield from _cuts_of_list(program, path, cast("list[Any]", there))
        return
    for key in OPTIONAL:
        if key in there and not (key == "gate" and _needs_gate(program, path)):
            yield _with(program, path, {k: v for k, v in there.items() if k != key})
    if path and path[-1] == "end" and there != PLAIN:
        yield _with(program, path, PLAIN)
    if path and path[-1] == "start" and there["how"] != "plain":
        yield _with(program, path, {"how": "plain"})
    if there.get("kind") == "hold" and there["ends"] != ["ok"]:
        yield _with(program, path, {**there, "ends": ["ok"]})


def _cuts_of_list(program: Node, path: tuple[Any, ...], items: list[Any]) -> Iterator[Node]:
    key = path[-1]
    if key == "ends":
        return
    if key == "branches" or isinstance(items and items[0], list):
        if len(items) > 1:
            for number in range(len(items)):
                yield _with(program, path, [item for at, item in enumerate(items) if at != number])
        return
    branch = isinstance(key, int)
    for number in range(len(items)):
        if not (branch and number == 0):
            yield _with(program, path, items[:number] + items[number + 1 :])
    if len(items) > 3:
        yield _with(program, path, items[: len(items) // 2])
        if not branch:
            yield _with(program, path, items[len(items) // 2 :])
    if not branch:
        yield from _hoisted(program, path, items)


def _hoisted(program: Node, path: tuple[Any, ...], items: list[Any]) -> Iterator[Node]:
    """A parallel node becomes one of its branches; a child becomes what it does."""
    for number, item in enumerate(items):
        inner: list[list[Any]] = item.get("branches", []) if item.get("kind") == "parallel" else []
        if item.get("kind") == "child":
            inner = [[item["program"]["gate"], *item["program"]["body"]]]
        for block in inner:
            yield _with(program, path, [*items[:number], *block, *items[number + 1 :]])


def _needs_gate(program: Node, path: tuple[Any, ...]) -> bool:
    """The first gate of a child and of a program that starts with an update or has a limit."""
    return bool(path) or program["start"]["how"] in ("update", "limited")


def _at(program: Node, path: tuple[Any, ...]) -> Any:
    value: Any = program
    for key in path:
        value = value[key]
    return value


def _with(program: Node, path: tuple[Any, ...], value: Any) -> Node:
    """A copy of the program with another value at that place."""
    made = copy.deepcopy(program)
    if not path:
        return copy.deepcopy(cast("Node", value))
    _at(made, path[:-1])[path[-1]] = copy.deepcopy(value)
    return made
