"""Real database servers for the provider tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nats_server import NatsServer
from tests.support.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private Postgres server."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """A database for the whole run; tests keep apart by namespace."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A private NATS server."""
    with NatsServer() as server:
        yield server


@pytest.fixture(scope="session")
def nats_url(nats_server: NatsServer) -> str:
    """A server for the whole run; tests keep apart by namespace."""
    return nats_server.url
