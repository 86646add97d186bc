"""Made-up programs: each seed must do the same on the real server and on the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compat_tests.generated.fleet import Fleet
from compat_tests.generated.generate import generate
from compat_tests.generated.program import Node, describe
from compat_tests.generated.shrink import shrink

REGRESSIONS = Path(__file__).parent / "regressions.jsonl"
"""Programs that differed once, shrunk, one a line. The seed alone would not do: it changes with the generator."""

SHRINK_ROUNDS = 40
MAX_SHRUNK = 3
"""Failing seeds of a session that are shrunk; it takes up to a minute each."""


def regressions() -> dict[str, Node]:
    """The programs of the list by their names."""
    return {entry["name"]: entry["program"] for entry in map(json.loads, REGRESSIONS.read_text().splitlines())}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(900)
async def test_seed(fleet: Fleet, target: str, seed: int) -> None:
    """If a seed fails, add the printed program to the list of regressions together with the repair."""
    await _check(fleet, target, f"seed {seed}", generate(seed))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(regressions()))
async def test_regression(fleet: Fleet, target: str, name: str) -> None:
    """What differed once does not any more."""
    await _check(fleet, target, name, regressions()[name])


async def _check(fleet: Fleet, target: str, name: str, program: Node) -> None:
    found = await fleet.compare(target, program, name)
    if found and not (found := await _again(fleet, target, name, program)):
        return
    if found:
        fleet.failed.append(name)
        if len(fleet.failed) <= MAX_SHRUNK:
            program, found = await _shrink(fleet, target, name, program, found)
        entry: dict[str, Any] = {"name": name, "program": program}
        pytest.fail(
            f"{name} differs on {target}:\n{describe(program)}\n\n{found}\n\n{json.dumps(entry)}", pytrace=False
        )


async def _again(fleet: Fleet, target: str, name: str, program: Node) -> str:
    """A busy machine may hold up either server so long that a time-out strikes: what differs must do so twice."""
    return await fleet.compare_again(target, program, f"{name} again")


async def _shrink(fleet: Fleet, target: str, name: str, program: Node, found: str) -> tuple[Node, str]:
    """A smaller program that differs, and how."""
    differences = {json.dumps(program): found}

    async def fails(candidate: Node) -> bool:
        text = json.dumps(candidate)
        differences[text] = await fleet.proves(target, candidate, f"{name} shrunk {hash(text)}")
        return bool(differences[text])

    smaller = await shrink(program, fails, SHRINK_ROUNDS)
    return smaller, differences[json.dumps(smaller)]
