"""Time skipping here and on the SDK's own test server (the Java one): the same programs, the same tests.

By default what happens here is compared with what the Java server answered when it was recorded (`java_answers.json`);
with ``--test-server`` it plays too. Where the two differ, the reason and what must happen here are in
`differences.json`: there the real server counts. A difference without ``here`` is something that only Java says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

import hotmesh_temporal.testing

from .plays import PLAYS
from .servers import java_server
from .stage import Stage

HERE = Path(__file__).parent
ANSWERS = HERE / "java_answers.json"
DIFFERENCES = HERE / "differences.json"
TIMEOUT = 60.0
JAVA_TIMEOUT = 20.0
"""In seconds. In two plays the Java server does not answer any more."""

Record = dict[str, Any]
Opener = Callable[[], Awaitable[WorkflowEnvironment]]


async def played(name: str, opener: Opener, timeout: float) -> Record:
    """What was seen when a play was played in an environment of its own."""
    async with await opener() as environment:
        stage = Stage(environment)
        try:
            async with stage.worker():
                await asyncio.wait_for(PLAYS[name](stage), timeout)
        except asyncio.TimeoutError:
            stage.record("the end", "no answer")
        return json.loads(json.dumps(stage.normalized()))


async def played_by_java(name: str) -> Record:
    """On the Java server."""
    path = java_server()
    return await played(
        name, lambda: WorkflowEnvironment.start_time_skipping(test_server_existing_path=path), JAVA_TIMEOUT
    )


def expected(name: str, java: Record) -> Record:
    """What must be seen here: what the Java server says, but for the known differences."""
    known: dict[str, Record] = json.loads(DIFFERENCES.read_text()).get(name, {})
    shared = {label: value for label, value in java.items() if label not in known}
    return shared | {label: difference["here"] for label, difference in known.items() if "here" in difference}


@pytest.mark.parametrize("name", PLAYS)
async def test_time_skips_as_on_the_java_server(name: str, pytestconfig: pytest.Config) -> None:
    ours = await played(name, hotmesh_temporal.testing.WorkflowEnvironment.start_time_skipping, TIMEOUT)
    if pytestconfig.getoption("--test-server"):
        java = await played_by_java(name)
    else:
        java: Record = json.loads(ANSWERS.read_text())[name]
    assert ours == expected(name, java)


def test_every_difference_is_one_of_a_play_and_has_a_reason() -> None:
    answers: dict[str, Record] = json.loads(ANSWERS.read_text())
    known: dict[str, dict[str, Any]] = json.loads(DIFFERENCES.read_text())
    assert answers.keys() == PLAYS.keys()
    assert known.keys() <= PLAYS.keys()
    for name, labels in known.items():
        for label, difference in labels.items():
            assert difference["why"], (name, label)
            same = label in answers[name] and answers[name][label] == difference.get("here", object())
            # How far the Java server's clock runs on is a matter of chance.
            assert not same or label.startswith("passed"), f"{name}: {label} is the same on both by now"
