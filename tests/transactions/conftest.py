"""A shop on each database that can take part in an application's transactions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotmesh_temporal.client import Client
from tests.support.postgres_server import PostgresServer
from tests.transactions.shop import Shop


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private Postgres server."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """An empty one, on each database."""
    if request.param == "sqlite":
        made = Shop(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made = Shop(server.new_database())
    await made.open()
    return made


@pytest.fixture
async def postgres(postgres_server: PostgresServer) -> Shop:
    """An empty one on Postgres."""
    made = Shop(postgres_server.new_database())
    await made.open()
    return made


@pytest.fixture
async def client(shop: Shop) -> AsyncGenerator[Client, None]:
    """A client of the shop's database."""
    made = await Client.connect(connection=shop.url)
    yield made
    await made.close()


@pytest.fixture
async def connection(shop: Shop, client: Client) -> AsyncGenerator[Any, None]:
    """A connection of the application's own."""
    made = await shop.connect()
    yield made
    await shop.close(made)
