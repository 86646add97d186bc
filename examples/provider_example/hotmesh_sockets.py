"""A provider of notices (``sub``) between the processes of one machine, over Unix sockets in a folder.

For a store whose own notices are slow or not wanted: Postgres behind a pooler that lets nobody listen, say. Nothing
goes through the database then, and a process that waits is woken at once::

    connections={"store": "postgresql://host/orders", "sub": "sockets:///run/orders"}

Every service listens on a socket of its own in the folder; to publish is to write to each of the others. A socket that
nobody listens on any more was left by a process that died, and is removed by whoever finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import secrets
import struct
from collections import deque
from pathlib import Path

from hotmesh_temporal.contracts import (
    Backend,
    ConnectionSpec,
    InvalidArgument,
    JsonObject,
    KeyParams,
    KeyType,
    NotSupported,
    SubscriptionCallback,
    SubService,
    Transaction,
    Unavailable,
)
from hotmesh_temporal.contracts.keys import mint_key, validate_names

log = logging.getLogger(__name__)

_LENGTH = struct.Struct("!I")
_LONGEST_PATH = 100
"""Bytes that a system takes as the path of a socket, with some room: 104 on macOS, 108 on Linux."""

_WAITING_BYTES = 16 << 20
"""What is kept for a process that does not read; more is lost, as a notice may be."""

_CLOSE_SECONDS = 1.0


class SocketsBackend(Backend):
    """See the module. The folder comes from the URL (``sockets:///run/orders``) or the option ``folder``."""

    def __init__(self, spec: ConnectionSpec) -> None:
        if spec.existing is not None:
            raise InvalidArgument("there is no client to give: connect with sockets:///folder")
        folder = str(spec.options.get("folder", "")) or spec.url.partition("://")[2]
        if not folder.startswith("/"):
            raise InvalidArgument(f"{folder!r} is no absolute path: write sockets:///run/orders")
        self._folder = Path(folder)
        self.sub = self._sub = SocketsSub(self._folder)

    @property
    def identity(self) -> str:
        """See the contract."""
        return f"sockets:{self._folder.resolve()}"

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See the contract."""
        await self._sub.init(namespace, app_id, engine_id)

    async def close(self) -> None:
        """See the contract."""
        await self._sub.close()


class SocketsSub(SubService):
    """See `SubService`. Every notice goes to every process; each chooses what it has subscribed to."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._names = ("", "")
        self._exact: dict[str | None, list[SubscriptionCallback]] = {}
        self._patterns: dict[str, list[SubscriptionCallback]] = {}
        self._socket: Path | None = None
        self._listener: asyncio.Server | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._peers: dict[str, _Peer] = {}

    async def init(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See the contract."""
        validate_names(namespace, app_id)
        if self._socket is not None:
            return
        # Apps share a folder, but hear nothing of each other.
        folder = self._root / hashlib.sha256(f"{namespace}:{app_id}".encode()).hexdigest()[:12]
        path = folder / secrets.token_hex(4)
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise Unavailable(f"{path} is too long for a socket: choose a folder with a shorter path")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Its name tells that it is listened on; until then it has another one.
            early = folder / f".{path.name}"
            self._listener = await asyncio.start_unix_server(self._hear, early)
            early.rename(path)
        except OSError as error:
            raise Unavailable(f"no socket can be made in {folder} ({error}): give a folder that is yours") from error
        self._socket, self._names = path, (namespace, app_id)

    async def close(self) -> None:
        """See the contract. What was published is sent, if others take it within a second."""
        self._exact.clear()
        self._patterns.clear()
        if self._listener is None or self._socket is None:
            return
        self._listener.close()
        self._listener = None
        self._socket.unlink(missing_ok=True)
        for peer in self._peers.values():
            peer.end()
        sending = [peer.task for peer in self._peers.values()]
        if sending:
            await asyncio.wait(sending, timeout=_CLOSE_SECONDS)
        for task in (*sending, *self._readers):
            task.cancel()
        await asyncio.gather(*sending, *self._readers, return_exceptions=True)

    def transaction(self) -> Transaction:
        """See the contract."""
        raise NotSupported("sockets know no transactions: publish after the commit")

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """See the contract."""
        return mint_key(*self._names, key_type, params)

    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._exact.setdefault(topic, []).append(callback)

    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._exact.pop(topic, None)

    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        if topic is None or not topic.endswith("*") or "*" in topic[:-1]:
            raise InvalidArgument(f"pattern {topic!r} must end in '*' and have no other one")
        self._patterns.setdefault(topic[:-1], []).append(callback)

    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._patterns.pop((topic or "").removesuffix("*"), None)

    def _deliver(self, notice: bytes) -> None:
        topic, message = json.loads(notice)
        callbacks = list(self._exact.get(topic, []))
        for prefix, more in self._patterns.items():
            callbacks += more if (topic or "").startswith(prefix) else []
        for callback in callbacks:
            try:
                callback(topic or "", dict(message))
            except Exception:
                log.exception("a subscription callback of topic %r failed", topic)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read from one of the others, until it is gone."""
        task = asyncio.current_task()
        assert task is not None, "a server runs this as a task"
        self._readers.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                while True:
                    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                    self._deliver(await reader.readexactly(length))
        finally:
            self._readers.discard(task)
            writer.close()

    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        """See the contract."""
        own = self._check(key_type, app_id)
        try:
            notice = json.dumps([topic, dict(message)]).encode()
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the message is not JSON: {error}") from error
        asyncio.get_running_loop().call_soon(self._deliver, notice)
        for name in os.listdir(own.parent):
            if name != own.name and not name.startswith("."):
                self._peer(own.parent / name).send(notice)
        return True

    def _peer(self, path: Path) -> _Peer:
        peer = self._peers.get(path.name)
        if peer is None or peer.task.done():
            self._peers = {name: each for name, each in self._peers.items() if not each.task.done()}
            peer = self._peers[path.name] = _Peer(path)
        return peer

    def _check(self, key_type: KeyType, app_id: str) -> Path:
        self.mint_key(KeyType.HOTMESH, KeyParams())  # raises before `init`
        if key_type is not KeyType.QUORUM or app_id != self._names[1]:
            raise InvalidArgument(f"this service carries QUORUM messages of the app {self._names[1]!r} only")
        assert self._socket is not None, "it has names"
        return self._socket


class _Peer:
    """Sends to one of the others, in order, until that is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._ends = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    def send(self, notice: bytes) -> None:
        """Send it soon; it is lost if the other one is far behind."""
        if self._size + len(notice) <= _WAITING_BYTES:
            self._size += len(notice)
            self._waiting.append(notice)
            self._wake.set()

    def end(self) -> None:
        """Send what waits, then end the task."""
        self._ends = True
        self._wake.set()

    async def _run(self) -> None:
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except ConnectionRefusedError:
            self._path.unlink(missing_ok=True)
            return
        except OSError as error:
            return log.debug("a notice is lost, %s: %s", self._path, error)
        # Only then does `drain` wait until everything is gone.
        writer.transport.set_write_buffer_limits(0)
        with contextlib.suppress(OSError):
            while self._waiting or not self._ends:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    notice = self._waiting.popleft()
                    self._size -= len(notice)
                    writer.write(_LENGTH.pack(len(notice)) + notice)
                    await writer.drain()
        writer.close()
