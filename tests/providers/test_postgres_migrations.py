"""The schema comes up by itself, once, however many processes start together."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from hotmesh_temporal.providers.postgres import PostgresBackend, migrations

from hotmesh_temporal.conformance.support import store_of
from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.errors import Unavailable
from tests.support.postgres_server import PostgresServer, run_blocking

_OPEN_AND_COMMIT = """
import asyncio, sys
from hotmesh_temporal.contracts import Commit, ConnectionSpec, RunWrite
from hotmesh_temporal.providers.postgres import PostgresBackend

async def main(url, job_id):
    backend = PostgresBackend(ConnectionSpec("postgres", url=url))
    await backend.open("ns", "app", "engine")
    await backend.store.commit(Commit(runs=(RunWrite(job_id=job_id, expected_revision=0, status=1, state=b"s"),)))
    await backend.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """An empty database."""
    return postgres_server.new_database()


def new_backend(url: str) -> PostgresBackend:
    """An unopened backend."""
    return PostgresBackend(ConnectionSpec("postgres", url=url))


async def test_fifty_openers_of_an_empty_database(url: str) -> None:
    backends = [new_backend(url) for _ in range(50)]
    await asyncio.gather(*(backend.open("ns", f"app{n % 3}", f"e{n}") for n, backend in enumerate(backends)))
    created = [await store_of(backends[n]).set_state_nx("job", f"app{n % 3}") for n in range(6)]
    assert created == [True, True, True, False, False, False]
    await asyncio.gather(*(backend.close() for backend in backends))


async def test_processes_that_start_together(url: str) -> None:
    def start(number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _OPEN_AND_COMMIT, url, f"job{number}"])

    processes = [start(number) for number in range(4)]
    assert [await asyncio.to_thread(process.wait, 60) for process in processes] == [0] * 4
    backend = new_backend(url)
    await backend.open("ns", "app", "reader")
    assert [run.job_id for run in await store_of(backend).list_runs()] == [f"job{number}" for number in range(4)]
    await backend.close()


async def test_a_newer_schema_is_refused(url: str, postgres_server: PostgresServer) -> None:
    first = new_backend(url)
    await first.open("ns", "app", "e")
    await first.close()
    database = url.rsplit("/", 1)[1]
    postgres_server.execute("UPDATE hotmesh.schema_version SET version = version + 1", database)
    with pytest.raises(Unavailable, match="upgrade the package"):
        await new_backend(url).open("ns", "app", "e")


async def test_two_schemas_in_one_database_share_nothing(url: str) -> None:
    one, other = new_backend(url), new_backend(f"{url}?schema=Other_1")
    for backend in (one, other):
        await backend.open("ns", "app", "e")
        assert await store_of(backend).set_state_nx("job", "app")
        await backend.close()
    assert one.identity != other.identity


def test_a_failed_migration_leaves_nothing(url: str, postgres_server: PostgresServer) -> None:
    database = url.rsplit("/", 1)[1]
    # The first file stops half way at a table that is in its way.
    postgres_server.execute("CREATE SCHEMA hotmesh; CREATE TABLE hotmesh.outbox (id int)", database)
    with pytest.raises(Exception, match="outbox"):
        run_blocking(new_backend(url).open("ns", "app", "e"))
    postgres_server.execute("DROP TABLE hotmesh.outbox", database)

    async def open_and_close() -> None:
        backend = new_backend(url)
        await backend.open("ns", "app", "e")
        await backend.close()

    run_blocking(open_and_close())


def test_the_files_are_numbered_without_gaps() -> None:
    assert len(migrations()) >= 4
    assert all("hotmesh." in sql for sql in migrations())
