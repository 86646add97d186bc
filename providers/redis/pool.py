"""Connections for commands: taken, given back, opened when needed; in a cluster, to the node that has the slot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from hotmesh_temporal.contracts.errors import Unavailable

from .driver import Connection, exceptions, is_closed_by_peer
from .errors import DRIVER_ERRORS, is_refused
from .settings import Settings

_MOST_MOVES = 5
WAIT_MS = 1000
"""How long a commit waits for the replicas that must have it."""

log = logging.getLogger(__name__)


class NotSent(Exception):
    """There is no connection, so that nothing was sent; the cause says why."""


class Pool:
    """Up to ``max_connections`` connections to one server. Lives on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = dict(settings.options)
        self._nodes: list[tuple[Any, Any]] = []
        self._idle: list[Connection] = []
        self._limit = asyncio.Semaphore(settings.max_connections)
        self._closed = False

    async def new_connection(self) -> Connection:
        """A connection of the caller's own, not opened yet. Raises what the driver raises if no primary is known."""
        if self._settings.sentinels is not None:
            host, port = await self._settings.sentinels.primary()
            await self._go_to(host, port)
        connection: Connection = self._settings.connection_class(**self._options)
        return connection

    async def execute(self, *command: Any, replicas: int = 0) -> Any:
        """Send one command and return its reply, once so many replicas have what it wrote.

        Raises what the driver raises, `NotSent` if nothing was sent, and `Unavailable` for want of replicas.
        """
        for _ in range(_MOST_MOVES):
            async with self._connection() as connection:
                try:
                    return await _exchange(connection, command, replicas)
                except exceptions.MovedError as moved:
                    # Nothing was done: another node has the slot. (A slot on the move is not followed, see the README.)
                    target = (moved.host or self._options.get("host"), moved.port)
                    # Others may be on their way there already: this connection must not be among the idle ones again.
                    await end_connection(connection)
                except exceptions.RedisError as error:
                    if is_refused(error):
                        # The next one may lead to another server behind the same name.
                        await end_connection(connection)
                    raise
            await self._go_to(*target)
        raise exceptions.ClusterDownError("CLUSTERDOWN its nodes send us to one another")

    async def learn_nodes(self) -> None:
        """Remember every node of the cluster, so that the loss of one is no loss of contact."""
        for _, _, *nodes in await self.execute("CLUSTER", "SLOTS"):
            for host, port, *_ in nodes:
                place = (host.decode() or self._options.get("host"), int(port))
                if place not in self._nodes:
                    self._nodes.append(place)

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        await self._drop_idle()

    async def _go_to(self, host: Any, port: Any) -> None:
        if (self._options.get("host"), self._options.get("port")) != (host, int(port)):
            log.debug("the slot of the app is on %s:%s", host, port)
            self._options |= {"host": host, "port": int(port)}
            await self._drop_idle()

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await end_connection(connection)

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
                    await end_connection(connection)
                else:
                    self._idle.append(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected and not is_closed_by_peer(connection):
                return connection
            await end_connection(connection)
        try:
            return await self._open()
        except DRIVER_ERRORS as error:
            await self._try_another_node()
            raise NotSent from error

    async def _open(self) -> Connection:
        connection = await self.new_connection()
        try:
            await connection.connect()
        except BaseException:
            await end_connection(connection)
            raise
        return connection

    async def _try_another_node(self) -> None:
        """The next attempt goes to the next node of the cluster, which knows who has the slot by now."""
        if self._nodes:
            here = (self._options.get("host"), self._options.get("port"))
            place = self._nodes.index(here) if here in self._nodes else -1
            await self._go_to(*self._nodes[(place + 1) % len(self._nodes)])


async def _exchange(connection: Connection, command: tuple[Any, ...], replicas: int) -> Any:
    """A command and its reply; with ``replicas`` also the question how many have it, in the same round trip."""
    await connection.send_command(*command)
    if not replicas:
        return await connection.read_response()
    await connection.send_command("WAIT", replicas, WAIT_MS)
    try:
        reply = await connection.read_response()
    except exceptions.ResponseError:
        with suppress(exceptions.ResponseError):
            await connection.read_response()
        raise
    except BaseException:
        # The second reply may still come.
        await end_connection(connection)
        raise
    reached = await connection.read_response()
    if reached < replicas:
        raise Unavailable(
            f"{reached} of {replicas} replicas have what was written after {WAIT_MS} ms (option wait_replicas): it is "
            "there, but a failover may lose it"
        )
    return reply


async def end_connection(connection: Connection) -> None:
    """Close a connection, whatever state it is in."""
    try:
        await connection.disconnect(nowait=True)
    except DRIVER_ERRORS as error:
        log.debug("a connection ended badly: %s", error)
