"""Three servers on one database, behind a balancer: each is restarted under load, and one is killed."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import grpc.aio
import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeNamespaceResponse
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support.balancer import Balancer
from tests.support.ports import free_ports
from tests.support.postgres_server import PostgresServer
from tests.support.server_process import COMMAND, ServerProcess, start_all

QUEUE = "parcels"
SERVERS = 3
TASK_SECONDS = 4
TAKEN_OVER_SECONDS = 15
"""What a server held that was killed goes on by then: a timeout, the next look for orphaned timers, a lease."""
DESCRIBE = "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"
NOT_IN_TIME = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
)


@activity.defn
async def weigh(number: int) -> int:
    await asyncio.sleep(0.02)
    return number * 2


@workflow.defn
class Parcel:
    def __init__(self) -> None:
        self.stamps: list[str] = []

    @workflow.run
    async def run(self, number: int) -> list[str]:
        retry = RetryPolicy(initial_interval=timedelta(milliseconds=100))
        weight = await workflow.execute_activity(
            weigh, number, start_to_close_timeout=timedelta(seconds=TASK_SECONDS), retry_policy=retry
        )
        await workflow.sleep(0.05)
        await workflow.wait_condition(lambda: len(self.stamps) == 2)
        return [str(weight), *sorted(self.stamps)]

    @workflow.signal
    def stamp(self, text: str) -> None:
        self.stamps.append(text)

    @workflow.update
    def stamped(self, text: str) -> int:
        self.stamps.append(text)
        return len(self.stamps)


@dataclass
class Load:
    """Workflows that are started one after the other, until it is told to stop."""

    clients: list[Client]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    handles: list[WorkflowHandle[Any, Any]] = field(default_factory=list[WorkflowHandle[Any, Any]])
    working: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.working = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Start no more; all that were started have ended as they should."""
        self.stop.set()
        assert self.working is not None
        await self.working

    async def _run(self) -> None:
        lives: list[asyncio.Task[None]] = []
        for number in itertools.count():
            if self.stop.is_set():
                break
            lives.append(asyncio.create_task(self._one(number, self.clients[number % len(self.clients)])))
            await asyncio.sleep(0.1)
        await asyncio.gather(*lives)

    async def _one(self, number: int, client: Client) -> None:
        handle = await client.start_workflow(
            Parcel.run,
            number,
            id=f"parcel-{uuid.uuid4()}",
            task_queue=QUEUE,
            task_timeout=timedelta(seconds=TASK_SECONDS),
        )
        self.handles.append(handle)
        await handle.signal(Parcel.stamp, "signal")
        await cast("Any", handle).execute_update(Parcel.stamped, "update")  # a generic that the checker cannot follow
        assert await handle.result() == [str(number * 2), "signal", "update"]

    async def late(self) -> list[str]:
        """What had to wait for a timeout, or failed."""
        late: list[str] = []
        for handle in self.handles:
            async for event in handle.fetch_history_events():
                if event.event_type in NOT_IN_TIME:
                    late.append(f"{handle.id}: {EventType.Name(event.event_type)}")
        return late


async def knock(address: str, stop: asyncio.Event) -> Counter[str]:
    """Call without any retries until told to stop: how it went, by status."""
    codes: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
        call: Any = cast("Any", channel).unary_unary(
            DESCRIBE,
            request_serializer=DescribeNamespaceRequest.SerializeToString,
            response_deserializer=DescribeNamespaceResponse.FromString,
        )
        while not stop.is_set():
            try:
                await call(DescribeNamespaceRequest(namespace="default"), timeout=10)
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[f"{error.code().name}: {error.details()}"] += 1
            await asyncio.sleep(0.005)
    return codes


@pytest.fixture
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/several.sqlite3"
        return
    with PostgresServer() as server:
        yield server.new_database()


@dataclass
class Several:
    """Servers side by side. Any of them may be stopped, killed, and started again."""

    connection: str
    ports: list[int] = field(default_factory=lambda: free_ports(SERVERS))
    servers: list[ServerProcess] = field(default_factory=list[ServerProcess])

    def start(self, port: int) -> ServerProcess:
        return ServerProcess("--connection", self.connection, port=port)

    async def restart(self, index: int) -> tuple[int, str]:
        """In order; how the old one ended."""
        old = self.servers[index]
        old.tell(signal.SIGTERM)
        ended = await asyncio.to_thread(old.ended)
        new = self.servers[index] = self.start(self.ports[index])
        await asyncio.to_thread(new.wait)
        return ended


@asynccontextmanager
async def several(connection: str) -> AsyncGenerator[tuple[Several, Load]]:
    """Servers, a balancer before them, and workers and clients that know the balancer only."""
    servers = Several(connection)
    async with AsyncExitStack() as stack:
        stack.callback(lambda: [each.kill() for each in servers.servers])
        servers.servers = [servers.start(port) for port in servers.ports]
        await asyncio.to_thread(start_all, servers.servers)
        balancer = await stack.enter_async_context(Balancer(servers.ports))
        clients = [await Client.connect(balancer.address) for _ in range(SERVERS)]
        for client in clients:
            await stack.enter_async_context(
                Worker(
                    client,
                    task_queue=QUEUE,
                    workflows=[Parcel],
                    activities=[weigh],
                    workflow_runner=UnsandboxedWorkflowRunner(),
                )
            )
        load = Load(clients)
        load.start()
        knocking = asyncio.create_task(knock(balancer.address, load.stop))
        try:
            yield servers, load
        finally:
            load.stop.set()
            codes = await knocking
        assert codes["OK"] > 20
        assert {text.split(":")[0] for text in codes} <= {"OK", "UNAVAILABLE"}, codes


def verify(connection: str) -> None:
    done = subprocess.run([COMMAND, "verify", "--connection", connection], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "connection", ["sqlite", pytest.param("postgres", marks=pytest.mark.all_faults)], indirect=True
)
async def test_restarted_one_after_the_other_under_load(connection: str) -> None:
    async with several(connection) as (servers, load):
        for index in range(SERVERS):
            await asyncio.sleep(0.5)
            assert await servers.restart(index) == (0, "")
        await load.finish()
        assert len(load.handles) > 20
        assert await load.late() == []
    verify(connection)


@pytest.mark.all_faults
@pytest.mark.parametrize("connection", ["sqlite", "postgres"], indirect=True)
async def test_one_is_killed_and_the_others_go_on(connection: str) -> None:
    async with several(connection) as (servers, load):
        await asyncio.sleep(1)
        servers.servers[1].kill()
        before = len(load.handles)
        await asyncio.sleep(1)
        await asyncio.wait_for(load.finish(), TAKEN_OVER_SECONDS)
        assert len(load.handles) > before
    verify(connection)
