"""Hints between processes: unix datagram sockets, and what happens without them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hotmesh_temporal.providers.sqlite import SqliteBackend, hints

from hotmesh_temporal.contracts import ConnectionSpec, KeyType


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.sqlite3"


@pytest.fixture
def deaf_path(path: Path) -> Path:
    """A database beside which no directory for sockets can be made."""
    Path(f"{path}-hints").write_text("in the way")
    return path


def exists(path: Path) -> bool:
    return path.exists()


async def eventually(check: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_dead_socket_is_removed(path: Path) -> None:
    sender, receiver = hints.HintBus(str(path)), hints.HintBus(str(path))
    sender.open()
    received: list[Any] = []
    assert receiver.receive(hints.SUB, received.extend)
    dead = Path(sender.directory) / "deadbeef.sub"
    leftover = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    leftover.bind(str(dead))
    leftover.close()
    sender.send(hints.SUB, [(1, "topic", "payload")])
    await eventually(lambda: received == [[1, "topic", "payload"]])
    assert not exists(dead)
    sender.close()
    receiver.close()
    assert not exists(Path(sender.directory))


async def test_a_burst_arrives_whole_and_in_order(path: Path) -> None:
    sender, receiver = hints.HintBus(str(path)), hints.HintBus(str(path))
    sender.open()
    received: list[Any] = []
    assert receiver.receive(hints.SUB, received.extend)
    for number in range(1000):
        sender.send(hints.SUB, [(1, str(number))])
    await eventually(lambda: len(received) == 1000)
    assert [item[1] for item in received] == [str(number) for number in range(1000)]
    sender.close()
    receiver.close()


def test_a_long_path_has_its_sockets_elsewhere() -> None:
    short, long = hints.hint_directory("/data/a.db"), hints.hint_directory("/data/" + "x" * 100 + ".db")
    assert short == "/data/a.db-hints"
    assert len(long) < 60


async def test_without_sockets_messages_arrive_all_the_same(deaf_path: Path) -> None:
    spec = ConnectionSpec("sqlite", options={"path": str(deaf_path)})
    first, second = SqliteBackend(spec), SqliteBackend(spec)
    for backend in (first, second):
        await backend.open("ns", "app", "engine")
    received: list[Any] = []
    await second.sub.subscribe(KeyType.QUORUM, lambda topic, message: received.append((topic, message)), "app", "t")
    first_hears: list[Any] = []
    await first.sub.subscribe(KeyType.QUORUM, lambda topic, message: first_hears.append(topic), "app", "t")
    for number in range(3):
        await first.sub.publish(KeyType.QUORUM, {"n": number}, "app", "t")
    await eventually(lambda: len(received) == 3)
    assert received == [("t", {"n": 0}), ("t", {"n": 1}), ("t", {"n": 2})]
    await asyncio.sleep(0.5)
    assert first_hears == ["t", "t", "t"]
    waiting = asyncio.ensure_future(second.stream.consume_messages("s", "WORKER", "c", block_timeout=5000))
    await asyncio.sleep(0.05)
    await first.stream.publish_messages("s", ["late"])
    assert [message.data for message in await asyncio.wait_for(waiting, 1.5)] == ["late"]
    for backend in (first, second):
        await backend.close()
