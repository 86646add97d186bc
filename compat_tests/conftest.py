"""Options and session fixtures of the differential suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from compat_tests.mutations import COMPARED
from compat_tests.runner import Runner, discover
from compat_tests.targets import TARGETS


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--target``: what to check; each is compared with the real server."""
    parser.addoption(
        "--target",
        action="append",
        choices=TARGETS,
        help="run only on this target (repeatable; all by default); temporal compares two runs on the real server",
    )
    parser.addoption("--save-to", help="folder to write the normalized records to, one JSON file per run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per target and scenario."""
    if {"target", "scenario"} <= set(metafunc.fixturenames):
        targets: list[str] = metafunc.config.getoption("--target") or list(TARGETS)
        metafunc.parametrize("scenario", sorted(discover()))
        metafunc.parametrize("target", targets)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    """Starts every selected scenario at once (within the runner's limit); each test then awaits its own runs."""
    runner = Runner(request.config.getoption("--save-to"))
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
