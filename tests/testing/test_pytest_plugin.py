"""The pytest plugin: in this session, and in projects of other people."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import ListNamespacesRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner

import hotmesh_temporal.client
from hotmesh_temporal.pytest_plugin import WorkerFactory
from hotmesh_temporal.testing import WorkflowEnvironment
from tests.support.postgres_server import PostgresServer


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.sleep(0.01)
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=5))


@workflow.defn
class Month:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=30))
        return "over"


RUNNER = UnsandboxedWorkflowRunner()


async def test_client_and_worker(hotmesh_client: Client, hotmesh_worker: WorkerFactory) -> None:
    async with hotmesh_worker(Greeting, activities=[greet], workflow_runner=RUNNER) as worker:
        result = await hotmesh_client.execute_workflow(Greeting.run, "Ada", id="greeting", task_queue=worker.task_queue)
    assert result == "Hello, Ada!"


async def test_the_worker_is_one_of_the_environment_in_use(
    hotmesh_time_skipping: WorkflowEnvironment, hotmesh_worker: WorkerFactory
) -> None:
    client = hotmesh_time_skipping.client
    async with hotmesh_worker(workflows=[Month], task_queue="months", workflow_runner=RUNNER) as worker:
        assert worker.task_queue == "months"
        # The id of the test before: each test has a database of its own.
        assert await client.execute_workflow(Month.run, id="greeting", task_queue="months") == "over"


async def test_two_environments_in_one_test(
    hotmesh_time_skipping: WorkflowEnvironment, hotmesh_local: WorkflowEnvironment, hotmesh_worker: WorkerFactory
) -> None:
    with pytest.raises(pytest.UsageError, match=r"client=environment\.client"):
        hotmesh_worker(Month)
    async with hotmesh_worker(Greeting, client=hotmesh_local.client, activities=[greet], workflow_runner=RUNNER) as one:
        assert one.client.service_client is hotmesh_local.client.service_client
    assert not hotmesh_local.supports_time_skipping
    assert hotmesh_time_skipping.supports_time_skipping


USERS_TESTS = """
import asyncio
import sys

import pytest
from temporalio import workflow

{pytestmark}


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {{name}}!"


@pytest.fixture
def client():
    return "of the user"


@pytest.mark.parametrize("name", ["Ada", "Bob"])
async def test_each_test_is_alone(client, hotmesh_client, hotmesh_worker, name):
    assert client == "of the user"
    async with hotmesh_worker(Greeting) as worker:
        handle = await hotmesh_client.start_workflow(Greeting.run, name, id="same", task_queue=worker.task_queue)
        assert await handle.result() == f"Hello, {{name}}!"
    assert [each.id async for each in hotmesh_client.list_workflows()] == ["same"]


def test_without_a_plugin_for_coroutines(hotmesh_client, hotmesh_worker):
    async def main():
        async with hotmesh_worker(Greeting) as worker:
            return await hotmesh_client.execute_workflow(Greeting.run, "Eve", id="same", task_queue=worker.task_queue)

    assert asyncio.run(main()) == "Hello, Eve!"
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


def play(folder: Path, tests: str, *arguments: str, **variables: str) -> str:
    """Run tests as somebody's project that knows nothing of this one's settings."""
    (folder / "test_theirs.py").write_text(tests)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HOTMESH_", "PYTEST_"))}
    # pytest-asyncio warns while its setting is not made.
    settings = ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", "-q", *settings, *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**environ, **variables}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_users_project_in_memory(tmp_path: Path) -> None:
    marked = USERS_TESTS.format(pytestmark="")
    assert "3 passed" in play(tmp_path, marked, "-o", "asyncio_mode=auto", "-o", "hotmesh=sqlite")


def test_a_users_project_on_postgres(tmp_path: Path, postgres: PostgresServer) -> None:
    """In pytest-asyncio's strict mode, with one loop for the session, and the database by the environment."""
    url = postgres.new_database()
    marked = USERS_TESTS.format(pytestmark="on_a_loop = pytest.mark.asyncio(loop_scope='session')").replace(
        "@pytest.mark.parametrize", "@on_a_loop\n@pytest.mark.parametrize"
    )
    assert "3 passed" in play(tmp_path, marked, HOTMESH_TEST_CONNECTION=url)
    assert set(asyncio.run(namespaces(url))) == {"default", "temporal-system"}


def test_the_option_comes_first(tmp_path: Path) -> None:
    tests = """
def test_connection(hotmesh_connection):
    assert hotmesh_connection == "sqlite:///first.sqlite3"
"""
    first, later = "--hotmesh=sqlite:///first.sqlite3", "sqlite:///later.sqlite3"
    # The fixture is asked for, and nobody connects: no SDK, no file.
    play(tmp_path, tests, first, "-o", f"hotmesh={later}", HOTMESH_TEST_CONNECTION=later)
    assert not list(tmp_path.glob("*.sqlite3"))


def test_who_does_not_use_it_does_not_pay(tmp_path: Path) -> None:
    tests = """
import sys

def test_nothing_is_imported():
    assert "hotmesh_temporal.pytest_plugin" in sys.modules
    heavy = {"temporalio", "grpc", "google.protobuf", "hotmesh_temporal.testing", "hotmesh_temporal.client"}
    assert not heavy & sys.modules.keys()
"""
    play(tmp_path, tests)


async def namespaces(url: str) -> list[str]:
    """The names of those that are left; deleted ones have another name until their data is gone."""
    client = await hotmesh_temporal.client.Client.connect(connection=url)
    reply = await client.workflow_service.list_namespaces(ListNamespacesRequest(page_size=100))
    await client.close()
    return [each.namespace_info.name for each in reply.namespaces]
