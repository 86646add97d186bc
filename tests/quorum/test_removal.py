"""What is removed in the course of time: closed runs after their retention, and all of a deleted namespace.

The engines have limits of their own, so that this takes seconds: see `upkeep_process`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)

from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.keys import RunKey, batches_of_namespace, runs_of_namespace
from hotmesh_temporal.runtime.loaded import Loaded
from hotmesh_temporal.runtime.verify import verify
from tests.quorum.upkeep_process import engine_on

_PATIENCE = 30.0


@asynccontextmanager
async def engine(connection: str) -> AsyncGenerator[Frontend, None]:
    """An engine of this process."""
    frontend = engine_on(connection)
    await frontend.start()
    try:
        yield frontend
    finally:
        await frontend.close()


async def ask(frontend: Frontend, request: object, service: str = "workflow") -> object:
    """The answer to a request."""
    method = type(request).__name__.removesuffix("Request")
    return await frontend.call(service, method, request, metadata={}, deadline=30.0)  # type: ignore[arg-type]  # a request


async def register(frontend: Frontend, namespace: str, retention: float) -> None:
    """Make a namespace that keeps closed runs for so many seconds."""
    kept = Duration()
    kept.FromMilliseconds(int(retention * 1000))
    await ask(frontend, RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=kept))


async def keep_for(frontend: Frontend, namespace: str, retention: int) -> None:
    """Change the retention."""
    config = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=retention))
    await ask(frontend, UpdateNamespaceRequest(namespace=namespace, config=config))


async def start(frontend: Frontend, namespace: str, workflow_id: str) -> RunKey:
    """Start a workflow that no worker takes."""
    request = StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name="nobody"),
        request_id=workflow_id,
    )
    answer = await ask(frontend, request)
    assert isinstance(answer, StartWorkflowExecutionResponse)
    return RunKey(namespace, workflow_id, answer.run_id)


async def close(frontend: Frontend, namespace: str, workflow_id: str) -> RunKey:
    """Start a workflow and terminate it."""
    key = await start(frontend, namespace, workflow_id)
    execution = WorkflowExecution(workflow_id=workflow_id)
    await ask(frontend, TerminateWorkflowExecutionRequest(namespace=namespace, workflow_execution=execution))
    return key


async def close_many(frontend: Frontend, namespace: str, count: int) -> list[RunKey]:
    return list(await asyncio.gather(*(close(frontend, namespace, f"w{number}") for number in range(count))))


async def count(frontend: Frontend, namespace: str) -> int:
    """How many runs lists show."""
    answer = await ask(frontend, CountWorkflowExecutionsRequest(namespace=namespace))
    return int(getattr(answer, "count"))  # noqa: B009  the answer of any request


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something that must come."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while not await condition():
        assert asyncio.get_running_loop().time() < end, f"waited in vain for: {what}"
        await asyncio.sleep(0.1)


async def nothing_is_left(frontend: Frontend, keys: list[RunKey]) -> None:
    """Neither run, history nor document is there of these, and the database is sound."""
    store = frontend.runtime.store
    for key in keys[:10]:
        assert await store.load_run(key.job_id) is None
        assert await store.get_events(key.job_id) == []
        assert await frontend.runtime.search.get(key.job_id) is None
    report = await verify(frontend.runtime.backend)
    assert report.problems == []
    assert report.loose_timers == 0


async def test_closed_runs_go_when_their_time_is_over(database: str) -> None:
    """What counts is the retention that was in force when a run was closed."""
    async with engine(database) as one:
        await register(one, "ours", 2)
        short = await close_many(one, "ours", 5)
        await start(one, "ours", "open")
        await keep_for(one, "ours", 1000)
        long = await close(one, "ours", "long")
        await keep_for(one, "ours", 1)
        shorter = await close(one, "ours", "shorter")
        elsewhere = await close(one, "default", "elsewhere")

        async def only_two_are_left() -> bool:
            return await count(one, "ours") == 2

        await until(only_two_are_left, "five and one runs are over")
        await nothing_is_left(one, [*short, shorter])
        assert await one.runtime.executions.load(long) is not None
        assert await one.runtime.executions.load(elsewhere) is not None
        again = await close(one, "ours", "w0")
        assert again.run_id != short[0].run_id


async def test_a_killed_process_is_replaced(database: str) -> None:
    """Of two processes one is killed in the middle: it may be the one that is at work."""
    processes = [_launch(database) for _ in range(2)]
    try:
        async with engine(database) as client:
            await client.runtime.upkeep.close()  # this one only looks on
            await register(client, "ours", 1)
            keys = await close_many(client, "ours", 120)
            for process in processes[:1]:
                before = await count(client, "ours")

                async def something_has_gone(before: int = before) -> bool:
                    return await count(client, "ours") < before

                await until(something_has_gone, "a sweep")
                process.kill()
                process.wait()

            async def all_have_gone() -> bool:
                return await count(client, "ours") == 0

            await until(all_have_gone, "the last process")
            await nothing_is_left(client, keys)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _launch(database: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-m", "tests.quorum.upkeep_process", database], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == b"ready\n"
    return process


async def test_each_run_is_removed_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, removed = f"sqlite:///{tmp_path / 'shared.sqlite3'}", list[str]()
    async with engine(database) as one, engine(database) as other:
        for each in (one, other):
            _note_removals(each, removed, monkeypatch)
        await register(one, "ours", 0.5)
        await close_many(one, "ours", 100)

        async def all_have_gone() -> bool:
            return await count(other, "ours") == 0

        await until(all_have_gone, "a hundred runs")
        assert len(removed) == len(set(removed)) == 100


def _note_removals(frontend: Frontend, removed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    remove = frontend.runtime.engine_tasks.remove

    async def noted(ended: Loaded) -> None:
        removed.append(ended.job_id)
        await remove(ended)

    monkeypatch.setattr(frontend.runtime.engine_tasks, "remove", noted)


async def test_a_step_that_fails_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hook is acked when the next one is armed, so it comes back when its lease is over."""
    async with engine(f"sqlite:///{tmp_path / 'failing.sqlite3'}") as one:
        sweep, failed = one.runtime.upkeep.steps["retention"], list[str]()

        async def fails_once(namespace: str) -> int | None:
            if namespace == "ours" and not failed:
                failed.append(namespace)
                raise RuntimeError("for the test")
            return await sweep(namespace)

        monkeypatch.setitem(one.runtime.upkeep.steps, "retention", fails_once)
        await register(one, "ours", 0.5)
        await close(one, "ours", "w")

        async def has_gone() -> bool:
            return await count(one, "ours") == 0

        await until(has_gone, "the run")
        assert failed == ["ours"]


