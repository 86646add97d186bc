"""Postgres passes the conformance kit."""

from __future__ import annotations

import pytest
from hotmesh_temporal.providers.postgres import PostgresBackend

from hotmesh_temporal.conformance import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance import Connect
from hotmesh_temporal.contracts.backend import ConnectionSpec


@pytest.fixture
def connect(postgres_dsn: str) -> Connect:
    """Backends on one database."""
    spec = ConnectionSpec("postgres", url=postgres_dsn)
    return lambda: PostgresBackend(spec)
