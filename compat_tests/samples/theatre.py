"""Plays each sample once per way and database, some at the same time."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType

from compat_tests.env import Env
from compat_tests.runner import TargetPool
from compat_tests.samples.catalog import Sample
from compat_tests.samples.histories import histories
from compat_tests.samples.player import ProgramCrashed, ProgramFailed, play
from compat_tests.samples.ways import COMMAND, Way
from tests.support.certificates import Authority

AT_ONCE = 2
START_SECONDS = 60.0
CORE = "temporalio_sdk_core"
"""What the SDK's core logs to stdout has times in it."""
OURS_INSIDE = ("imports", "run")
"""Ways in which the engine runs in the programs' processes."""
REAL = ("temporal", "temporal")
"""The way and the database of the real server."""


@dataclass
class Play:
    """What a sample printed and did, or why it failed."""

    lines: list[str] = field(default_factory=list[str])
    error: str = ""


class Theatre:
    """Servers and databases for samples, started when they are first needed."""

    def __init__(self, pool: TargetPool) -> None:
        self._pool = pool
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._plays: dict[tuple[str, str, str, int], asyncio.Task[Play]] = {}
        self._ways: dict[tuple[str, str, bool], asyncio.Task[Way]] = {}
        self._servers: list[asyncio.subprocess.Process] = []
        self._folder = tempfile.TemporaryDirectory(prefix="samples-")

    def begin(self, sample: Sample, way: str, database: str, repeat: int = 0) -> asyncio.Task[Play]:
        """What comes of it, when it is over."""
        key = sample.name, way, database, repeat
        if key not in self._plays:
            self._plays[key] = asyncio.create_task(self._play(sample, way, database))
        return self._plays[key]

    async def close(self) -> None:
        """Stop what runs; the databases stay."""
        for task in (*self._plays.values(), *self._ways.values()):
            task.cancel()
        await asyncio.gather(*self._plays.values(), *self._ways.values(), return_exceptions=True)
        for server in self._servers:
            server.terminate()
            await server.wait()
        self._folder.cleanup()

    async def _play(self, sample: Sample, way: str, database: str) -> Play:
        async with self._slots:
            try:
                chosen = await self._way(way, database, tls=sample.tls)
                try:
                    return Play(await self._lines(sample, chosen, database))
                except ProgramCrashed:
                    # Where no code of ours is in the process: a thread of the SDK's core that is still busy when a
                    # program ends right after its last call can crash Python's end ("PyGILState_Release").
                    if way in OURS_INSIDE:
                        raise
                    return Play(await self._lines(sample, chosen, database))
            except ProgramFailed as error:
                return Play(error=str(error))

    async def _lines(self, sample: Sample, way: Way, database: str) -> list[str]:
        target = await self._pool.get(database)
        env = Env(sample.name, target.client, target.connection)
        types = {name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{of}") for name, of in sample.attributes.items()}
        namespace = await env.new_namespace(attributes=types)
        folder = Path(tempfile.mkdtemp(dir=self._folder.name)) / sample.name
        way.prepare(sample, folder)
        commands = [way.command(words) for words in sample.programs]
        lines = await play(commands, folder, way.environment(namespace), must_end=database != REAL[1])
        printed = [each for each in lines if CORE not in each]
        names = {str(folder): "<folder>", namespace: "<namespace>"}
        happened = await histories(await env.client_of(namespace), names, loose=bool(sample.loose))
        return [*(sorted(printed) if sample.unordered else printed), *happened]

    async def _way(self, name: str, database: str, *, tls: bool) -> Way:
        key = name, database, tls
        if key not in self._ways:
            self._ways[key] = asyncio.create_task(self._open(*key))
        return await asyncio.shield(self._ways[key])

    async def _open(self, name: str, database: str, tls: bool) -> Way:
        url = (await self._pool.get(database)).connection.url
        if name != "served":
            return Way(name, url)
        options, variables = self._certificates() if tls else ([], ())
        return Way(name, await self._serve(url, options), variables)

    async def _serve(self, url: str, options: list[str]) -> str:
        command = [COMMAND, "server", "--port", "0", "--connection", url, *options]
        server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr)
        self._servers.append(server)
        assert server.stdout is not None
        ready = await asyncio.wait_for(server.stdout.readline(), START_SECONDS)
        return ready.decode().split()[2]

    def _certificates(self) -> tuple[list[str], tuple[tuple[str, str], ...]]:
        """What a server with TLS needs, which lets in only whom it knows, and what its clients need."""
        folder, authority = Path(tempfile.mkdtemp(dir=self._folder.name)), Authority()
        (folder / "ca.pem").write_bytes(authority.pem)
        server, server_key = authority.server().write(folder, "server")
        client, client_key = authority.client("sample").write(folder, "client")
        options = ["--tls-cert", str(server), "--tls-key", str(server_key), "--tls-client-ca", str(folder / "ca.pem")]
        variables = {
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(folder / "ca.pem"),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(client),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(client_key),
        }
        return options, tuple(variables.items())
