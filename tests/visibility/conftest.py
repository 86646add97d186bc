"""Databases for the tests of lists and counts, and an engine of this process on one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.frontend.server import Frontend
from tests.quorum.conftest import database, postgres_server, redis_server

__all__ = ["database", "postgres_server", "redis_server"]


@pytest_asyncio.fixture
async def engine(database: str) -> AsyncIterator[Frontend]:
    """An engine on a new database."""
    frontend = Frontend(resolve(connection=database).backend())
    await frontend.start()
    yield frontend
    await frontend.close()
