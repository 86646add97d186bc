"""The one place that touches redis-py: what we use of it, typed."""

from __future__ import annotations

from typing import Any, Protocol

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

redis_module: Any = redis
async_module: Any = redis.asyncio
connection_module: Any = redis.asyncio.connection
exceptions: Any = redis.exceptions


class Connection(Protocol):
    """The part of ``redis.asyncio.Connection`` that this provider uses."""

    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = False) -> None: ...
    async def send_command(self, *args: Any) -> None: ...
    async def read_response(self, *, timeout: float | None = None, disconnect_on_error: bool = True) -> Any: ...
    @property
    def is_connected(self) -> bool: ...


def never_again() -> Any:
    """A retry policy of redis-py that tries nothing twice: whether a call may be repeated is ours to know."""
    return Retry(NoBackoff(), 0)


def is_closed_by_peer(connection: Connection) -> bool:
    """Whether the server has closed an idle connection, as far as the event loop knows. Costs no round trip."""
    reader = getattr(connection, "_reader", None)
    return reader is not None and bool(reader.at_eof())
