"""A primary and its replicas behind a Sentinel: which of them is used, and what a failover keeps."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hotmesh_temporal.providers.redis import RedisBackend, settings_of
from hotmesh_temporal.providers.redis.driver import async_module

from hotmesh_temporal.conformance.support import eventually, store_of, sub_of
from hotmesh_temporal.connection import parse
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, RunWrite
from hotmesh_temporal.contracts.errors import InvalidArgument, Unavailable
from hotmesh_temporal.contracts.types import KeyType
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, find_binary

SERVICE = "mymaster"


@dataclass(frozen=True)
class Group:
    """Servers, the first of which is the primary at first, and the port of their Sentinel."""

    servers: Sequence[RedisServer]
    port: int

    @property
    def url(self) -> str:
        """As a user writes it; the first Sentinel is not there."""
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.port}/{SERVICE}/0"

    def primary(self) -> int:
        """The port of the primary, by the Sentinel."""
        said = _ask(self.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(said.split(b"\r\n")[4])


def _ask(port: int, *words: str) -> bytes:
    other = RedisServer()
    other.port = port
    return other.command(*words)


@pytest.fixture
def group() -> Iterator[Group]:
    """A primary with two replicas, and one Sentinel that may decide alone."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(RedisServer(settings={"repl-diskless-sync-delay": "0", "appendfsync": "no"}))
            for _ in range(3)
        ]
        for replica in servers[1:]:
            replica.command("REPLICAOF", "127.0.0.1", str(servers[0].port))
        # A Sentinel asks only every ten seconds who is there.
        _wait(lambda: servers[0].command("INFO", "replication").count(b"state=online") == 2)
        port = free_port()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotmesh-sentinel-")))
        stack.callback(_end, _start_sentinel(folder, port, servers[0].port))
        group = Group(servers, port)
        _wait(lambda: b"num-slaves\r\n$1\r\n2" in _ask(port, "SENTINEL", "MASTER", SERVICE))
        yield group


def _start_sentinel(folder: Path, port: int, primary: int) -> subprocess.Popen[bytes]:
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {primary} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 300\nsentinel failover-timeout {SERVICE} 2000\n"
    )
    with (folder / "log").open("wb") as log:
        return subprocess.Popen[bytes](
            [str(find_binary("valkey")), str(file), "--sentinel"], cwd=folder, stdout=log, stderr=log
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _wait(ready: Any) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            if ready():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not become ready"
        time.sleep(0.02)


def new_run(number: int) -> Commit:
    """A commit that makes a run."""
    return Commit(runs=(RunWrite(job_id=f"run{number}", expected_revision=0, status=1, state=b"s", origin=b"o"),))


async def test_a_failover_keeps_what_replicas_have(group: Group) -> None:
    backend = RedisBackend(parse(group.url + "?wait_replicas=1"))
    await backend.open("ns", "app", "engine")
    store, heard = store_of(backend), list[Any]()
    await sub_of(backend).subscribe(KeyType.QUORUM, lambda _, message: heard.append(message), "app", "topic")
    for number in range(10):
        await store.commit(new_run(number))
    group.servers[0].kill9()
    # A call that changes nothing when it is repeated waits for the next primary.
    assert (run := await store.load_run("run9")) is not None
    assert run.state == b"s"
    assert group.primary() != group.servers[0].port
    assert None not in [await store.load_run(f"run{number}") for number in range(10)]

    async def commits() -> bool:
        # The other replica has to find the new primary first.
        try:
            await store.commit(new_run(10))
        except Unavailable:
            return await store.load_run("run10") is not None
        return True

    await eventually(commits, timeout=20)

    async def arrives() -> bool:
        # A notice does not wait for a primary as calls do, and the Sentinel has just met this one.
        with contextlib.suppress(Unavailable):
            await sub_of(backend).publish(KeyType.QUORUM, {"n": 1}, "app", "topic")
        return bool(heard)

    await eventually(arrives, timeout=20)
    await backend.close()


async def test_commits_that_no_replica_has_are_not_acknowledged(group: Group) -> None:
    backend = RedisBackend(ConnectionSpec("redis", url=group.url, options={"wait_replicas": 2}))
    await backend.open("ns", "app", "engine")
    await store_of(backend).commit(new_run(0))
    group.servers[1].kill9()
    with pytest.raises(Unavailable, match="1 of 2 replicas have what was written after 1000 ms"):
        await store_of(backend).commit(new_run(1))
    assert await store_of(backend).load_run("run1") is not None
    other = RedisBackend(ConnectionSpec("redis", url=group.servers[0].url, options={"wait_replicas": 2}))
    with pytest.raises(Unavailable, match="has 1 replicas, and commits are to wait for 2"):
        await other.open("ns", "app", "engine")
    await backend.close()


async def test_what_a_failover_can_take_is_said(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sentinel = async_module.Sentinel([("127.0.0.1", group.port)], socket_timeout=2)
    backend = RedisBackend(ConnectionSpec("redis", existing=sentinel.master_for(SERVICE, db=3)))
    await backend.open("ns", "app", "engine")
    await store_of(backend).commit(new_run(0))
    await backend.close()
    assert "no commit waits for them: a failover can take the last commits" in caplog.text
    assert b"db3:keys=" in group.servers[0].command("INFO", "keyspace")
    wrong = RedisBackend(parse(group.url.replace(SERVICE, "other")))
    with pytest.raises(Unavailable, match="not known to the Sentinels as a primary that is up"):
        await wrong.open("ns", "app", "engine")


@pytest.mark.parametrize(
    ("url", "place", "options"),
    [
        ("redis+sentinel://a/main", "main@a:26379/0", {}),
        ("redis+sentinel://user:pw@a:1,[::1]:2/main/4?sentinel_password=s", "main@a:1,::1:2/4", {"password": "s"}),
        ("rediss+sentinel://:pw@a:1/main?sentinel_username=u", "main@a:1/0", {"username": "u", "ssl": True}),
    ],
)
def test_urls(url: str, place: str, options: dict[str, Any]) -> None:
    settings = settings_of(parse(url))
    assert settings.place == place
    assert settings.sentinels is not None
    assert options.items() <= settings.sentinels.options.items()
    assert ("SSL" in settings.connection_class.__name__) == url.startswith("rediss")
    assert settings.options.get("password") == ("pw" if "pw" in url else None)
    assert "host" not in settings.options
    assert "pw" not in repr(settings) + settings.identity


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis+sentinel://a:26379", "does not name the service"),
        ("redis+sentinel://a:x/main", "not the place of a Sentinel"),
        ("redis+other://a/main", "not a Redis URL"),
    ],
)
def test_wrong_urls(url: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        settings_of(ConnectionSpec("redis", url=url))


def test_clients_of_replicas_are_refused() -> None:
    sentinel = async_module.Sentinel([("db", 26379)])
    with pytest.raises(InvalidArgument, match=r"Sentinel\.master_for"):
        settings_of(ConnectionSpec("redis", existing=sentinel.slave_for(SERVICE)))
