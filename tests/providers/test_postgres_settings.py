"""The forms in which a connection may be written."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types
import pytest
from hotmesh_temporal.providers.postgres import PostgresBackend, settings_of

from hotmesh_temporal.conformance.support import store_of
from hotmesh_temporal.contracts import ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument
from tests.support.postgres_server import PostgresServer

driver: Any = asyncpg


def identity(url: str = "", **options: Any) -> str:
    """The identity of a connection."""
    return PostgresBackend(ConnectionSpec("postgres", url=url, options=options)).identity


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the machine must not matter."""
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)


def test_equal_places_have_one_identity() -> None:
    expected = "postgres:db:5433/shop?hotmesh"
    assert identity("postgresql://me:secret@db:5433/shop") == expected
    assert identity("postgres://db:5433/shop?user=me&sslmode=disable") == expected
    assert identity("postgresql+asyncpg://me@db:5433/shop") == expected
    assert identity(dsn="postgresql://db:5433/shop") == expected
    assert identity(host="db", port=5433, user="me", password="secret", database="shop") == expected
    assert identity("postgresql://me@db/shop", port=5433) != expected


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity(host="db", user="me") == "postgres:db:5432/me?hotmesh"
    monkeypatch.setenv("PGDATABASE", "shop")
    monkeypatch.setenv("PGHOST", "elsewhere")
    assert identity(user="me") == "postgres:elsewhere:5432/shop?hotmesh"


def test_several_hosts() -> None:
    assert identity("postgresql://a:1,b:2/shop") == "postgres:a:1,b:2/shop?hotmesh"
    assert identity(host=["a", "b"], database="shop") == "postgres:a:5432,b:5432/shop?hotmesh"


def test_own_options_in_the_url() -> None:
    url = "postgresql://db/shop?schema=mine&pooler=true&max_size=3&application_name=x"
    settings = settings_of(ConnectionSpec("postgres", url=url))
    assert (settings.schema, settings.pooler, settings.max_size) == ("mine", True, 3)
    assert settings.dsn == "postgresql://db/shop?application_name=x"
    assert settings.connect_options["statement_cache_size"] == 0


def test_secrets_are_not_shown() -> None:
    options = {"host": "db", "user": "me", "password": "hunter2"}
    for spec in (
        ConnectionSpec("postgres", options=options),
        ConnectionSpec("postgres", url="postgresql://me:hunter2@db/shop"),
    ):
        settings = settings_of(spec)
        assert "hunter2" not in settings.identity
        assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dsn": "mysql://db/shop"}, "postgresql://"),
        ({"host": "db", "schema": 'x"; DROP'}, "schema"),
        ({"host": "db", "max_size": 0}, "max_size"),
    ],
)
def test_wrong_options(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        PostgresBackend(ConnectionSpec("postgres", options=options))


def test_a_connection_is_no_pool() -> None:
    with pytest.raises(InvalidArgument, match=r"asyncpg\.Pool"):
        PostgresBackend(ConnectionSpec("postgres", existing=object()))


async def test_an_existing_pool_is_only_read(postgres_server: PostgresServer) -> None:
    """The pool lives on this loop, the backend on the loop of another thread, as the engine does."""
    prepared: list[str] = []

    async def init(_: Any) -> None:
        prepared.append(threading.current_thread().name)

    url = postgres_server.new_database()
    async with driver.create_pool(url, min_size=1, max_size=2, init=init) as pool:
        backend = PostgresBackend(ConnectionSpec("postgres", existing=pool))
        assert backend.identity == PostgresBackend(ConnectionSpec("postgres", url=url)).identity

        async def use() -> bool:
            await backend.open("ns", "app", "e")
            created = await store_of(backend).set_state_nx("job", "app")
            await backend.close()
            return created

        created: list[bool] = []
        thread = threading.Thread(target=lambda: created.append(asyncio.run(use())), name="engine")
        thread.start()
        await asyncio.to_thread(thread.join)
        assert created == [True]
        assert "engine" in prepared
        assert await pool.fetchval("SELECT count(*) FROM hotmesh.jobs") == 1
