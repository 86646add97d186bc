"""Options of the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--all-faults``: also the long fault tests, every fault on every target."""
    parser.addoption("--all-faults", action="store_true", help="also play every fault on every target (an hour)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out, unless they are asked for."""
    if config.getoption("--all-faults"):
        return
    long = [item for item in items if item.get_closest_marker("all_faults")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("all_faults")]
