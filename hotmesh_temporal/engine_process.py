"""The engine in a process of its own, for programs whose threads are none.

gevent replaces Python's threads by greenlets. An engine on such a "thread" would stand still whenever the program does,
and the program whenever the engine waits. There it lives in a child process, which ends when its parent does (its
standard input closes); only who has its token can call it. It is started when the program connects for the first time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from typing import Any, ClassVar

from .connection import Connections, InvalidConnection
from .contracts.backend import ConnectionSpec
from .contracts.errors import ContractError
from .embedded import EngineHost, Loopback
from .errors import RpcError

_LOOK_SECONDS = 0.02
_READ_BYTES = 65536


class EngineProcessFailed(RuntimeError):
    """The engine's process did not come up; the text says why."""


def threads_are_replaced() -> bool:
    """Whether gevent has patched the threads of this process."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


class EngineProcess:
    """A child process with an engine, shared by all clients of this process that use the same database."""

    _running: ClassVar[dict[str, EngineProcess]] = {}

    def __init__(self, words: str) -> None:
        """Use `loopback`."""
        self._held, self._answers = _start()
        self._answer = b""
        os.set_blocking(self._answers, False)
        os.write(self._held, words.encode() + b"\n")

    @classmethod
    async def loopback(cls, connections: Connections) -> Loopback:
        """The endpoint of the process for a database; started when this process has none yet.

        Raises:
            InvalidConnection: The connection has objects of this process, as a pool, which no other process can use.
            EngineProcessFailed: The engine did not start.
        """
        words = _written(connections)
        engine = cls._running.get(words)
        if engine is None or not engine._alive():
            engine = cls._running[words] = cls(words)
        return await engine._ready()

    @classmethod
    def let_go(cls, connections: Connections) -> None:
        """Let the process of a database stop, if there is one. Otherwise it stops when this one ends."""
        engine = cls._running.pop(_written(connections), None)
        if engine is not None:
            os.close(engine._held)
            os.close(engine._answers)

    async def _ready(self) -> Loopback:
        while b"\n" not in self._answer:
            if not self._alive():
                raise EngineProcessFailed("the engine's process ended; what it wrote to stderr says why")
            # Nothing of the loop's own may wait for a pipe here: it depends on what gevent has replaced.
            await asyncio.sleep(_LOOK_SECONDS)
        answer: dict[str, str] = json.loads(self._answer)
        if "error" in answer:
            raise EngineProcessFailed(answer["error"])
        return Loopback(**answer)

    def _alive(self) -> bool:
        """Whether it has not closed its output; reads what there is."""
        try:
            part = os.read(self._answers, _READ_BYTES)
        except BlockingIOError:
            return True
        self._answer += part
        return bool(part)


def _start() -> tuple[int, int]:
    """Start the process: the end of the pipe to its standard input, and of the one from its output."""
    its_input, held = os.pipe()
    answers, its_output = os.pipe()
    monkey: Any = sys.modules.get("gevent.monkey")
    # gevent's own works in the main thread only, and of `subprocess` it leaves no original that works.
    spawn = os.posix_spawn if monkey is None else monkey.get_original("os", "posix_spawn")
    spawn(
        sys.executable,
        [sys.executable, "-m", "hotmesh_temporal.engine_process"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, its_input, 0), (os.POSIX_SPAWN_DUP2, its_output, 1)],
        # A group of its own: Ctrl-C is for the program, which still needs its engine to stop in good order.
        setpgroup=0,
    )
    os.close(its_input)
    os.close(its_output)
    return held, answers


def _written(connections: Connections) -> str:
    try:
        return json.dumps(dataclasses.asdict(connections), sort_keys=True)
    except TypeError:
        raise InvalidConnection(
            "gevent has replaced the threads of this process, so the engine runs in one of its own, where an existing "
            "pool or client cannot be used: give a URL or options as text and numbers"
        ) from None


def _read(words: str) -> Connections:
    return Connections(**{service: ConnectionSpec(**spec) for service, spec in json.loads(words).items()})


async def _serve(connections: Connections) -> None:
    """What the child does: be an engine until nobody holds its standard input any more."""
    try:
        host = await EngineHost.acquire(connections)
    except (InvalidConnection, ContractError, RpcError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    loopback = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(host.loopback(), host.loop))
    print(json.dumps(dataclasses.asdict(loopback)), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await host.release()


if __name__ == "__main__":
    asyncio.run(_serve(_read(sys.stdin.readline())))
