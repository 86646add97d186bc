"""The provider passes the conformance kit as far as it goes: what needs a stream is skipped, as it offers none."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hotmesh_sockets import SocketsBackend

from hotmesh_temporal.conformance.stream_and_sub import *  # noqa: F403  the kit is meant to be imported whole
from hotmesh_temporal.conformance.stream_and_sub import Connect
from hotmesh_temporal.conformance.sub_messages import APP, Inbox, Q
from hotmesh_temporal.connection import InvalidConnection, resolve
from hotmesh_temporal.contracts import ConnectionSpec, InvalidArgument, Unavailable


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder with a short path: that of a socket has at most some hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="hm-") as name:
        yield name


@pytest.fixture
def connect(folder: str) -> Connect:
    """Backends on one folder."""
    spec = ConnectionSpec("sockets", url=f"sockets://{folder}")
    return lambda: SocketsBackend(spec)


def test_the_entry_point_is_found() -> None:
    backend = resolve(connections={"store": "sqlite:///x.sqlite3", "sub": "sockets:///run/x"}).backend()
    assert backend.identity.endswith("sub sockets:/run/x")


def test_it_is_no_store() -> None:
    with pytest.raises(InvalidConnection, match="does not offer 'store'"):
        resolve("sockets:///run/x").backend()


@pytest.mark.parametrize("url", ["sockets://", "sockets://run/x"])
def test_a_path_that_is_not_absolute(url: str) -> None:
    with pytest.raises(InvalidArgument, match="sockets:///run/orders"):
        SocketsBackend(ConnectionSpec("sockets", url=url))


@pytest.mark.parametrize("folder", ["/dev/null/here", "/tmp/" + 100 * "x"])
async def test_a_folder_that_cannot_be(folder: str) -> None:
    with pytest.raises(Unavailable, match="folder"):
        await SocketsBackend(ConnectionSpec("sockets", url=f"sockets://{folder}")).open("ns", "app", "e")


async def test_the_socket_of_a_killed_process_is_removed(connect: Connect, folder: str) -> None:
    process = multiprocessing.get_context("fork").Process(target=_leave_a_socket, args=(folder,))
    process.start()
    process.join()
    left = sockets(folder)
    one, other, inbox = connect(), connect(), Inbox()
    for backend in (one, other):
        await backend.open("ns", "app", "engine")
    assert one.sub is not None
    assert other.sub is not None
    await other.sub.subscribe(Q, inbox, APP, "t")
    await one.sub.publish(Q, {"n": 1}, APP, "t")
    await inbox.expect(("t", {"n": 1}))
    assert left
    assert not left & sockets(folder)
    for backend in (one, other):
        await backend.close()


def sockets(folder: str) -> set[str]:
    """Their names."""
    return {path.name for path in Path(folder).glob("*/*")}


def _leave_a_socket(folder: str) -> None:
    import asyncio
    import os

    async def open_and_die() -> None:
        await SocketsBackend(ConnectionSpec("sockets", url=f"sockets://{folder}")).open("ns", "app", "gone")
        os._exit(0)

    asyncio.run(open_and_die())
