"""Servers for the CLI, and what each session printed on each of them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from compat_tests.cli_sessions.player import play
from compat_tests.runner import TargetPool

AT_ONCE = 4
"""Sessions that are played at the same time."""

START_SECONDS = 60.0


class Stage:
    """Plays each session once per target and kind of output, some at the same time."""

    def __init__(self, pool: TargetPool) -> None:
        self._pool = pool
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._plays: dict[tuple[str, str, str, int], asyncio.Task[list[str]]] = {}
        self._addresses: dict[str, asyncio.Task[str]] = {}
        self._servers: list[asyncio.subprocess.Process] = []

    def begin(self, target: str, session: str, output: str, repeat: int = 0) -> asyncio.Task[list[str]]:
        """What it prints, when it is over."""
        key = target, session, output, repeat
        if key not in self._plays:
            self._plays[key] = asyncio.create_task(self._play(*key))
        return self._plays[key]

    async def close(self) -> None:
        """Stop the servers; their databases stay."""
        for task in (*self._plays.values(), *self._addresses.values()):
            task.cancel()
        await asyncio.gather(*self._plays.values(), *self._addresses.values(), return_exceptions=True)
        for server in self._servers:
            server.terminate()
            await server.wait()

    async def _play(self, target: str, session: str, output: str, repeat: int) -> list[str]:
        async with self._slots:
            if target not in self._addresses:
                self._addresses[target] = asyncio.create_task(self._serve(target))
            return await play(await self._addresses[target], session, output, repeat)

    async def _serve(self, target: str) -> str:
        connection = (await self._pool.get(target)).connection
        if connection.kind == "temporal":
            return connection.url
        options = [word for service, url in connection.services.items() for word in (f"--{service}", url)]
        command = [str(Path(sys.executable).with_name("hotmesh-temporal")), "server", "--port", "0", *options]
        server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        self._servers.append(server)
        assert server.stdout is not None
        ready = await asyncio.wait_for(server.stdout.readline(), START_SECONDS)
        return ready.decode().split()[2]
