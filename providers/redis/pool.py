"""Connections for commands: taken, given back, opened when needed; in a cluster, to the node that has the slot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from hotmesh_temporal.contracts.errors import Unavailable

from .driver import Connection, exceptions, is_closed_by_peer
from .errors import DRIVER_ERRORS, contract_error, is_lost
from .settings import Settings


class NotSent(Exception):
    """There is no connection, so that nothing was sent; the cause says why."""


class Pool:
    """Up to ``max_connections`` connections to one server. Lives on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = dict(settings.options)
        self._idle: list[Connection] = []
        self._limit = asyncio.Semaphore(settings.max_connections)
        self._closed = False

    def new_connection(self) -> Connection:
        """A connection of the caller's own, not opened yet."""
        connection: Connection = self._settings.connection_class(**self._options)
        return connection

    async def execute(self, *command: Any) -> Any:
        """Send one command and return its reply. Raises what the driver raises, `NotSent` if nothing was sent."""
        for _ in range(5):
            async with self._connection() as connection:
                await connection.send_command(*command)
                try:
                    return await connection.read_response()
                except exceptions.MovedError as moved:
                    # Nothing was done: another node has the slot.
                    target = (moved.host or self._options.get("host"), moved.port)
            await self._move(*target)
        raise exceptions.ClusterError("CLUSTERDOWN the nodes send us to one another")

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        await self._drop_idle()

    async def _move(self, host: Any, port: Any) -> None:
        if (self._options.get("host"), self._options.get("port")) != (host, port):
            self._options |= {"host": host, "port": int(port)}
            await self._drop_idle()

    async def find_slot(self, slot: int) -> None:
        """Ask any node of the cluster, those seen before too, who has the slot now."""
        self._options |= {"host": self._settings.options["host"], "port": self._settings.options["port"]}

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await _end(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        async with self._limit:
            if self._closed:
                raise Unavailable("this connection is closed: open a new client")
            connection = await self._take()
            try:
                yield connection
            finally:
                if self._closed or not connection.is_connected:
                    await _end(connection)
                else:
                    self._idle.append(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected and not is_closed_by_peer(connection):
                return connection
            await _end(connection)
        connection = self.new_connection()
        try:
            await connection.connect()
        except DRIVER_ERRORS as error:
            await _end(connection)
            raise NotSent from error
        except BaseException:
            await _end(connection)
            raise
        return connection


async def _end(connection: Connection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except DRIVER_ERRORS as error:
        # It is gone in any case.
        del error


__all__ = ["NotSent", "Pool", "contract_error", "is_lost"]
