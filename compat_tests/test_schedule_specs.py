"""Schedules are due when the real server says, made-up specs of every kind; invalid ones are refused in its words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf import text_format
from temporalio.api.schedule.v1 import ScheduleSpec

from compat_tests.runner import TargetPool
from compat_tests.schedule_specs import SpecMaker
from compat_tests.schedule_times import Comparison, Window

REGRESSIONS = Path(__file__).parent / "schedule_specs.jsonl"
"""Specs that were due at other times once, one a line, and windows of time. A seed would change with the maker."""


@pytest_asyncio.fixture(loop_scope="session")
async def comparison(targets: TargetPool) -> Comparison:
    """With the real server of the session."""
    comparison = Comparison((await targets.get("temporal")).client)
    await comparison.start()
    return comparison


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(3600)
async def test_made_up_specs(comparison: Comparison, request: pytest.FixtureRequest) -> None:
    """``--specs`` says how many. If one differs, add the printed line to the regressions together with the repair."""
    first, count = (int(request.config.getoption(name) or 0) for name in ("--first-seed", "--specs"))
    makers = {seed: SpecMaker(seed) for seed in range(first, first + count)}
    specs = {f"seed {seed}": (spec := maker.spec(), maker.windows(spec)) for seed, maker in makers.items()}
    wrong = await _wrong(comparison, specs)
    tally = comparison.tally
    print(f"seeds {first} to {first + count - 1}: {tally}")
    assert not wrong, "\n\n".join(wrong)
    assert tally.refused < tally.specs / 3, "too few of the specs are valid"
    assert tally.given_up < 2 + tally.specs / 200, "too many searches through exclusions were given up"
    assert tally.times > 20 * tally.specs, "too few times were compared"


@pytest.mark.asyncio(loop_scope="session")
async def test_regressions(comparison: Comparison) -> None:
    """What differed once does not any more."""
    entries = map(json.loads, REGRESSIONS.read_text().splitlines())
    specs = {
        entry["name"]: (
            text_format.Parse(entry["spec"], ScheduleSpec()),
            [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in entry["windows"]],
        )
        for entry in entries
    }
    wrong = await _wrong(comparison, specs)
    assert not wrong, "\n\n".join(wrong)


async def _wrong(comparison: Comparison, specs: Mapping[str, tuple[ScheduleSpec, Sequence[Window]]]) -> list[str]:
    async def check(name: str, spec: ScheduleSpec, windows: Sequence[Window]) -> str:
        found = await comparison.differs(spec, windows)
        entry = {
            "name": name,
            "spec": text_format.MessageToString(spec, as_one_line=True),
            "windows": [[str(each) for each in pair] for pair in windows],
        }
        return f"{name}: {found}\n{json.dumps(entry)}" if found else ""

    found = await asyncio.gather(*(check(name, *spec) for name, spec in specs.items()))
    return [each for each in found if each]
