"""Batch operations whose processes are killed in the middle, stopped, or that end in odd moments."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    GetWorkflowExecutionHistoryRequest,
    ListBatchOperationsRequest,
    StartBatchOperationRequest,
    StartWorkflowExecutionRequest,
    StopBatchOperationRequest,
)

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.commit import Ack, MessageLease
from hotmesh_temporal.contracts.search import Condition
from hotmesh_temporal.contracts.store import StoreService
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import batch, batch_record, batch_work
from hotmesh_temporal.runtime.batch import WORK
from hotmesh_temporal.runtime.batch_record import Batch, Item
from hotmesh_temporal.runtime.keys import APP_ID, ENGINE_QUEUE, HOTMESH_NAMESPACE, TaskMessage, batch_job, encode_task
from hotmesh_temporal.runtime.namespaces import NamespaceRecord
from hotmesh_temporal.runtime.verify import verify
from tests.quorum.batch_process import ask, new_engine, signal_all
from tests.quorum.conftest import LaunchEngine
from tests.support.postgres_server import PostgresServer
from tests.support.tcp_proxy import TcpProxy

_ORDERS = 240
_PATIENCE = 30.0
_LEASE_SECONDS = 1.3


@asynccontextmanager
async def engine_of(database: str) -> AsyncGenerator[Frontend]:
    """An engine of this process."""
    engine = new_engine(database)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def store_of(database: str) -> AsyncGenerator[StoreService]:
    """Only the store, so that this process does no work."""
    backend = resolve(database).backend()
    await backend.open(HOTMESH_NAMESPACE, APP_ID, "watcher")
    assert backend.store is not None
    try:
        yield backend.store
    finally:
        await backend.close()


async def start_orders(engine: Frontend, numbers: Iterable[int]) -> None:
    """Open workflows that nobody works on."""

    async def start(number: int) -> None:
        request = StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id=f"order-{number}",
            workflow_type=WorkflowType(name="Order"),
            task_queue=TaskQueue(name="nobody"),
            request_id=str(uuid.uuid4()),
        )
        await ask(engine, "StartWorkflowExecution", request)

    await asyncio.gather(*(start(number) for number in numbers))


async def signals_of(engine: Frontend, number: int) -> int:
    """How often an order was signaled."""
    execution = WorkflowExecution(workflow_id=f"order-{number}")
    request = GetWorkflowExecutionHistoryRequest(namespace="default", execution=execution)
    history = (await ask(engine, "GetWorkflowExecutionHistory", request)).history
    return sum(each.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for each in history.events)


async def describe(engine: Frontend, batch_id: str) -> DescribeBatchOperationResponse:
    """What is said of a batch."""
    request = DescribeBatchOperationRequest(namespace="default", job_id=batch_id)
    return await ask(engine, "DescribeBatchOperation", request)


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not await condition():
        assert time.monotonic() < until, f"waited {_PATIENCE} s in vain for {what}"
        await asyncio.sleep(0.02)


async def _is_done(store: StoreService, count: int, batch_id: str = "batch") -> bool:
    """So many operations are counted."""
    found = await batch_record.read(store, batch_job("default", batch_id))
    return found is not None and sum(await batch_record.counts(store, found)) >= count


async def _is_tidy(store: StoreService, batch: Batch) -> bool:
    """Nothing is left of its work."""
    keys = [batch_record.list_key(store, batch), batch_record.taken_key(store, batch)]
    left = await store.get_job_ids(keys, (0, -1))
    found = await batch_record.read(store, batch.job)
    is_closed = found is not None and found.closed > 0
    return is_closed and not any(left.values()) and await store.get_active_task_queue() is None


async def test_processes_are_killed_in_the_middle(database: str, launch_engine: LaunchEngine) -> None:
    async with engine_of(database) as engine:
        await start_orders(engine, range(_ORDERS))
    async with store_of(database) as store:
        # Whoever goes on with it may be killed as well; to see that on one of the databases is enough.
        kills = ((60, ("batch",)), (150, ())) if database.startswith("sqlite") else ((60, ("batch",)),)
        for reached, arguments in kills:
            process = launch_engine(*arguments)
            await _until(partial(_is_done, store, reached), f"{reached} operations")
            process.kill()
            process.wait(10)
            await asyncio.sleep(_LEASE_SECONDS)
        batch = await batch_record.read(store, batch_job("default", "batch"))
        assert batch is not None
        assert not batch.closed
        launch_engine()
        await _until(lambda: _is_tidy(store, batch), "the end")
    async with engine_of(database) as engine:
        described = await describe(engine, "batch")
        assert (described.total_operation_count, described.complete_operation_count) == (_ORDERS, _ORDERS)
        assert {await signals_of(engine, number) for number in range(_ORDERS)} == {1}
        assert (await verify(engine.runtime.backend)).problems == []


async def test_the_database_is_away_in_the_middle(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LEASE_MS", 1000)
    url = postgres_server.new_database()
    port = urlsplit(url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        async with engine_of(url.replace(f":{port}", f":{proxy.port}")) as engine:
            orders, store = range(300), engine.runtime.store
            await start_orders(engine, orders)
            await ask(engine, "StartBatchOperation", signal_all("outage"))
            await _until(partial(_is_done, store, 200, "outage"), "two hundred operations")
            proxy.cut()
            await asyncio.sleep(1)
            proxy.mend()
            await _until(partial(_is_closed, engine, "outage"), "the end")
            assert [await signals_of(engine, number) for number in orders] == [1] * len(orders)
            said = await describe(engine, "outage")
            assert (said.total_operation_count, said.complete_operation_count) == (len(orders), len(orders))


# -- single moments ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of a new database; the moments are the same on every one."""
    return f"sqlite:///{tmp_path / 'moments.sqlite3'}"


