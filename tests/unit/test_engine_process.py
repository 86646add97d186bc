"""The engine in a process of its own. With gevent itself: the sample ``gevent_async``, in every way."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import ConnectConfig

from hotmesh_temporal.connection import InvalidConnection, resolve
from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.engine_process import EngineProcess, EngineProcessFailed, threads_are_replaced
from hotmesh_temporal.service_client import WorkerClient


async def test_shared_by_clients(tmp_path: Path) -> None:
    connections = resolve(f"sqlite:///{tmp_path}/a.sqlite3")
    loopback = await EngineProcess.loopback(connections)
    assert await EngineProcess.loopback(connections) == loopback
    client = Client(await WorkerClient.at(loopback, ConnectConfig(target_host="unused")))
    assert (await client.workflow_service.get_system_info(GetSystemInfoRequest())).capabilities.sdk_metadata
    EngineProcess.let_go(connections)


async def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    connections = resolve(f"sqlite:///{tmp_path}/no/folder/a.sqlite3")
    with pytest.raises(EngineProcessFailed, match="folder"):
        await EngineProcess.loopback(connections)
    EngineProcess.let_go(connections)


async def test_a_pool_cannot_be_handed_over() -> None:
    connections = type(resolve("sqlite:///a"))(*[ConnectionSpec("postgres", existing=object())] * 4)
    with pytest.raises(InvalidConnection, match="gevent"):
        await EngineProcess.loopback(connections)


def test_threads_are_threads_here() -> None:
    assert not threads_are_replaced()
