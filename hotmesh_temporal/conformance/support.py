"""Small helpers of the conformance tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from ..contracts.backend import Backend
from ..contracts.search import SearchService
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.sub import SubService
from ..contracts.types import KeyParams, KeyType, Transaction

T = TypeVar("T")

GROUP = "WORKER"


class ForeignTransaction(Transaction):
    """A transaction that no provider made."""

    async def exec(self) -> list[Any]:
        """Never reached: providers refuse it before."""
        raise AssertionError("a foreign transaction was executed")


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


async def eventually(check: Callable[[], Awaitable[T]], timeout: float = 5.0) -> T:
    """The first true result of ``check``, asked every 20 ms; fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = await check()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout} s: {check}"
        await asyncio.sleep(0.02)


async def outcome(call: Awaitable[T]) -> T | Exception:
    """The result of a call, or the error that it raised."""
    try:
        return await call
    except Exception as error:
        return error


def store_of(backend: Backend) -> StoreService:
    """The store; skips the test if the backend offers none."""
    return backend.store if backend.store is not None else pytest.skip("the backend offers no store")


def stream_of(backend: Backend) -> StreamService:
    """The stream service; skips the test if the backend offers none."""
    return backend.stream if backend.stream is not None else pytest.skip("the backend offers no stream")


def sub_of(backend: Backend) -> SubService:
    """The sub service; skips the test if the backend offers none."""
    return backend.sub if backend.sub is not None else pytest.skip("the backend offers no sub")


def search_of(backend: Backend) -> SearchService:
    """The search service; skips the test if the backend offers none."""
    return backend.search if backend.search is not None else pytest.skip("the backend offers no search")


def stream_name(stream: StreamService, topic: str = "orders") -> str:
    """The minted name of a worker stream."""
    return stream.mint_key(KeyType.STREAMS, KeyParams(topic=topic))
