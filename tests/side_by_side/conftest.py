"""A real Temporal server, a SQLite file, and one client over both with its worker."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.client import Client as HotMeshClient
from hotmesh_temporal.side_by_side import SideBySidePlugin
from tests.side_by_side.programs import QUEUE, Asking, Parent, Talk, ask_elsewhere, greet, peek
from tests.support.postgres_server import PostgresServer
from tests.support.temporal_server import TemporalServer


@dataclass
class Both:
    """One client over both sides, and one of each side to look at it alone."""

    client: Client
    plugin: SideBySidePlugin
    temporal: Client
    hotmesh: HotMeshClient
    name: str

    def id(self, name: str) -> str:
        """A workflow id of this test."""
        return f"{self.name}-{name}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_server() -> AsyncGenerator[TemporalServer]:
    server = TemporalServer()
    await server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.all_faults)])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A database URL. What is to be shown is on this side of it, so Postgres only when it is asked for."""
    if request.param == "postgres":
        with PostgresServer() as server:
            yield server.new_database()
    else:
        yield f"sqlite:///{tmp_path_factory.mktemp('sides') / 'sides.sqlite3'}"


@pytest_asyncio.fixture
async def both(temporal_server: TemporalServer, database: str) -> AsyncGenerator[Both]:
    plugin = SideBySidePlugin(database)
    client = await HotMeshClient.connect(temporal_server.address, plugins=[plugin])
    temporal = await Client.connect(temporal_server.address)
    hotmesh = await HotMeshClient.connect(connection=database)
    yield Both(client, plugin, temporal, hotmesh, uuid.uuid4().hex[:8])
    await hotmesh.close()
    await client.close()


@pytest_asyncio.fixture
async def worked(both: Both) -> AsyncGenerator[Both]:
    """The same, with a worker."""
    worker = Worker(
        both.client,
        task_queue=QUEUE,
        workflows=[Talk, Asking, Parent],
        activities=[greet, ask_elsewhere, peek],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        yield both
