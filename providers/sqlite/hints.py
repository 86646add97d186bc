"""Hints between the processes that have one file open: datagrams on unix sockets in a directory beside it.

Each receiver owns one socket file per channel; a sender writes to every file of the channel that is not its own. A hint
may be lost (a full queue that does not drain, a process that is starting): nothing but latency may depend on it. A
socket whose process died refuses datagrams and is unlinked by the sender that finds out.

Where there are no unix sockets, or the directory cannot be made, `HintBus.available` is False and users poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import socket
import stat
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

MAX_DATAGRAM = 60_000
"""Bytes of one item that are sent; larger ones need another way."""

SUB, QUEUE = "sub", "queue"

_MAX_PATH = 100
_MAX_BACKLOG = 2_000
_MAX_BATCH = 64
_RETRY_SECONDS = 0.002
_LISTING_SETTLES_NS = 100_000_000

Item = tuple[Any, ...]
Receiver = Callable[[list[Any]], None]


class HintBus:
    """The sockets of one backend. Everything runs on the event loop that made it; no call blocks."""

    def __init__(self, database_path: str) -> None:
        self._directory = hint_directory(database_path) if hasattr(socket, "AF_UNIX") else ""
        self._name = secrets.token_hex(4)
        self._inboxes: dict[str, socket.socket] = {}
        self._outboxes = {channel: _Outbox(self, channel) for channel in (SUB, QUEUE)}
        self._sender: socket.socket | None = None
        self._closed = True

    def open(self) -> None:
        """Begin to send."""
        self._closed = False

    @property
    def available(self) -> bool:
        """False: there is no way to reach other processes."""
        return bool(self._directory)

    def receive(self, channel: str, receiver: Receiver) -> bool:
        """Call ``receiver`` with the items of each datagram of a channel. False if that is not possible."""
        if channel in self._inboxes:
            return True
        if not self._directory or not _make_private(self._directory):
            self._directory = ""
            return False
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inbox.setblocking(False)
        inbox.bind(self.path_of(channel))
        asyncio.get_running_loop().add_reader(inbox.fileno(), _read_all, inbox, receiver)
        self._inboxes[channel] = inbox
        return True

    def send(self, channel: str, items: Sequence[Item]) -> None:
        """Send items to every other process that receives the channel."""
        if self._directory and items and not self._closed:
            self._outboxes[channel].send(items)

    def has_peers(self, channel: str) -> bool:
        """True if another process receives the channel."""
        return bool(self._directory) and self._outboxes[channel].has_peers()

    def close(self) -> None:
        """Close and unlink every socket. Idempotent."""
        self._closed = True
        for channel, inbox in self._inboxes.items():
            asyncio.get_running_loop().remove_reader(inbox.fileno())
            inbox.close()
            _unlink(self.path_of(channel))
        self._inboxes.clear()
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        with contextlib.suppress(OSError):  # others are still there
            os.rmdir(self._directory or "")

    def path_of(self, channel: str) -> str:
        """The socket file of this process for a channel."""
        return f"{self._directory}/{self._name}.{channel}"

    @property
    def directory(self) -> str:
        """Where the sockets are."""
        return self._directory

    def sender(self) -> socket.socket:
        """The socket that is sent from."""
        if self._sender is None:
            self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sender.setblocking(False)
        return self._sender

    @property
    def closed(self) -> bool:
        """True before `open` and after `close`."""
        return self._closed


class _Outbox:
    """Sending on one channel. What a busy receiver cannot take is kept for a while, in order."""

    def __init__(self, bus: HintBus, channel: str) -> None:
        self._bus = bus
        self._suffix = f".{channel}"
        self._channel = channel
        self._peers: list[str] = []
        self._listed_at = -1
        self._backlog: dict[str, deque[Item]] = {}

    def send(self, items: Sequence[Item]) -> None:
        peers = self._list_peers()
        if not peers:
            return
        datagram = msgspec.msgpack.encode(items)
        for peer in peers:
            if peer in self._backlog:
                self._keep(peer, items)
            elif not self._send_one(peer, datagram):
                self._keep(peer, items)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._retry, peer)

    def has_peers(self) -> bool:
        return bool(self._list_peers())

    def _list_peers(self) -> list[str]:
        """Socket files of the other processes; the directory is read again only after it has changed."""
        try:
            changed_at = os.stat(self._bus.directory).st_mtime_ns
        except OSError:
            return []
        if changed_at == self._listed_at:
            return self._peers
        own = self._bus.path_of(self._channel)
        with contextlib.suppress(OSError), os.scandir(self._bus.directory) as entries:
            self._peers = [entry.path for entry in entries if entry.name.endswith(self._suffix) and entry.path != own]
        # The clock of a file system is coarse: a listing is trusted only when the directory has been still for a while.
        settled = time.time_ns() - changed_at > _LISTING_SETTLES_NS
        self._listed_at = changed_at if settled else -1
        return self._peers

    def _send_one(self, peer: str, datagram: bytes) -> bool:
        """False: the receiver's queue is full."""
        try:
            self._bus.sender().sendto(datagram, peer)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                _unlink(peer)
        return True

    def _keep(self, peer: str, items: Sequence[Item]) -> None:
        backlog = self._backlog.setdefault(peer, deque(maxlen=_MAX_BACKLOG))
        backlog.extend(items)

    def _retry(self, peer: str) -> None:
        backlog = self._backlog[peer]
        while backlog and not self._bus.closed:
            batch = _take_batch(backlog)
            if not self._send_one(peer, msgspec.msgpack.encode(batch)):
                backlog.extendleft(reversed(batch))
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._retry, peer)
                return
        del self._backlog[peer]


def _take_batch(backlog: deque[Item]) -> list[Item]:
    """The oldest items, as many as fit into one datagram."""
    batch, size = [backlog.popleft()], 0
    size = _size(batch[0])
    while backlog and len(batch) < _MAX_BATCH and size + _size(backlog[0]) <= MAX_DATAGRAM:
        size += _size(backlog[0])
        batch.append(backlog.popleft())
    return batch


def _size(item: Item) -> int:
    return sum(len(part) * 4 if isinstance(part, str) else 16 for part in item)


def _read_all(inbox: socket.socket, receiver: Receiver) -> None:
    # Bounded, so that a flood of hints does not keep the loop from its other work.
    for _ in range(_MAX_BATCH):
        try:
            datagram = inbox.recv(4 * MAX_DATAGRAM)
        except OSError:
            return
        with contextlib.suppress(msgspec.DecodeError):
            receiver(msgspec.msgpack.decode(datagram))


# -- files -------------------------------------------------------------------------------------------------------------


def hint_directory(database_path: str) -> str:
    """Beside the database; in the temporary directory where that path is too long for a socket."""
    beside = f"{database_path}-hints"
    if len(os.fsencode(beside)) + len("/12345678.queue") <= _MAX_PATH:
        return beside
    digest = hashlib.sha256(os.fsencode(f"{os.getuid()}:{database_path}")).hexdigest()[:16]
    root = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()
    return f"{root}/hotmesh-{digest}"


def _make_private(directory: str) -> bool:
    """Make the directory; False if it cannot be made, or is another user's, so that its content cannot be trusted."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
