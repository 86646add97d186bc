"""Each scenario on each target against the real server: same results, same errors, same histories."""

from __future__ import annotations

import pytest

from compat_tests.runner import Run, Runner, difference, discover


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)
async def test_scenario(runner: Runner, target: str, scenario: str) -> None:
    """The run on a target of ours, never repeated, is like the first on the real server, or the second, or the third.

    Target ``temporal`` checks the scenario: two runs of three must agree, as one that varies proves nothing.
    """
    function = discover()[scenario]
    ours = [] if target == "temporal" else [await runner.start(target, scenario, function)]
    numbers = [0, 1, 2] if target == "temporal" else [0, 2, 3]  # run 1 may still have to wait for its place in the plan
    theirs: list[Run] = []
    found = ["never compared"]
    while all(found) and numbers:
        theirs.append(await runner.start("temporal", scenario, function, repeat=numbers.pop(0)))
        pairs = [(theirs[-1], run) for run in ours or theirs[:-1]]
        found += [_difference(expected, actual, target) for expected, actual in pairs]
    assert not all(found), "\n\n".join(dict.fromkeys(found[1:]))


def _difference(expected: Run, actual: Run, target: str) -> str:
    """What is wrong with one of two runs, or not the same in both; empty if nothing."""
    for name, run in (("the real server", expected), (target, actual)):
        if run.error:
            return f"the scenario failed on {name}:\n{run.error}\n{difference(expected, actual, ('temporal', target))}"
        if run.replay_errors:
            return f"histories of {name} do not replay: {run.replay_errors}"
    diff = difference(expected, actual, ("temporal", target))
    return diff and f"{target} differs from the real server:\n{diff}"
