"""Every form in which a Redis server may be named, and what is said of servers that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
from hotmesh_temporal.providers.redis import RedisBackend, settings_of
from hotmesh_temporal.providers.redis.driver import async_module
from hotmesh_temporal.providers.redis.durability import check_version

from hotmesh_temporal.conformance.support import store_of
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument, Unavailable
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer, search_module

driver: Any = redis
"""redis-py without its types, which differ between its versions."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server with a user that may not use CONFIG."""
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config")
        server.command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@read", "+info", "+config")
        yield server


@pytest_asyncio.fixture
async def defaults(server: RedisServer) -> AsyncIterator[None]:
    """Puts back what a test changes."""
    yield
    for name, value in (("maxmemory", "0"), ("maxmemory-policy", "noeviction"), ("appendfsync", "always")):
        server.command("CONFIG", "SET", name, value)
    server.command("CONFIG", "SET", "appendonly", "yes")


async def open_and_close(spec: ConnectionSpec) -> None:
    """Use a database for a moment."""
    backend = RedisBackend(spec)
    try:
        await backend.open("ns", "app", "engine")
        await store_of(backend).get_settings(create=True)
    finally:
        await backend.close()


def url_spec(url: str) -> ConnectionSpec:
    """A spec of a URL."""
    return ConnectionSpec("redis", url=url)


# -- forms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://db", "db:6379/0"),
        ("redis://user:pw@db:7000/3", "db:7000/3"),
        ("rediss://db:7000", "db:7000/0"),
        ("valkey://db/1", "db:6379/1"),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock/2"),
    ],
)
def test_urls(url: str, place: str) -> None:
    settings = settings_of(url_spec(url))
    assert settings.place == place
    assert ("SSL" in settings.connection_class.__name__) == url.startswith("rediss")
    assert "pw" not in repr(settings) + settings.identity


