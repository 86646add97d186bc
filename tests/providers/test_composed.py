"""A backend of SQLite and NATS: streams and notices pass the kit, and stores that share a broker keep apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hotmesh_temporal.providers.nats import NatsBackend
from hotmesh_temporal.providers.sqlite import SqliteBackend

from hotmesh_temporal.composed import ComposedBackend
from hotmesh_temporal.conformance.stream_and_sub import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance.stream_and_sub import Connect, Names, OpenBackend
from hotmesh_temporal.conformance.support import GROUP, search_of, store_of, stream_name, stream_of
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.errors import Unavailable
from tests.support.ports import free_port


def make(path: Path, url: str) -> ComposedBackend:
    """A store in a file, the rest on a broker."""
    broker = NatsBackend(ConnectionSpec("nats", url=url))
    return ComposedBackend(SqliteBackend(ConnectionSpec("sqlite", options={"path": str(path)})), broker, broker)


@pytest.fixture
def connect(tmp_path: Path, nats_url: str) -> Connect:
    """Backends on one file and one server."""
    return lambda: make(tmp_path / "kit.sqlite3", nats_url)


async def test_stores_that_share_a_broker_do_not_mix(
    open_backend: OpenBackend, names: Names, tmp_path: Path, nats_url: str
) -> None:
    ours = stream_of(await open_backend())
    other = make(tmp_path / "other.sqlite3", nats_url)
    await other.open(names.namespace, names.app_id, "engine")
    theirs = stream_of(other)
    await ours.publish_messages(stream_name(ours), ["ours"])
    assert await theirs.consume_messages(stream_name(theirs), GROUP, "c") == []
    assert await theirs.list_messages() == []
    await other.close()


async def test_nothing_stays_open_if_a_part_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "kit.sqlite3"
    backend = make(path, f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await backend.open("ns", "app", "engine")
    # An open database has a log beside it.
    assert not path.with_name("kit.sqlite3-wal").exists()
    await backend.close()


async def test_the_store_cannot_take_the_streams_into_its_commit(open_backend: OpenBackend) -> None:
    backend = await open_backend()
    assert not backend.stream_joins_store
    assert store_of(backend) is not None
    assert search_of(backend) is not None