class Gate:
    """Operations that wait until the gate is open."""

    def __init__(self, engine: Frontend) -> None:
        self._real = engine.runtime.batch_operations
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        engine.runtime.batch_operations = self

    async def condition(self, request: StartBatchOperationRequest) -> Condition:
        """As it is."""
        return await self._real.condition(request)

    async def apply(self, request: StartBatchOperationRequest, item: Item, request_id: str) -> None:
        """As it is, later."""
        self.reached.set()
        await self.open.wait()
        await self._real.apply(request, item, request_id)


@asynccontextmanager
async def gated_engine(database: str) -> AsyncGenerator[tuple[Frontend, Gate]]:
    """An engine with a gate."""
    engine = new_engine(database)
    gate = Gate(engine)
    await engine.start()
    try:
        yield engine, gate
    finally:
        await engine.close()


async def is_over(engine: Frontend) -> bool:
    """The batch is not running any more."""
    return (await describe(engine, "batch")).state != batch_record.RUNNING


async def found(engine: Frontend) -> Batch:
    """The batch as it is stored."""
    batch = await batch_record.read(engine.runtime.store, batch_job("default", "batch"))
    assert batch is not None
    return batch


async def publish(engine: Frontend, started_ms: int, consumer: str, lease_ms: int) -> Ack:
    """A message for the batch, leased to an engine."""
    stream, group = engine.runtime.matching.stream_of(ENGINE_QUEUE), ENGINE_QUEUE.group
    message = encode_task(TaskMessage(batch_job("default", "batch"), started_ms, work=WORK))
    lease = MessageLease(group, consumer, lease_ms)
    (message_id,) = await engine.runtime.stream.publish_messages(stream, [message], lease=lease)
    return Ack(stream, group, message_id, consumer, 1)


async def counted(engine: Frontend) -> tuple[int, int, int]:
    """Total, completed, failed."""
    said = await describe(engine, "batch")
    return said.total_operation_count, said.complete_operation_count, said.failure_operation_count


async def test_what_a_dead_process_has_taken_is_done_too(sqlite: str) -> None:
    async with gated_engine(sqlite) as (engine, gate):
        await start_orders(engine, range(12))
        await ask(engine, "StartBatchOperation", signal_all("batch"))
        await gate.reached.wait()
        batch, store = await found(engine), engine.runtime.store
        keys = batch_record.list_key(store, batch), batch_record.taken_key(store, batch)
        assert await store.get_active_task_queue() == batch.work_item
        taken = [await store.process_task_queue(*keys) for _ in range(3)]
        assert all(taken)
        gate.open.set()
        await _until(partial(is_over, engine), "the end")
        assert [await signals_of(engine, number) for number in range(12)] == [1] * 12
        assert await counted(engine) == (12, 12, 0)


async def test_two_processes_at_a_time_do_it_once(database: str) -> None:
    """One was thought dead, and was not."""
    async with gated_engine(database) as (first, gate), engine_of(database) as second:
        await start_orders(first, range(30))
        await ask(first, "StartBatchOperation", signal_all("batch"))
        await gate.reached.wait()
        started_ms = (await found(first)).started // 1_000_000
        ack = await publish(second, started_ms, second.runtime.engine_id, 10_000)
        await second.runtime.batches.take(batch_job("default", "batch"), started_ms, ack)
        await _until(partial(is_over, second), "the end")
        assert await counted(second) == (30, 30, 0)
        gate.open.set()
        await _until(partial(_is_tidy, first.runtime.store, await found(first)), "the end of the other")
        assert [await signals_of(first, number) for number in range(30)] == [1] * 30
        assert await counted(first) == (30, 30, 0)


