"""Where the fifty tests run: ``--environment``, and ``--one-environment`` for all of them in place of one for each.

Nothing but the import of `WorkflowEnvironment` is another one.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from compat_tests.test_environments.servers import dev_server, java_server


async def opened(environment: str) -> WorkflowEnvironment:
    """A new environment, by its name on the command line."""
    package = "temporalio.testing" if environment.startswith("sdk-") else "hotmesh_temporal.testing"
    kind: Any = importlib.import_module(package).WorkflowEnvironment
    if environment == "sdk-time-skipping":
        return await kind.start_time_skipping(test_server_existing_path=java_server())
    if environment == "sdk-local":
        return await kind.start_local(dev_server_existing_path=dev_server(), dev_server_log_level="error")
    return await (kind.start_local() if environment == "local" else kind.start_time_skipping())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(pytestconfig: pytest.Config) -> AsyncIterator[WorkflowEnvironment | None]:
    if not pytestconfig.getoption("--one-environment"):
        yield None
        return
    async with await opened(str(pytestconfig.getoption("--environment"))) as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def env(pytestconfig: pytest.Config, shared: WorkflowEnvironment | None) -> AsyncIterator[WorkflowEnvironment]:
    """What every test of the suite asks for."""
    if shared is not None:
        yield shared
        return
    async with await opened(str(pytestconfig.getoption("--environment"))) as environment:
        yield environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all: an environment for all is used from it."""
    for item in items:
        if "/suite/" in item.nodeid:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"))
