"""LISTEN: one connection per backend that hears every channel of interest, and comes back by itself."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any

from .database import Database
from .driver import Connection
from .errors import DRIVER_ERRORS
from .pool import close_gently

KEEPALIVE_S = 30.0
"""How often an idle listening connection is tried: a half-open one looks alive otherwise."""

LONGEST_RETRY_S = 5.0

log = logging.getLogger(__name__)

Callback = Callable[[str], None]


def channel_name(schema: str, app: int, kind: str, name: str = "") -> str:
    """The Postgres channel of a name: 63 bytes at most, so it is a hash. Databases keep channels apart already."""
    return (
        "hm_" + blake2b(f"{schema}\0{app}\0{kind}\0{name}".encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    )


def hint_channel(schema: str, app: int) -> str:
    """Where publications to streams are announced."""
    return channel_name(schema, app, "streams")


class Notices:
    """The listening connection, or its replacement by polling."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._callbacks: dict[str, Callback] = {}
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._changed = asyncio.Lock()
        self._using = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._heard = False

    async def listen(self, channel: str, callback: Callback) -> None:
        """Call ``callback`` with every payload of ``channel``; active when this returns."""
        if not self._db.settings.pooler:
            await self._to_the_end(self._listen(channel, callback))

    async def unlisten(self, channel: str) -> None:
        """Stop listening. No-op for an unknown channel."""
        await self._to_the_end(self._unlisten(channel))

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it also when the caller is cancelled: half a LISTEN would leave the shared connection unusable."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _listen(self, channel: str, callback: Callback) -> None:
        async with self._changed:
            new = channel not in self._callbacks
            self._callbacks[channel] = callback
            self._start()
            if new:
                await self._listen_now(channel)

    async def _unlisten(self, channel: str) -> None:
        async with self._changed:
            if self._callbacks.pop(channel, None) is None or self._connection is None:
                return
            try:
                async with self._using:
                    await self._connection.remove_listener(channel, self._hear)
            except DRIVER_ERRORS:
                self._lost.set()

    async def close(self) -> None:
        """Stop everything. Idempotent."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await close_gently(connection)

    # -- the connection -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._keep_listening(), name="hotmesh-listen")

    async def _listen_now(self, channel: str) -> None:
        """LISTEN on the present connection; if there is none within a moment, the next one will do it."""
        try:
            await asyncio.wait_for(self._ready.wait(), 5)
            async with self._using:
                if self._connection is not None:
                    await self._connection.add_listener(channel, self._hear)
        except DRIVER_ERRORS:
            self._lost.set()

    async def _keep_listening(self) -> None:
        delay = 0.1
        while True:
            try:
                await self._connect()
                delay = 0.1
                await self._stay()
            except DRIVER_ERRORS as error:
                log.debug("listening connection failed: %s", error)
            self._disconnect()
            await asyncio.sleep(delay * random.uniform(0.7, 1.3))
            delay = min(delay * 2, LONGEST_RETRY_S)

    async def _connect(self) -> None:
        self._lost.clear()
        connection = await self._db.pool.connect()
        connection.add_termination_listener(lambda *_: self._lost.set())
        async with self._using:
            self._connection = connection
            for channel in list(self._callbacks):
                await connection.add_listener(channel, self._hear)
            self._ready.set()

    async def _stay(self) -> None:
        """Return when the connection is lost. One on which something was heard needs no proof that it is there."""
        while not self._lost.is_set():
            self._heard = False
            try:
                await asyncio.wait_for(self._lost.wait(), KEEPALIVE_S)
            except asyncio.TimeoutError:
                if not self._heard:
                    await self._prove()

    async def _prove(self) -> None:
        async with self._using:
            if self._connection is not None:
                await self._connection.execute("SELECT 1")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._ready.clear()
        if connection is not None:
            connection.terminate()

    def _hear(self, _connection: object, _pid: int, channel: str, payload: str) -> None:
        self._heard = True
        callback = self._callbacks.get(channel)
        if callback is not None:
            callback(payload)
