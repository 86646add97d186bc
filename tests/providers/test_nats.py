"""NATS passes the conformance kit as far as it goes: stream and sub."""

from __future__ import annotations

import pytest
from hotmesh_temporal.providers.nats import NatsBackend

from hotmesh_temporal.conformance.stream_and_sub import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance.stream_and_sub import Connect
from hotmesh_temporal.contracts.backend import ConnectionSpec


@pytest.fixture
def connect(nats_url: str) -> Connect:
    """Backends on one server."""
    spec = ConnectionSpec("nats", url=nats_url)
    return lambda: NatsBackend(spec)
