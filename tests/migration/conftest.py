"""A real Temporal server to move from, and an empty database to move to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.client import Client

import hotmesh_temporal.client
from tests.support.temporal_server import TemporalServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_server() -> AsyncIterator[TemporalServer]:
    """In memory, with one custom search attribute."""
    server = TemporalServer(search_attributes={"MigrationKeyword": "Keyword"})
    await server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest_asyncio.fixture
async def target_url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path / 'target.sqlite3'}"


@pytest_asyncio.fixture
async def target_client(target_url: str) -> AsyncIterator[Client]:
    """A client of it."""
    client = await hotmesh_temporal.client.Client.connect(connection=target_url)
    yield client
    await client.close()
