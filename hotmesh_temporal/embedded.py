"""The engine inside of this process: one per database, on a thread and an event loop of its own.

User code that blocks its own loop must not stop timers, heartbeats or other workers, and a client may be used from any
loop; so every call crosses from the caller's loop to the engine's and back (`EngineHost.call`).
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf.message import Message

from .connection import Connections
from .contracts.backend import Backend
from .runtime.registered import WorkerTypes
from .transport.interface import Frontend, KnowsTypes, Listener, Metadata
from .transport.loopback import LoopbackListener

_LOG = logging.getLogger(__name__)

# How long the end of the process waits for engines that nobody closed, in seconds.
_EXIT_SECONDS = 5.0

FrontendFactory = Callable[[Backend], Frontend]


class EngineStopped(RuntimeError):
    """A call was made after the engine was closed."""


@dataclass(frozen=True)
class Loopback:
    """The endpoint that the workers of this process poll, and the secret that opens it."""

    address: str
    token: str


def new_frontend(backend: Backend) -> Frontend:
    """The engine's frontend on a backend, not started."""
    from .frontend.server import Frontend as EngineFrontend

    return EngineFrontend(backend)


class EngineHost:
    """A running engine, shared by all clients and workers of this process that use the same database.

    Get one with `acquire`; give every one back with `release`. The last release stops it.
    """

    _lock: ClassVar = threading.Lock()
    _hosts: ClassVar[dict[str, EngineHost]] = {}

    def __init__(self, key: str, frontend: Frontend) -> None:
        """Use `acquire`."""
        self._key = key
        self._frontend = frontend
        self._users = 0
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop = new_event_loop()
        self._stop = asyncio.Event()
        self._loopback: Loopback | None = None
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._run, name=f"hotmesh-engine {key}", daemon=True)

    @classmethod
    async def acquire(cls, connections: Connections, factory: FrontendFactory = new_frontend) -> EngineHost:
        """The engine of a database; started when this process has none yet.

        Raises:
            InvalidConnection: The connection is not supported.
            Unavailable: The database cannot be reached.
        """
        host = cls._join(connections.backend(), factory)
        try:
            # Shielded, because others may wait for the same start.
            await asyncio.shield(asyncio.wrap_future(host._started))
        except BaseException:
            await host.release()
            raise
        return host

    def retain(self) -> None:
        """Count one more user; each needs a `release` of its own."""
        with self._lock:
            self._users += 1

    async def release(self) -> None:
        """Count one user less; the last one stops the engine and waits for its end."""
        if self._leave():
            await asyncio.to_thread(self._end)

    def call(
        self, service: str, method: str, request: Message, *, metadata: Metadata, deadline: float | None
    ) -> asyncio.Future[Message]:
        """Call the frontend from any event loop; see `Frontend.call`.

        The request must not be used by the caller any more. Cancelling the future, or setting it, cancels the call.

        Raises:
            EngineStopped: The engine was closed.
        """
        crossing = _Crossing(self._loop, self._frontend)
        return crossing.begin(service, method, request, metadata, deadline)

    async def loopback(self) -> Loopback:
        """The endpoint for the workers of this process; must be awaited on the engine's loop."""
        if self._loopback is None:
            token = secrets.token_urlsafe(32)
            self._listener = LoopbackListener(self._frontend, token=token)
            self._loopback = Loopback(await self._listener.start(), token)
        return self._loopback

    def register(self, types: WorkerTypes) -> None:
        """Tell the engine, from any thread, what a worker has registered; it is stored in the background."""
        frontend = self._frontend
        if isinstance(frontend, KnowsTypes):
            # A closed loop refuses the call: then the worker is at its end already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(frontend.register_types, types)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The engine's event loop."""
        return self._loop

    @classmethod
    def end_all(cls) -> None:
        """Stop every engine of this process; for its end, when clients were left open."""
        with cls._lock:
            left = list(cls._hosts.values())
            cls._hosts.clear()
        for host in left:
            host._end(_EXIT_SECONDS)

    @classmethod
    def _join(cls, backend: Backend, factory: FrontendFactory) -> EngineHost:
        key = backend.identity
        with cls._lock:
            host = cls._hosts.get(key)
            if host is None:
                host = cls._hosts[key] = EngineHost(key, factory(backend))
                host._thread.start()
            host._users += 1
        return host

    def _leave(self) -> bool:
        """Whether this was the last user. From then on the next `acquire` starts a new engine."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return False
            if self._hosts.get(self._key) is self:
                del self._hosts[self._key]
            return True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        try:
            await self._frontend.start()
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        await self._stop.wait()
        await self._close()

    async def _close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
        try:
            await self._frontend.close()
        except Exception:
            _LOG.exception("the engine of %s did not close cleanly", self._key)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _end(self, timeout: float | None = None) -> None:
        # A closed loop refuses the call: then the thread is at its end already.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)


class _Crossing:
    """One call on its way from the caller's loop to the engine's and back.

    What `asyncio.run_coroutine_threadsafe` does, without the future between the two loops, because every client call
    pays for it.
    """

    __slots__ = ("_caller", "_delivered", "_engine", "_frontend", "_reply", "_task")

    def __init__(self, engine: asyncio.AbstractEventLoop, frontend: Frontend) -> None:
        self._caller = asyncio.get_running_loop()
        self._engine = engine
        self._frontend = frontend
        self._reply: asyncio.Future[Message] = self._caller.create_future()
        self._task: asyncio.Task[Message] | None = None
        self._delivered = False

    def begin(
        self, service: str, method: str, request: Message, metadata: Metadata, deadline: float | None
    ) -> asyncio.Future[Message]:
        try:
            self._engine.call_soon_threadsafe(self._run, service, method, request, metadata, deadline)
        except RuntimeError as error:
            raise EngineStopped("the engine was closed") from error
        self._reply.add_done_callback(self._answered)
        return self._reply

    def _run(self, service: str, method: str, request: Message, metadata: Metadata, deadline: float | None) -> None:
        coroutine = self._frontend.call(service, method, request, metadata=metadata, deadline=deadline)
        self._task = self._engine.create_task(coroutine)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Message]) -> None:
        # The caller's loop may be closed by now; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._caller.call_soon_threadsafe(self._deliver, task)

    def _deliver(self, task: asyncio.Task[Message]) -> None:
        if self._reply.done():
            return
        self._delivered = True
        if task.cancelled():
            self._reply.set_exception(EngineStopped("the engine was closed during the call"))
        elif error := task.exception():
            self._reply.set_exception(error)
        else:
            self._reply.set_result(task.result())

    def _answered(self, _: asyncio.Future[Message]) -> None:
        # Cancelled, or given up on by whoever waits: then the engine's work is for nobody.
        if not self._delivered:
            with contextlib.suppress(RuntimeError):
                self._engine.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


atexit.register(EngineHost.end_all)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop that this platform has."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
