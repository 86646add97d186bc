"""The real ``temporal`` CLI as judge: the same commands print the same on the real server and on ours."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from compat_tests.cli_sessions.script import sessions, steps_of
from compat_tests.cli_sessions.stage import Stage
from compat_tests.runner import TargetPool


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(request: pytest.FixtureRequest, targets: TargetPool) -> AsyncIterator[Stage]:
    """Begins all selected sessions at once (within the stage's limit)."""
    stage = Stage(targets)
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if call is not None and {"target", "session", "output"} <= set(call.params):
            target, session, output = (call.params[name] for name in ("target", "session", "output"))
            stage.begin("temporal", session, output)
            stage.begin(target, session, output, repeat=int(target == "temporal"))
    yield stage
    await stage.close()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)
async def test_session(stage: Stage, target: str, session: str, output: str) -> None:
    """Every command of a session: exit code, output, errors."""
    expected = await stage.begin("temporal", session, output)
    actual = await stage.begin(target, session, output, repeat=int(target == "temporal"))
    assert "this does not print" not in "\n".join(expected)
    found = "\n".join(difflib.unified_diff(expected, actual, "temporal", target, lineterm="", n=8))
    assert not found, f"{target} differs from the real server:\n{found}"


def test_the_sessions_have_commands_of_every_group() -> None:
    groups = {step.command.split()[0] for name in sessions() for step in steps_of(name, "text")}
    assert groups == {"workflow", "schedule", "batch", "activity", "operator", "task-queue", "worker"}
