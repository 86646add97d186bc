"""Fixtures of the kit. The module under test adds one of its own: ``connect``, see the package's docstring."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

import pytest
import pytest_asyncio

from ..contracts.backend import Backend
from ..contracts.search import SearchService
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.sub import SubService
from . import support

Connect = Callable[[], Backend]
"""Makes a new, unopened backend; every call reaches the same database."""


class OpenBackend(Protocol):
    """Opens one more backend on the database of the test; it is closed after the test."""

    async def __call__(self, *, namespace: str = "", app_id: str = "") -> Backend: ...


@dataclass(frozen=True)
class Names:
    """The namespace and app of one test. No other test has them, so the database needs no cleaning."""

    namespace: str
    app_id: str


@pytest.fixture
def names() -> Names:
    """Fresh names."""
    return Names(f"ns{uuid.uuid4().hex[:10]}", "app")


@pytest_asyncio.fixture
async def open_backend(connect: Connect, names: Names) -> AsyncIterator[OpenBackend]:
    """See `OpenBackend`."""
    opened: list[Backend] = []

    async def open_one(*, namespace: str = "", app_id: str = "") -> Backend:
        backend = connect()
        opened.append(backend)
        await backend.open(namespace or names.namespace, app_id or names.app_id, f"engine-{uuid.uuid4().hex[:8]}")
        return backend

    yield open_one
    for backend in opened:
        await backend.close()


@pytest_asyncio.fixture
async def backend(open_backend: OpenBackend) -> Backend:
    """An opened backend."""
    return await open_backend()


@pytest_asyncio.fixture
async def peer(open_backend: OpenBackend) -> Backend:
    """A second one, as another process would have it: same database, namespace and app."""
    return await open_backend()


@pytest.fixture
def store(backend: Backend) -> StoreService:
    """The store of `backend`."""
    return support.store_of(backend)


@pytest.fixture
def peer_store(peer: Backend) -> StoreService:
    """The store of `peer`."""
    return support.store_of(peer)


@pytest.fixture
def stream(backend: Backend) -> StreamService:
    """The stream service of `backend`."""
    return support.stream_of(backend)


@pytest.fixture
def peer_stream(peer: Backend) -> StreamService:
    """The stream service of `peer`."""
    return support.stream_of(peer)


@pytest.fixture
def sub(backend: Backend) -> SubService:
    """The sub service of `backend`."""
    return support.sub_of(backend)


@pytest.fixture
def peer_sub(peer: Backend) -> SubService:
    """The sub service of `peer`."""
    return support.sub_of(peer)


@pytest.fixture
def search(backend: Backend) -> SearchService:
    """The search service of `backend`."""
    return support.search_of(backend)


@pytest.fixture
def orders(stream: StreamService) -> str:
    """The name of an unused stream."""
    return support.stream_name(stream)
