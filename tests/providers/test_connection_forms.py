"""Each form of a connection that the documentation shows, for clients and workers, on real servers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # the driver ships without types
import nats
import pytest
import pytest_asyncio
import redis.asyncio

from hotmesh_temporal import activity, workflow
from hotmesh_temporal.client import Client
from hotmesh_temporal.service_client import ConnectionFailed
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

_postgres: Any = asyncpg
_nats: Any = nats

Form = dict[str, Any]


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Example:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=10))


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def forms(
    postgres_server: PostgresServer, postgres_dsn: str, redis_server: RedisServer, nats_url: str
) -> AsyncIterator[dict[str, Form]]:
    """Arguments of ``Client`` and ``Worker.create`` by name."""
    pool = await _postgres.create_pool(postgres_dsn, min_size=1)
    client = redis.asyncio.Redis(host="127.0.0.1", port=redis_server.port)
    broker = await _nats.connect(nats_url)
    of_postgres = {"class": asyncpg, "options": {"dsn": postgres_dsn}}
    of_redis = {"class": redis.asyncio.Redis, "options": {"host": "127.0.0.1", "port": redis_server.port}}
    of_nats = {"class": nats, "options": {"servers": [nats_url]}}
    yield {
        "postgres": {"connection": of_postgres},
        "postgres, URL": {"connection": postgres_dsn},
        "postgres, pool": {"connection": pool},
        "redis": {"connection": of_redis},
        "redis, URL": {"connection": redis_server.url},
        "redis, client": {"connection": client},
        "explicit": {"connections": {"store": of_postgres, "stream": of_postgres, "sub": of_nats}},
        "explicit, URLs": {"connections": {"store": postgres_dsn, "stream": redis_server.url, "sub": nats_url}},
        "explicit, existing": {"connections": {"store": pool, "stream": broker, "sub": client, "search": pool}},
        "store and sub": {"connections": {"store": of_redis, "sub": of_nats}},
        "store and stream": {"connections": {"store": of_redis, "stream": of_nats}},
    }
    await broker.close()
    await client.aclose()
    await pool.close()


@pytest.mark.parametrize(
    "form",
    [
        "postgres",
        "postgres, URL",
        "postgres, pool",
        "redis",
        "redis, URL",
        "redis, client",
        "explicit",
        "explicit, URLs",
        "explicit, existing",
        "store and sub",
        "store and stream",
    ],
)
async def test_each_form_works_for_both(form: str, forms: dict[str, Form]) -> None:
    client = Client(**forms[form])
    worker = await Worker.create(
        **forms[form],
        task_queue=form,
        workflow=Example,
        activities=[greet],
        options={"backoff_coefficient": 2, "maximum_attempts": 1000, "maximum_interval": "5 seconds"},
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        assert await client.execute_workflow(Example.run, form, id=form, task_queue=form) == f"Hello, {form}!"
    await client.close()


async def test_a_client_that_was_only_constructed_has_workers() -> None:
    client = Client(connection="sqlite://:memory:")
    async with Worker(client, task_queue="q", workflows=[Example], activities=[greet]):
        assert await client.execute_workflow(Example.run, "you", id="you", task_queue="q") == "Hello, you!"
    await client.close()


async def test_what_is_wrong_is_said_at_the_first_use() -> None:
    client = Client(connection="redis://127.0.0.1:1")
    with pytest.raises(ConnectionFailed, match=re.escape("127.0.0.1:1")):
        await client.count_workflows()
    with pytest.raises(ConnectionFailed, match=re.escape("127.0.0.1:1")):
        Worker(client, task_queue="q", workflows=[Example])


def test_a_service_client_or_a_connection() -> None:
    service_client = Client(connection="sqlite://:memory:").service_client
    assert Client(service_client).service_client is service_client
    with pytest.raises(ValueError, match="either a service client or a connection"):
        Client(service_client, connection="sqlite://:memory:")
