"""A cluster of three nodes: an app lives in one slot, wherever that is and while it moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hotmesh_temporal.providers.redis import RedisBackend
from hotmesh_temporal.providers.redis.driver import async_module

from hotmesh_temporal.conformance.support import GROUP, eventually, store_of, stream_name, stream_of, sub_of
from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, Publish, RunWrite
from hotmesh_temporal.contracts.errors import Unavailable
from hotmesh_temporal.contracts.types import KeyType
from tests.support.redis_cluster import NODES, Cluster, running_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes that share the slots."""
    with running_cluster() as cluster:
        yield cluster


async def open_on(cluster: Cluster, node: int, namespace: str) -> Backend:
    """A backend that was told of one node only."""
    backend = RedisBackend(ConnectionSpec("redis", url=cluster.servers[node].url))
    await backend.open(namespace, "app", "engine")
    return backend


def step(revision: int, *publishes: Publish) -> Commit:
    """The commit that takes the run from one revision to the next."""
    run = RunWrite(
        job_id="run", expected_revision=revision, status=1, state=b"s", origin=b"o" if not revision else None
    )
    return Commit(runs=(run,), publishes=publishes)


@pytest.mark.parametrize("namespace", ["a", "b", "c", "d", "{x}", "}"])
async def test_any_node_leads_to_the_app(cluster: Cluster, namespace: str) -> None:
    backends = [await open_on(cluster, node, namespace) for node in range(NODES)]
    stream, orders = stream_of(backends[2]), stream_name(stream_of(backends[2]))
    waiting = asyncio.create_task(stream.consume_messages(orders, GROUP, "c", block_timeout=8000))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await store_of(backends[0]).commit(step(0, Publish(stream=orders, message="m")))
    assert [message.data for message in await waiting] == ["m"]
    assert time.monotonic() - started < 1
    assert (run := await store_of(backends[1]).load_run("run")) is not None
    assert run.revision == 1
    for backend in backends:
        await backend.close()


def test_apps_are_spread_over_the_nodes(cluster: Cluster) -> None:
    assert {cluster.owner(cluster.slot(f"namespace{n}")) for n in range(50)} == set(range(NODES))


async def test_notices_reach_other_nodes(cluster: Cluster) -> None:
    here, there = await open_on(cluster, 0, "notices"), await open_on(cluster, 1, "notices")
    heard: list[Any] = []
    await sub_of(here).subscribe(KeyType.QUORUM, lambda _, message: heard.append(message), "app", "topic")

    async def arrives() -> bool:
        await sub_of(there).publish(KeyType.QUORUM, {"n": 1}, "app", "topic")
        return bool(heard)

    await eventually(arrives)
    await here.close()
    await there.close()


async def test_calls_wait_while_the_slot_moves(cluster: Cluster) -> None:
    slot = cluster.slot("moving")
    source = cluster.owner(slot)
    target = (source + 1) % NODES
    backend = await open_on(cluster, 0, "moving")
    store, orders = store_of(backend), stream_name(stream_of(backend))
    await store.commit(step(0, Publish(stream=orders, message="m")))
    cluster.start_moving(slot, source, target)
    cluster.move_keys(slot, source, target, 3)
    # Several, as each has a connection of its own to the node of before.
    calls = asyncio.gather(store.commit(step(1)), *(stream_of(backend).get_stream_depth(orders) for _ in range(8)))
    await asyncio.sleep(0.3)
    assert not calls.done()
    cluster.move_keys(slot, source, target, 1000)
    cluster.end_moving(slot, target)
    assert (await asyncio.wait_for(calls, 10))[1:] == [1] * 8
    assert (run := await store.load_run("run")) is not None
    assert run.revision == 2
    await backend.close()


async def test_an_existing_cluster_client(cluster: Cluster) -> None:
    client = async_module.RedisCluster(host="127.0.0.1", port=cluster.servers[1].port, decode_responses=True)
    await client.initialize()
    backend = RedisBackend(ConnectionSpec("redis", existing=client))
    await backend.open("existing", "app", "engine")
    await store_of(backend).commit(step(0))
    await backend.close()
    assert await client.ping()
    await client.aclose()


async def test_database_zero_only(cluster: Cluster) -> None:
    backend = RedisBackend(ConnectionSpec("redis", url=cluster.servers[0].url.replace("/0", "/1")))
    with pytest.raises(Unavailable, match="database 0 only"):
        await backend.open("zero", "app", "engine")
