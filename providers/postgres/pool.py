"""A small pool of asyncpg connections.

asyncpg's own pool costs two to three times as much CPU as the query itself (proxies, reset, context managers). This
one hands out plain connections; everything that runs on them leaves no session state behind, so nothing is reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

from .driver import Connection, asyncpg_module
from .settings import Settings

IDLE_S = 60.0
"""Connections beyond the first one are closed after being idle for this long."""

CLOSE_TIMEOUT_S = 2.0


class ConnectionPool:
    """Connections of one event loop, at most ``settings.max_size`` at a time. Driver errors pass through."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[tuple[Connection, float]] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._open = 0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()
        self._trimmer: asyncio.TimerHandle | None = None

    async def acquire(self) -> Connection:
        """A connection that nobody else uses until `release`; waits while all are in use."""
        while True:
            connection = self._take_idle()
            if connection is None and self._open < self._settings.max_size:
                connection = await self._open_counted()
            if connection is None:
                connection = await self._wait()
            if connection is not None:
                if self._settings.setup is not None:
                    await self._set_up(connection)
                return connection

    def release(self, connection: Connection, *, broken: bool = False) -> None:
        """Give a connection back. ``broken``: its state is unknown, so it is thrown away."""
        if broken or self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._open -= 1
            self._wake(None)
        elif not self._wake(connection):
            self._idle.append((connection, asyncio.get_running_loop().time()))
            if len(self._idle) > 1 and self._trimmer is None:
                self._trimmer = asyncio.get_running_loop().call_later(IDLE_S, self._trim)

    async def connect(self) -> Connection:
        """A new connection that does not count: for LISTEN."""
        settings = self._settings
        connect: Any = settings.connect or asyncpg_module.connect
        args = (settings.dsn,) if settings.dsn else ()
        connection = cast(Connection, await connect(*args, **settings.connect_options))
        if settings.init is not None:
            await settings.init(connection)
        return connection

    async def close(self) -> None:
        """Close idle connections at once; one in use is closed when it is released. Idempotent."""
        self._closed = True
        if self._trimmer is not None:
            self._trimmer.cancel()
        await self.close_idle()
        while self._wake(None):
            pass

    async def close_idle(self) -> None:
        """Close the connections that nobody uses now."""
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        await asyncio.gather(*(close_gently(connection) for connection, _ in idle))

    # -- details ----------------------------------------------------------------------------------------------

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        return None

    async def _open_counted(self) -> Connection:
        if self._closed:
            raise asyncpg_module.InterfaceError("the connection is closed")
        self._open += 1
        try:
            return await self.connect()
        except BaseException:
            self._open -= 1
            self._wake(None)
            raise

    async def _wait(self) -> Connection | None:
        if self._closed:
            raise asyncpg_module.InterfaceError("the connection is closed")
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        if connection is None:
            self._wake(None)
        else:
            self.release(connection)

    def _wake(self, connection: Connection | None) -> bool:
        """Hand a connection (None: the right to open one) to the first waiter. False: nobody waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _set_up(self, connection: Connection) -> None:
        assert self._settings.setup is not None
        try:
            await self._settings.setup(connection)
        except BaseException:
            self.release(connection, broken=True)
            raise

    def _trim(self) -> None:
        """Close what was idle too long. The oldest are first, because the last one released is used first."""
        loop = asyncio.get_running_loop()
        self._trimmer = None
        while len(self._idle) > 1 and self._idle[0][1] <= loop.time() - IDLE_S:
            connection, _ = self._idle.pop(0)
            self._open -= 1
            closing = loop.create_task(close_gently(connection))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if len(self._idle) > 1:
            self._trimmer = loop.call_later(IDLE_S, self._trim)


async def close_gently(connection: Connection) -> None:
    """Say good-bye to the server; if that takes too long, hang up."""
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_S)
    except (OSError, asyncio.TimeoutError, asyncpg_module.PostgresError, asyncpg_module.InterfaceError):
        connection.terminate()
