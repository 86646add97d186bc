"""A way to a server that can be cut: connections end, new ones too, until it is mended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK = 1 << 16


class TcpProxy:
    """Passes on what comes to its port, from a thread of its own. Use it plainly or as a context manager.

    ``turned_away`` counts the connections that were tried while it was cut.
    """

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy of {target_port}", daemon=True)
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.turned_away = 0
        self.port = 0

    def start(self) -> TcpProxy:
        """Listen on a free port."""
        self._thread.start()
        self._wait(self._listen())
        return self

    def cut(self) -> None:
        """End every connection, and new ones as soon as they are made."""
        self._wait(self._cut())

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def stop(self) -> None:
        """Cut it for good."""
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> TcpProxy:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        self._is_cut = True
        for writer in list(self._ends):
            writer.transport.abort()

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        await self._cut()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.turned_away += 1
            writer.transport.abort()
            return
        self._ends.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._end(writer)
            return
        self._ends.add(back)
        if self._is_cut:  # meanwhile
            self._end(writer)
            self._end(back)
            return
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Until either side ends. Then the other one ends too, as nobody would hear it any more."""
        _send_at_once(target)
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                target.write(data)
                await target.drain()
        self._end(target)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._ends.discard(writer)
        writer.close()


def _send_at_once(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
