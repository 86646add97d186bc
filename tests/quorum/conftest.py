"""Databases for the tests of the quorum, and engines in processes of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.frontend.server import Frontend
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

Launch = Callable[[], int]
"""Start a worker process on the database; its process id."""

LaunchEngine = Callable[..., "subprocess.Popen[bytes]"]
"""Start an engine without workers on the database, with these arguments."""


def engine_on(path: Path) -> Frontend:
    """An engine of this process on a SQLite file; not started."""
    return Frontend(SqliteBackend(ConnectionSpec(provider="sqlite", url=f"sqlite:///{path}")))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private Postgres server."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private Redis server."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        redis.command("FLUSHALL")
        return redis.url
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def launch_engine(database: str) -> Iterator[LaunchEngine]:
    """Starts engines without workers; what still runs is killed with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, "-m", "tests.quorum.batch_process", database, *arguments])
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def launch(database: str) -> Iterator[Launch]:
    """Starts workers; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start() -> int:
            process = subprocess.Popen([sys.executable, "-m", "tests.quorum.worker_process", database])
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            return process.pid

        yield start