async def test_a_beginning_of_a_dead_process_is_removed(sqlite: str) -> None:
    async with engine_of(sqlite) as engine:
        job = batch_job("default", "batch")
        await engine.runtime.store.set_state_nx(job, APP_ID, 1)
        ack = await publish(engine, 1, "dead", 1)
        engine.runtime.matching.arrived(ack.stream)
        await _until(partial(_is_gone, engine, job), "the beginning to be removed")
        await start_orders(engine, range(1))
        await ask(engine, "StartBatchOperation", signal_all("batch"))
        await _until(partial(is_over, engine), "the end")
        assert await counted(engine) == (1, 1, 0)


async def _is_gone(engine: Frontend, job: str) -> bool:
    return not await batch_record.exists(engine.runtime.store, job)


async def test_a_process_that_stops_hands_over_at_once(sqlite: str) -> None:
    async with engine_of(sqlite) as other:
        async with gated_engine(sqlite) as (engine, gate):
            await start_orders(engine, range(20))
            await ask(engine, "StartBatchOperation", signal_all("batch"))
            await gate.reached.wait()
        before = time.monotonic()
        await _until(partial(is_over, other), "the end")
        assert time.monotonic() - before < 5
        assert [await signals_of(other, number) for number in range(20)] == [1] * 20
        assert await counted(other) == (20, 20, 0)


async def test_a_stopped_one_does_nothing_more(sqlite: str) -> None:
    async with engine_of(sqlite) as engine:
        await start_orders(engine, range(40))
        request = signal_all("batch")
        request.max_operations_per_second = 5
        await ask(engine, "StartBatchOperation", request)
        await _until(partial(_is_done, engine.runtime.store, 3), "three operations")
        stop = StopBatchOperationRequest(namespace="default", job_id="batch", reason="enough")
        await ask(engine, "StopBatchOperation", stop)
        batch = await found(engine)
        assert (batch.state, batch.error) == (batch_record.FAILED, "enough")
        await _until(partial(_is_tidy, engine.runtime.store, batch), "nothing to be left of it")
        signaled = sum([await signals_of(engine, number) for number in range(40)])
        total, complete, failed = await counted(engine)
        # Those that were under way when it was stopped are done, and may not be counted any more.
        assert (total, failed) == (40, 0)
        assert 3 <= complete <= signaled <= complete + 5 < 40


async def test_it_vanishes_when_its_retention_is_over(sqlite: str) -> None:
    async with engine_of(sqlite) as engine:

        def shorten(record: NamespaceRecord) -> None:
            record.retention = 700_000_000

        await engine.runtime.namespaces.update("default", shorten)
        for _ in range(2):  # its id may be used again
            await ask(engine, "StartBatchOperation", signal_all("batch"))
            await _until(partial(is_over, engine), "the end")
            assert len(await _listed(engine)) == 1
            await _until(partial(_is_gone, engine, batch_job("default", "batch")), "its removal")
            assert await _listed(engine) == []


async def _listed(engine: Frontend) -> list[str]:
    answer = await ask(engine, "ListBatchOperations", ListBatchOperationsRequest(namespace="default"))
    return [each.job_id for each in answer.operation_info]


async def test_lists_of_several_pages(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_work, "_PAGE", 4)
    async with engine_of(sqlite) as engine:
        await start_orders(engine, range(10))
        await ask(engine, "StartBatchOperation", signal_all("batch"))
        await _until(partial(is_over, engine), "the end")
        assert await counted(engine) == (10, 10, 0)
        named = signal_all("named")
        named.visibility_query = ""
        for number in (*range(9), 99):
            named.executions.add(workflow_id=f"order-{number}", run_id="" if number < 8 else "no run id")
        await ask(engine, "StartBatchOperation", named)
        await _until(partial(_is_closed, engine, "named"), "the end of the other")
        said = await describe(engine, "named")
        assert (said.total_operation_count, said.complete_operation_count, said.failure_operation_count) == (10, 8, 2)
        assert [await signals_of(engine, number) for number in range(10)] == [2] * 8 + [1] * 2


async def _is_closed(engine: Frontend, batch_id: str) -> bool:
    return (await describe(engine, batch_id)).HasField("close_time")


async def test_verify_finds_what_nobody_goes_on_with(sqlite: str) -> None:
    async with gated_engine(sqlite) as (engine, gate):
        await start_orders(engine, range(5))
        await ask(engine, "StartBatchOperation", signal_all("batch"))
        await gate.reached.wait()
        runtime = engine.runtime
        assert (await verify(runtime.backend)).problems == []
        (message,) = [each for each in await runtime.stream.list_messages() if WORK in each.data]
        await runtime.stream.delete_messages(message.stream, ENGINE_QUEUE.group, [message.message_id])
        await runtime.store.set_state_nx(batch_job("default", "begun"), APP_ID, 1)
        said = [str(each) for each in (await verify(runtime.backend)).problems]
        assert said == [
            "batch 'batch', namespace 'default': it is open, and nobody will go on with it",
            "batch 'begun', namespace 'default': it was not begun in full, and nobody will remove it",
        ]
