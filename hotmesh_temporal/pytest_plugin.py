"""Fixtures for tests of workflows, known to pytest as soon as this package is installed.

``hotmesh_local`` and ``hotmesh_time_skipping`` are environments, ``hotmesh_client`` and ``hotmesh_worker`` what most
tests need of them. ``pytest --hotmesh=URL`` chooses the database of ``hotmesh_local``. See docs/test_environments.md.

They are plain fixtures, not coroutines, so any way to run asynchronous tests will do, pytest-asyncio in each of its
modes among them. Nothing of the SDK is imported before a test uses one of them.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    # Seconds that a test session should not pay when it uses no fixture of these.
    from temporalio.client import Client
    from temporalio.worker import Worker

    from .testing import WorkflowEnvironment

_T = TypeVar("_T")

_VARIABLE = "HOTMESH_TEST_CONNECTION"
_IN_MEMORY = "sqlite"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--hotmesh`` on the command line, ``hotmesh`` in the configuration."""
    text = (
        f"the database of the fixtures hotmesh_client and hotmesh_local: {_IN_MEMORY} (in memory, one for each test: "
        "the default), or a URL such as postgresql://host/database, in which each test has a namespace of its own"
    )
    parser.getgroup("hotmesh-temporal").addoption("--hotmesh", metavar="URL", help=f"{text}; also ${_VARIABLE}")
    parser.addini("hotmesh", f"{text}. --hotmesh and ${_VARIABLE} come first.", default="")


@pytest.fixture(scope="session")
def hotmesh_connection(pytestconfig: pytest.Config) -> Any:
    """The database of ``hotmesh_local``; None: one in memory for each test.

    Override it to give what has no URL: all that `hotmesh_temporal.client.Client.connect` takes as ``connection``.
    """
    chosen = pytestconfig.getoption("--hotmesh") or os.environ.get(_VARIABLE) or pytestconfig.getini("hotmesh")
    return None if chosen in ("", _IN_MEMORY) else chosen


@pytest.fixture(scope="session")
def _hotmesh_engine(hotmesh_connection: Any) -> Generator[None]:  # pyright: ignore[reportUnusedFunction]  # by its name
    """Keeps the engine of a database that is not in memory: to start it takes longer than most tests do."""
    if hotmesh_connection is None:
        yield
        return
    from .client import Client

    client = _wait(Client.connect(connection=hotmesh_connection))
    yield
    _wait(client.close())


@pytest.fixture
def hotmesh_local(hotmesh_connection: Any, _hotmesh_engine: None) -> Generator[WorkflowEnvironment]:
    """An environment in real time, on the chosen database; nothing of other tests is seen in it."""
    from .testing import WorkflowEnvironment

    if hotmesh_connection is None:
        environment = _wait(WorkflowEnvironment.start_local())
        yield environment
    else:
        namespace = f"test-{uuid.uuid4()}"
        environment = _wait(WorkflowEnvironment.start_local(connection=hotmesh_connection, namespace=namespace))
        yield environment
        _wait(_delete_namespace(environment))
    _wait(environment.shutdown())


@pytest.fixture
def hotmesh_time_skipping() -> Generator[WorkflowEnvironment]:
    """An environment on a clock that skips; always in memory, as its clock is no other process's."""
    from .testing import WorkflowEnvironment

    environment = _wait(WorkflowEnvironment.start_time_skipping())
    yield environment
    _wait(environment.shutdown())


@pytest.fixture
def hotmesh_client(hotmesh_local: WorkflowEnvironment) -> Client:
    """The client of ``hotmesh_local``."""
    return hotmesh_local.client


class WorkerFactory:
    """Makes workers; what the fixture ``hotmesh_worker`` is."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def __call__(self, *workflows: type, client: Client | None = None, **options: Any) -> Worker:
        """A worker, to be used as ``async with hotmesh_worker(Greeting, activities=[greet]) as worker:``.

        Args:
            workflows: The classes that it knows; also ``workflows=[…]``, as in the SDK.
            client: By default that of the environment whose fixture the test uses; ``hotmesh_client`` if it uses none.
            options: As `temporalio.worker.Worker`'s. ``task_queue`` may be left out: one that nobody else uses is
                made; it is the worker's ``task_queue``.
        """
        from temporalio.worker import Worker

        classes = [*workflows, *options.pop("workflows", ())]
        queue = options.pop("task_queue", None) or f"tests-{uuid.uuid4()}"
        return Worker(client or self._client(), task_queue=queue, workflows=classes, **options)

    def _client(self) -> Client:
        used = {"hotmesh_time_skipping", "hotmesh_local"} & set(self._request.fixturenames)
        if len(used) > 1:
            raise pytest.UsageError("the test uses two environments: say hotmesh_worker(…, client=environment.client)")
        environment: WorkflowEnvironment = self._request.getfixturevalue(used.pop() if used else "hotmesh_local")
        return environment.client


@pytest.fixture
def hotmesh_worker(request: pytest.FixtureRequest) -> WorkerFactory:
    """Makes workers for the environment that the test uses; see `WorkerFactory`."""
    return WorkerFactory(request)


async def _delete_namespace(environment: WorkflowEnvironment) -> None:
    from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest

    client = environment.client
    await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace=client.namespace))


def _wait(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it on a thread of its own: this one may have an event loop, which is none of our business.

    Clients may be used from any loop.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