async def test_a_deleted_namespace_leaves_nothing(database: str) -> None:
    """Another process still knows it and starts runs there; a namespace with a name alike stays."""
    async with engine(database) as one, engine(database) as other:
        for name in ("our/s%", "our/s%2", "our"):
            await register(one, name, 1000)
        await start(other, "our/s%2", "stays")
        keys = await close_many(other, "our/s%", 30)
        keys += [await start(other, "our/s%", f"open{number}") for number in range(10)]
        answer = await ask(one, DeleteNamespaceRequest(namespace="our/s%"), "operator")
        assert isinstance(answer, DeleteNamespaceResponse)
        for number in range(3):
            # The other process may not have heard of it yet.
            try:
                keys.append(await start(other, "our/s%", f"late{number}"))
            except RpcError:
                break

        async def name_is_free() -> bool:
            try:
                await register(one, "our/s%", 1000)
            except RpcError as error:
                return "is being deleted" not in error.message
            return True

        await until(name_is_free, "the name is free")
        assert await count(other, "our/s%2") == 1
        store, stream = one.runtime.store, one.runtime.stream
        for pattern in (runs_of_namespace("our/s%"), batches_of_namespace("our/s%")):
            assert (await store.find_jobs(pattern))[1] == []
        assert {each.stream.rsplit("/", 1)[0] for each in await stream.list_messages()} == {
            "hmsh:temporal:x:w/our%2Fs%252"
        }
        await nothing_is_left(one, keys)
        await start(other, "our/s%", "w0")
        assert await count(one, "our/s%") == 1


async def test_a_deletion_goes_on_when_its_process_is_killed(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    process = _launch(database)
    try:
        async with engine(database) as client:
            await client.runtime.upkeep.close()
            await register(client, "ours", 1000)
            keys = await close_many(client, "ours", 200)
            await ask(client, DeleteNamespaceRequest(namespace="ours"), "operator")
            pattern = runs_of_namespace("ours")

            async def something_has_gone() -> bool:
                return len((await client.runtime.store.find_jobs(pattern))[1]) < 200

            await until(something_has_gone, "the first step")
            process.kill()
            process.wait()
            process = _launch(database)

            async def name_is_gone() -> bool:
                return not await client.runtime.namespaces.is_being_removed("ours")

            await until(name_is_gone, "the deletion")
            await nothing_is_left(client, keys)
    finally:
        process.kill()
        process.wait()
