"""SQLite passes the conformance kit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.conformance import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance import Connect
from hotmesh_temporal.contracts.backend import ConnectionSpec


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Backends on one file."""
    spec = ConnectionSpec("sqlite", options={"path": str(tmp_path / "kit.sqlite3")})
    return lambda: SqliteBackend(spec)
