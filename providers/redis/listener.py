"""The one connection of a backend that hears channels and patterns, and comes back by itself when it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from hotmesh_temporal.contracts.errors import Unavailable

from .database import Database
from .driver import Connection
from .errors import DRIVER_ERRORS, contract_error
from .pool import end_connection

KEEPALIVE_S = 30.0
"""How often an idle connection is tried: a half-open one looks alive otherwise."""

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
PATIENCE_S = 15.0
"""How long a new subscription waits for a server that is away."""

log = logging.getLogger(__name__)

Callback = Callable[[str, bytes], None]
"""Gets the channel and the message."""


class _Interest:
    """A channel or pattern that somebody wants to hear; ``active`` while the server knows of it."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.active = asyncio.Event()


class Listener:
    """Subscriptions of one backend. Nothing is connected before the first one."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._wanted: dict[tuple[bool, bytes], _Interest] = {}
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self.on_return: list[Callable[[], None]] = []

    @property
    def connected(self) -> bool:
        """Whether messages can arrive now."""
        return self._connection is not None

    async def listen(self, name: str, callback: Callback, *, pattern: bool = False) -> None:
        """Call ``callback`` for every message of a channel or pattern; active when this returns.

        Raises `Unavailable` if the server cannot be reached for a while; then nothing is subscribed.
        """
        key = (pattern, name.encode())
        interest = self._wanted.get(key)
        if interest is None:
            interest = self._wanted[key] = _Interest(callback)
            await self._tell("PSUBSCRIBE" if pattern else "SUBSCRIBE", key[1])
        self._start()
        try:
            await asyncio.wait_for(interest.active.wait(), PATIENCE_S)
        except asyncio.TimeoutError:
            self._wanted.pop(key, None)
            cause = self._error or TimeoutError("no answer to SUBSCRIBE")
            raise contract_error(cause, self._db.settings.place) from cause

    async def unlisten(self, name: str, *, pattern: bool = False) -> None:
        """Stop hearing. No-op for what is not heard."""
        key = (pattern, name.encode())
        if self._wanted.pop(key, None) is not None:
            await self._tell("PUNSUBSCRIBE" if pattern else "UNSUBSCRIBE", key[1])

    async def close(self) -> None:
        """End everything. Idempotent."""
        self._closed = True
        self._wanted.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _start(self) -> None:
        if self._closed:
            raise Unavailable("this connection is closed: open a new client")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hotmesh-redis-listener")

    async def _tell(self, *command: Any) -> None:
        """Send a command on the connection, if there is one; a new one begins with all that is wanted."""
        if self._connection is not None:
            try:
                await self._connection.send_command(*command)
            except DRIVER_ERRORS as error:
                log.debug("the listening connection broke: %s", error)

    async def _run(self) -> None:
        pause, was_lost = FIRST_PAUSE_S, False
        while True:
            connection: Connection | None = None
            try:
                connection = await self._db.pool.new_connection()
                await self._begin(connection)
                if was_lost:
                    log.warning("subscriptions to Redis at %s are back", self._db.settings.place)
                for callback in self.on_return:
                    callback()
                pause, was_lost = FIRST_PAUSE_S, False
                await self._read(connection)
            except DRIVER_ERRORS as error:
                self._error = error
                if not was_lost:
                    problem = contract_error(error, self._db.settings.place)
                    log.warning("subscriptions wait for Redis and come back by themselves: %s", problem)
                was_lost = True
            finally:
                self._connection = None
                for interest in self._wanted.values():
                    interest.active.clear()
                if connection is not None:
                    await end_connection(connection)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _begin(self, connection: Connection) -> None:
        await connection.connect()
        # Commands of others go out on it from here on; what was wanted until now is asked for here.
        self._connection = connection
        for pattern, name in list(self._wanted):
            await connection.send_command("PSUBSCRIBE" if pattern else "SUBSCRIBE", name)

    async def _read(self, connection: Connection) -> None:
        waiting_for_pong = False
        while True:
            try:
                reply = await connection.read_response(timeout=KEEPALIVE_S, disconnect_on_error=False)
            except DRIVER_ERRORS as error:
                if waiting_for_pong or not _is_timeout(error):
                    raise
                await connection.send_command("PING")
                waiting_for_pong = True
                continue
            waiting_for_pong = False
            self._hear(reply)

    def _hear(self, reply: Any) -> None:
        match reply:
            case [b"message", channel, message]:
                self._deliver((False, channel), channel, message)
            case [b"pmessage", pattern, channel, message]:
                self._deliver((True, pattern), channel, message)
            case [b"subscribe" | b"psubscribe" as kind, name, _]:
                interest = self._wanted.get((kind == b"psubscribe", name))
                if interest is not None:
                    interest.active.set()
            case _:
                # Pongs, and ends of subscriptions.
                pass

    def _deliver(self, key: tuple[bool, bytes], channel: bytes, message: bytes) -> None:
        interest = self._wanted.get(key)
        if interest is None:
            return
        try:
            interest.callback(channel.decode(), message)
        except Exception:
            log.exception("a message of %r could not be handled", channel)


def _is_timeout(error: BaseException) -> bool:
    return "Timeout" in type(error).__name__ or isinstance(error, TimeoutError)
