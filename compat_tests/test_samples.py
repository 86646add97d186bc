"""Each sample in each way on each database prints the same as on the real server, with the same histories."""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from compat_tests.runner import TargetPool
from compat_tests.samples.catalog import DATABASES, WAYS, Sample, runnable
from compat_tests.samples.theatre import REAL, Play, Theatre

RECORD = Path(__file__).parents[1] / "docs" / "samples.json"
CELLS = [(way, database) for way in WAYS for database in DATABASES]
TRIES = 3
"""So many runs on the real server may be compared with: which of two things comes first may vary there, too."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Some samples, each in one way on one database, in turns; with ``--all-samples`` all in all."""
    if "way" not in metafunc.fixturenames:
        return
    every = bool(metafunc.config.getoption("--all-samples"))
    chosen = [name for name, sample in runnable().items() if every or sample.often]
    runs = [(name, *cell) for name in chosen for cell in CELLS]
    if not every:
        runs = [(name, *CELLS[number % len(CELLS)]) for number, name in enumerate(chosen)]
    metafunc.parametrize(("sample", "way", "database"), runs)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theatre(request: pytest.FixtureRequest, targets: TargetPool) -> AsyncIterator[Theatre]:
    """Begins all selected plays at once (within its limit)."""
    theatre, known = Theatre(targets), runnable()
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if call is not None and {"sample", "way", "database"} <= set(call.params):
            sample = known[call.params["sample"]]
            if not _missing(sample):
                theatre.begin(sample, *REAL)
                theatre.begin(sample, call.params["way"], call.params["database"])
    yield theatre
    await theatre.close()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(1800)
async def test_sample(request: pytest.FixtureRequest, theatre: Theatre, sample: str, way: str, database: str) -> None:
    chosen = runnable()[sample]
    if missing := _missing(chosen):
        pytest.skip(f"{sample} needs {missing}, which is not installed")
    ours = await theatre.begin(chosen, way, database)
    found = ""
    for repeat in range(TRIES):
        found = difference(await theatre.begin(chosen, *REAL, repeat), ours, f"{way} {database}")
        if not found or ours.error:
            break
    if request.config.getoption("--all-samples"):
        _record(sample, way, database, "differs" if found else "same")
    if found:
        pytest.fail(found, pytrace=False)


def difference(expected: Play, actual: Play, name: str) -> str:
    """What is wrong; empty if nothing."""
    for where, play in (("the real server", expected), (name, actual)):
        if play.error:
            return f"on {where}: {play.error}"
    return "\n".join(difflib.unified_diff(expected.lines, actual.lines, "temporal", name, lineterm="", n=8))


def _missing(sample: Sample) -> str:
    return ", ".join(name for name in sample.needs if importlib.util.find_spec(name) is None)


def _record(sample: str, way: str, database: str, outcome: str) -> None:
    record: dict[str, dict[str, str]] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record.setdefault(sample, {})[f"{way} {database}"] = outcome
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
