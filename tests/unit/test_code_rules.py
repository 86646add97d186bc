"""Rules of this code that no linter knows: its sizes, and an engine that neither waits nor asks the time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[2]
FILE_LINES = 600
FUNCTION_LINES = 60
FILES = sorted(path for folder in ("hotmesh_temporal", "providers") for path in (ROOT / folder).rglob("*.py"))
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, methods and inner ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines(function: Function) -> int:
    """How long a function is, from its name to its end, without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES
    assert {each.name: lines(each) for each in functions(path) if lines(each) > FUNCTION_LINES} == {}


def test_most_functions_are_small() -> None:
    sizes = sorted(lines(each) for path in FILES for each in functions(path))
    assert sizes[len(sizes) // 2] <= 8
    assert sizes[len(sizes) * 9 // 10] <= 30


@pytest.mark.parametrize("path", sorted((ROOT / "hotmesh_temporal/engine").rglob("*.py")), ids=lambda path: path.stem)
def test_the_engine_neither_waits_nor_asks_the_time(path: Path) -> None:
    tree = ast.parse(path.read_text())
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    asks = [
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert (waits, asks) == ([], [])


def test_every_package_is_installed() -> None:
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES if path.name == "__init__.py"}
    listed = tomli.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {name.replace("hotmesh_temporal.providers", "providers") for name in listed} == found
