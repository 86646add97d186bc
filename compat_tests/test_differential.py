"""Each scenario on each target against the real server: same results, same errors, same histories."""

from __future__ import annotations

import pytest

from compat_tests.runner import Runner, difference, discover


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)
async def test_scenario(runner: Runner, target: str, scenario: str) -> None:
    """With target ``temporal`` the scenario runs there twice: one that does not agree with itself proves nothing."""
    function = discover()[scenario]
    expected = await runner.start("temporal", scenario, function)
    assert not expected.error, f"wrong scenario, it fails on the real server:\n{expected.error}"
    assert not expected.replay_errors, f"wrong scenario, the real server's history does not replay: {expected}"
    actual = await runner.start(target, scenario, function, repeat=int(target == "temporal"))
    diff = difference(expected, actual, ("temporal", target))
    if diff and target != "temporal":
        # Held up by a busy machine, the real server may not even agree with itself: ask it once more, and only it.
        again = await runner.start("temporal", scenario, function, repeat=2)
        diff = difference(again, actual, ("temporal", target))
    assert not actual.error, f"{actual.error}\n{diff}"
    assert not diff, f"{target} differs from the real server:\n{diff}"
    assert not actual.replay_errors, f"histories of {target} do not replay: {actual.replay_errors}"
