"""Options of all tests."""

from __future__ import annotations

import signal

import pytest

from tests.support.records import Recorder


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--all-faults``: also the long fault tests. ``--million``: also lists among a million executions. ``--record``:
    write down what passed, for the README.
    """
    parser.addoption("--all-faults", action="store_true", help="also play every fault on every target (an hour)")
    parser.addoption("--million", action="store_true", help="also measure lists among a million executions (minutes)")
    parser.addoption(
        "--record", metavar="FILE", help="write down what passed on which database (docs/support.json for the README)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start hear of Ctrl-C, which a shell keeps from what it starts in the background. Begin
    the record.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if file := config.getoption("--record"):
        config.pluginmanager.register(Recorder(str(file)), "record of what passed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out, unless they are asked for."""
    unwanted = {mark for mark in ("all_faults", "million") if not config.getoption(f"--{mark.replace('_', '-')}")}
    long = [item for item in items if any(mark.name in unwanted for mark in item.iter_markers())]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
