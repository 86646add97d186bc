"""Every form of a connection that a user may write, and what is said about those that do not work."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it has none
import nats
import pytest
from nats.aio.client import Client as NatsClient
from temporalio.envconfig import ClientConfigProfile

from hotmesh_temporal.connection import (
    SERVICES,
    Connections,
    InvalidConnection,
    default_connection,
    load_provider,
    parse,
    provider_names,
    resolve,
)
from hotmesh_temporal.contracts.backend import ConnectionSpec

POSTGRES = "postgresql://user:secret@db:5432/orders"


def store(form: Any = None, *, environ: Mapping[str, str] | None = None, **others: Any) -> ConnectionSpec:
    return resolve(form, environ=environ or {}, **others).store


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (POSTGRES, ConnectionSpec("postgres", url=POSTGRES)),
        ("postgres://db/x", ConnectionSpec("postgres", url="postgres://db/x")),
        ("postgresql+asyncpg://db/x", ConnectionSpec("postgres", url="postgresql://db/x")),
        ("redis://db:6379/1", ConnectionSpec("redis", url="redis://db:6379/1")),
        ("rediss://db", ConnectionSpec("redis", url="rediss://db")),
        ("valkey://db", ConnectionSpec("redis", url="valkey://db")),
        ("unix:///run/redis.sock", ConnectionSpec("redis", url="unix:///run/redis.sock")),
        ({"class": "redis.asyncio", "options": {"host": "db"}}, ConnectionSpec("redis", options={"host": "db"})),
        ("sqlite:///orders.sqlite3", ConnectionSpec("sqlite", url="sqlite:///orders.sqlite3")),
        ("sqlite://:memory:", ConnectionSpec("sqlite", url="sqlite://:memory:")),
        (Path("/data/a b.sqlite3"), ConnectionSpec("sqlite", url="sqlite:////data/a%20b.sqlite3")),
        (
            {"class": asyncpg, "options": {"host": "db", "port": 5432}},
            ConnectionSpec("postgres", options={"host": "db", "port": 5432}),
        ),
        (
            {"class": asyncpg.Connection, "options": {"dsn": POSTGRES}},
            ConnectionSpec("postgres", options={"dsn": POSTGRES}),
        ),
        ({"class": "asyncpg", "options": {}}, ConnectionSpec("postgres")),
        ({"class": "psycopg", "options": {"dbname": "x"}}, ConnectionSpec("postgres", options={"database": "x"})),
        ({"class": sqlite3, "options": {"database": "x.db"}}, ConnectionSpec("sqlite", options={"path": "x.db"})),
        (
            {"class": sqlite3.Connection, "options": {"path": "x.db"}},
            ConnectionSpec("sqlite", options={"path": "x.db"}),
        ),
        (ConnectionSpec("sqlite", url="sqlite:///x"), ConnectionSpec("sqlite", url="sqlite:///x")),
    ],
)
def test_forms(form: Any, expected: ConnectionSpec) -> None:
    assert parse(form) == expected
    assert store(form) == expected


async def test_an_existing_pool_is_recognised() -> None:
    pool: Any = asyncpg.create_pool(POSTGRES, min_size=0)  # pyright: ignore[reportUnknownMemberType]  # no stubs
    assert parse(pool) == ConnectionSpec("postgres", existing=pool)
    assert parse({"class": pool}) == ConnectionSpec("postgres", existing=pool)
    with pytest.raises(InvalidConnection, match="made with its options already"):
        parse({"class": pool, "options": {"dsn": POSTGRES}})


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("localhost:7233", "'localhost:7233' is not a database URL"),
        ("mysql://db/x", "no provider for 'mysql' is installed"),
        ({"class": asyncpg}, 'needs "options"'),
        ({"options": {}}, 'needs a "class"'),
        ({"class": asyncpg, "options": {}, "pool": 1}, "not 'pool'"),
        ({"store": POSTGRES}, "services belong into connections="),
        (asyncpg, "does not say where"),
        (object(), "not a known pool or client"),
    ],
)
def test_what_does_not_work_is_said_with_what_does(form: Any, text: str) -> None:
    with pytest.raises(InvalidConnection, match=text):
        parse(form)


@pytest.mark.parametrize(
    "given",
    [
        {"connection": "nats://localhost:4222"},
        {"connection": {"class": nats, "options": {"servers": []}}},
        {"target_host": "nats://localhost:4222"},
        {"connections": {"store": "nats://x"}},
        {"connections": {"stream": "nats://x", "sub": "nats://x"}},
        {"environ": {"HOTMESH_CONNECTION": "nats://x"}},
        {"environ": {"HOTMESH_STREAM": "nats://x"}},
    ],
)
def test_nats_alone_is_refused_with_forms_that_work(given: dict[str, Any]) -> None:
    no_environment: dict[str, Any] = {"environ": {}}
    with pytest.raises(InvalidConnection, match=r'"store".*postgresql://.*"class": asyncpg'):
        resolve(**(no_environment | given))


def test_nats_beside_a_store() -> None:
    both = resolve(connections={"store": "sqlite:///one.db", "stream": "nats://u:secret@b,nats://a", "sub": "nats://a"})
    backend = both.backend()
    assert backend.identity.endswith("one.db, stream nats:a:4222,b:4222, sub nats:a:4222")
    assert not backend.stream_joins_store
    only_sub = resolve(connections={"store": "sqlite:///one.db", "sub": "nats://a"}).backend()
    assert only_sub.stream_joins_store
    with pytest.raises(InvalidConnection, match=r"nats:a:4222 does not offer 'search'"):
        resolve(connections={"store": "sqlite:///one.db", "search": "nats://a"}).backend()


def test_an_existing_nats_client_is_recognised() -> None:
    client = NatsClient()
    assert resolve(connections={"store": "sqlite:///x", "stream": client}).stream == ConnectionSpec(
        "nats", existing=client
    )


def test_a_secret_is_not_repeated_in_an_error() -> None:
    with pytest.raises(InvalidConnection) as caught:
        parse("mysql://user:secret@db/x")
    assert "secret" not in str(caught.value)


def test_services_follow_the_store() -> None:
    found = resolve(connections={"store": POSTGRES, "sub": POSTGRES})
    assert {service: getattr(found, service).url for service in SERVICES} == dict.fromkeys(SERVICES, POSTGRES)


def test_unknown_services_are_refused() -> None:
    with pytest.raises(InvalidConnection, match="not 'queue'"):
        resolve(connections={"store": POSTGRES, "queue": POSTGRES})


def test_either_connection_or_connections() -> None:
    with pytest.raises(InvalidConnection, match="not both"):
        resolve(POSTGRES, connections={"store": POSTGRES})


def test_search_on_another_database_is_refused() -> None:
    both = resolve(connections={"store": "sqlite:///one.db", "search": "sqlite:///two.db"})
    with pytest.raises(InvalidConnection, match=r"'search' is on sqlite:.*two\.db.*'store' is on sqlite:.*one\.db"):
        both.backend()


def test_services_on_several_databases() -> None:
    several = {"store": POSTGRES, "stream": "sqlite:///one.db", "sub": "sqlite:///one.db"}
    backend = resolve(connections=several).backend()
    assert not backend.stream_joins_store
    assert backend.identity.count("one.db") == 2
    assert "secret" not in backend.identity


def test_one_database_may_be_written_in_two_ways(tmp_path: Path) -> None:
    both = resolve(
        connections={"store": "sqlite:///one.db", "stream": {"class": sqlite3, "options": {"database": "one.db"}}}
    )
    assert both.backend().identity == f"sqlite:{tmp_path / 'one.db'}"


@pytest.mark.parametrize("address", ["localhost:7233", "http://localhost:7233", "", None])
def test_a_temporal_address_means_the_configured_connection(address: str | None) -> None:
    assert store(target_host=address, environ={"HOTMESH_CONNECTION": POSTGRES}).url == POSTGRES


def test_a_database_url_in_the_place_of_the_address_is_used() -> None:
    assert store(target_host=POSTGRES, environ={"HOTMESH_CONNECTION": "sqlite:///other"}).url == POSTGRES


def test_the_environment_by_service() -> None:
    found = resolve(environ={"HOTMESH_CONNECTION": "sqlite:///all", "HOTMESH_STREAM": POSTGRES})
    assert (found.store.url, found.stream.url, found.sub.url) == ("sqlite:///all", POSTGRES, "sqlite:///all")
    assert store(environ={"HOTMESH_STORE": POSTGRES}).url == POSTGRES
    with pytest.raises(InvalidConnection, match=r'in the environment.*needs a "store"'):
        resolve(environ={"HOTMESH_STREAM": POSTGRES})


@pytest.mark.parametrize(
    "text",
    [
        f'[profile.default]\naddress = "{POSTGRES}"',
        f'[profile.default]\naddress = "localhost:7233"\n[profile.default.hotmesh]\nconnection = "{POSTGRES}"',
        f'[profile.default.hotmesh]\nstore = "{POSTGRES}"',
    ],
)
def test_the_temporal_configuration_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(text)
    assert store(environ={"TEMPORAL_CONFIG_FILE": str(file)}).url == POSTGRES
    # The SDK reads the same file and passes over our table.
    ClientConfigProfile.load(config_source=file, disable_env=True)


def test_the_profile_is_chosen_by_the_environment(tmp_path: Path) -> None:
    folder = tmp_path / "temporalio"
    folder.mkdir()
    (folder / "temporal.toml").write_text(f'[profile.test.hotmesh]\nconnection = "{POSTGRES}"')
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "APPDATA": str(tmp_path), "HOME": str(tmp_path)}
    assert store(environ={**environ, "TEMPORAL_PROFILE": "test"}).url == POSTGRES
    assert store(environ=environ).provider == "sqlite"


def test_the_address_of_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\naddress = "sqlite:///other"')
    assert store(environ={"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_ADDRESS": POSTGRES}).url == POSTGRES


@pytest.mark.parametrize("text", ["[profile", "[profile.default.hotmesh]\nconnection = 1", 'profile = "x"'])
def test_a_configuration_file_that_cannot_be_read_is_an_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(text)
    with pytest.raises(InvalidConnection, match="in the Temporal environment configuration"):
        resolve(environ={"TEMPORAL_CONFIG_FILE": str(file)})


def test_the_default_is_a_file_under_the_working_directory(tmp_path: Path) -> None:
    expected = f"sqlite://{(tmp_path / '.hotmesh' / 'hotmesh.sqlite3').as_posix().replace('/', '//', 1)}"
    assert store(environ={"HOME": str(tmp_path)}).url == expected == default_connection().url
    assert (tmp_path / ".hotmesh" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / ".hotmesh").stat().st_mode & 0o777 == 0o700


def test_providers_are_found_and_loaded() -> None:
    assert {"nats", "postgres", "sqlite"} <= set(provider_names())
    assert Connections.of(parse("sqlite:///x.db")).backend().identity.startswith("sqlite:")
    with pytest.raises(InvalidConnection, match="no provider for 'nothing'"):
        load_provider("nothing")


def test_parsing_does_not_need_an_event_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert store(POSTGRES).provider == "postgres"
