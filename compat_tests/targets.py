"""What a scenario runs on: the real Temporal dev server, or this project on one of its databases."""

from __future__ import annotations

import asyncio
import json
import tempfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.client import Client

from tests.support.temporal_server import TemporalServer

IDENTITY = "compat"
TARGETS = ("temporal", "sqlite", "postgres")


@dataclass(frozen=True)
class Connection:
    """How any process reaches a target: ``kind`` is "temporal" or "hotmesh"; ``url`` an address or a database URL."""

    kind: str
    url: str

    async def client(self) -> Client:
        """A new client with a fixed identity, so that identities can be compared as they are."""
        if self.kind == "temporal":
            return await Client.connect(self.url, identity=IDENTITY)
        import hotmesh_temporal.client

        return await hotmesh_temporal.client.Client.connect(connection=self.url, identity=IDENTITY)

    def to_json(self) -> str:
        """For `from_json` in another process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Connection:
        """The connection that `to_json` wrote."""
        return Connection(**json.loads(text))


class Target(ABC):
    """A server that scenarios run on, and the client that they share."""

    connection: Connection
    client: Client

    async def start(self) -> None:
        """Start the server and connect."""
        self.connection = await self._launch()
        self.client = await self.connection.client()

    @abstractmethod
    async def _launch(self) -> Connection: ...

    @abstractmethod
    async def stop(self) -> None:
        """Release everything."""


class TemporalTarget(Target):
    """The real server."""

    async def _launch(self) -> Connection:
        self._server = TemporalServer()
        await self._server.start()
        return Connection("temporal", self._server.address)

    async def stop(self) -> None:
        self._server.stop()


class SqliteTarget(Target):
    """This project on a fresh SQLite file."""

    async def _launch(self) -> Connection:
        self._folder = tempfile.TemporaryDirectory(prefix="compat-")
        return Connection("hotmesh", f"sqlite:///{Path(self._folder.name) / 'compat.sqlite3'}")

    async def stop(self) -> None:
        await _close(self.client)
        self._folder.cleanup()


class PostgresTarget(Target):
    """This project on a private Postgres server."""

    async def _launch(self) -> Connection:
        from tests.support.postgres_server import PostgresServer

        self._server = PostgresServer()
        await asyncio.to_thread(self._server.start)
        return Connection("hotmesh", await asyncio.to_thread(self._server.new_database))

    async def stop(self) -> None:
        await _close(self.client)
        self._server.stop()


async def _close(client: Client) -> None:
    from hotmesh_temporal.client import Client as HotMeshClient

    assert isinstance(client, HotMeshClient)
    await client.close()


def new_target(name: str) -> Target:
    """A target that is not started, by its name on the command line."""
    return {"temporal": TemporalTarget, "sqlite": SqliteTarget, "postgres": PostgresTarget}[name]()