def test_own_options_in_a_url() -> None:
    settings = settings_of(url_spec("redis://db/1?prefix=shop&max_connections=4&socket_timeout=7"))
    assert (settings.prefix, settings.max_connections, settings.options["socket_timeout"]) == ("shop", 4, 7)
    assert settings.identity == "redis:db:6379/1?shop"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hosts": "db"}, "not options of redis.asyncio.Redis"),
        ({"url": "http://db"}, "not a Redis URL"),
        ({"host": "db", "prefix": "a{b"}, "brace"),
        ({"host": "db", "max_connections": 0}, "max_connections"),
        ({"host": "db", "wait_replicas": "some"}, "wait_replicas 'some' must be a whole number of at least 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        settings_of(ConnectionSpec("redis", options=options))


def test_what_is_not_a_client_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot use an existing object"):
        settings_of(ConnectionSpec("redis", existing=object()))


async def test_databases_are_apart(server: RedisServer) -> None:
    backends = [RedisBackend(url_spec(f"redis://127.0.0.1:{server.port}/{db}")) for db in (1, 2)]
    for backend in backends:
        await backend.open("ns", "apart", "engine")
    created = [await store_of(backend).set_state_nx("job", "apart") for backend in backends]
    for backend in backends:
        await backend.close()
    assert created == [True, True]


async def test_prefixes_are_apart(server: RedisServer) -> None:
    options = {"host": "127.0.0.1", "port": server.port}
    specs = [ConnectionSpec("redis", options={**options, "prefix": prefix}) for prefix in ("a", "b")]
    backends = [RedisBackend(spec) for spec in specs]
    for backend in backends:
        await backend.open("ns", "apart", "engine")
    created = [await store_of(backend).set_state_nx("job", "apart") for backend in backends]
    for backend in backends:
        await backend.close()
    assert created == [True, True]


async def test_an_existing_client_is_left_alone(server: RedisServer) -> None:
    client = async_module.Redis(port=server.port, decode_responses=True)
    await client.set("mine", "ü")
    await open_and_close(ConnectionSpec("redis", existing=client))
    assert await client.get("mine") == "ü"
    await client.aclose()


async def test_an_existing_blocking_client(server: RedisServer) -> None:
    client = driver.Redis(port=server.port, username="app", password="secret")
    await open_and_close(ConnectionSpec("redis", existing=client))
    await open_and_close(ConnectionSpec("redis", existing=client.connection_pool))
    client.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer("redis6", {"unixsocket": str(path)}):
        await open_and_close(url_spec(f"unix://{path}"))


# -- servers that cannot be used -------------------------------------------------------------------------------------


async def test_nobody_answers() -> None:
    port = free_port()
    with pytest.raises(Unavailable, match=rf"no Redis answers at 127.0.0.1:{port}/0: start it"):
        await open_and_close(url_spec(f"redis://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("app:wrong@127.0.0.1:{port}/0", "refused user or password"),
        ("nobody:secret@127.0.0.1:{port}/0", "refused user or password"),
        ("reader:secret@127.0.0.1:{port}/0", "denied a right"),
        ("127.0.0.1:{port}/999", "no such database number"),
    ],
)
async def test_refusals_say_what_to_correct(server: RedisServer, where: str, text: str) -> None:
    with pytest.raises(Unavailable, match=text) as caught:
        await open_and_close(url_spec("redis://" + where.format(port=server.port)))
    assert "secret" not in str(caught.value)


async def test_a_password_is_missing() -> None:
    with RedisServer("redis6", {"requirepass": "secret"}) as server:
        with pytest.raises(Unavailable, match="asks for a password"):
            await open_and_close(url_spec(server.url))
        await open_and_close(url_spec(f"redis://:secret@127.0.0.1:{server.port}"))


@pytest.mark.skipif(search_module() is None, reason="no search module: `apt-get install redis-redisearch` (Debian 12)")
async def test_the_search_module_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hotmesh_temporal.providers.redis")
    with RedisServer("redis7", {"loadmodule": str(search_module())}) as server:
        await open_and_close(url_spec(server.url))
    assert "has the search module, which is not used" in caplog.text


@pytest.mark.parametrize("version", ["5.0.14", "6.0.20"])
def test_an_old_server(version: str) -> None:
    with pytest.raises(Unavailable, match=rf"version {version}: 6.2 or newer"):
        check_version({"redis_version": version}, "db:6379/0")
    check_version({"redis_version": "6.2.0"}, "db:6379/0")


# -- durability --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("user", ["", "app:secret@"])
async def test_a_server_that_evicts_is_refused(server: RedisServer, user: str) -> None:
    server.command("CONFIG", "SET", "maxmemory", "500mb")
    await open_and_close(url_spec(server.url))
    server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(Unavailable, match=r"allkeys-lru.*set maxmemory-policy to noeviction"):
        await open_and_close(url_spec(f"redis://{user}127.0.0.1:{server.port}/0"))


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("appendfsync", "always", ""),
        ("appendfsync", "everysec", "the last second of commits"),
        ("appendfsync", "no", "about 30 seconds"),
        ("appendonly", "no", "since the last snapshot is lost"),
    ],
)
async def test_what_can_be_lost_is_said(
    server: RedisServer, caplog: pytest.LogCaptureFixture, setting: str, value: str, text: str
) -> None:
    server.command("CONFIG", "SET", setting, value)
    caplog.set_level(logging.WARNING)
    await open_and_close(url_spec(server.url))
    assert text in caplog.text if text else not caplog.text


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(("appendonly", "text"), [("yes", "could not be checked"), ("no", "no append-only file")])
async def test_config_is_forbidden(
    server: RedisServer, caplog: pytest.LogCaptureFixture, appendonly: str, text: str
) -> None:
    server.command("CONFIG", "SET", "appendonly", appendonly)
    caplog.set_level(logging.WARNING)
    await open_and_close(url_spec(f"redis://app:secret@127.0.0.1:{server.port}/0"))
    assert "CONFIG may not be used" in caplog.text
    assert text in caplog.text
