"""Redis and Valkey pass the conformance kit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hotmesh_temporal.providers.redis import RedisBackend

from hotmesh_temporal.conformance import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance import Connect
from hotmesh_temporal.contracts.backend import ConnectionSpec
from tests.support.redis_server import KINDS, RedisServer, find_binary, search_module


def _kinds() -> list[Any]:
    """Every version that we know; one is left out only where it cannot be had."""
    return [pytest.param(kind, marks=_needs(kind)) for kind in KINDS]


def _needs(kind: str) -> list[pytest.MarkDecorator]:
    try:
        find_binary(kind)
    except FileNotFoundError as error:
        return [pytest.mark.skip(reason=str(error))]
    return []


@pytest.fixture(scope="session", params=_kinds())
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A private server for the whole run, Redis 7 with the search module; tests keep apart by namespace."""
    module = search_module() if request.param == "redis7" else None
    with RedisServer(request.param, {"loadmodule": str(module)} if module else None) as server:
        yield server.url


@pytest.fixture
def connect(redis_url: str) -> Connect:
    """Backends on one server."""
    spec = ConnectionSpec("redis", url=redis_url)
    return lambda: RedisBackend(spec)
