"""A worker that waits gets its task in the commit that schedules it; nothing is lost when its poll ends meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.sqlite import SqliteBackend
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    StartWorkflowExecutionRequest,
)

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.commit import Commit, CommitResult
from hotmesh_temporal.contracts.store import StoreService
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.frontend.server import Frontend


@pytest_asyncio.fixture
async def frontend(tmp_path: Path) -> AsyncGenerator[Frontend, None]:
    spec = ConnectionSpec(provider="sqlite", url=f"sqlite:///{tmp_path / 'one.sqlite3'}")
    frontend = Frontend(SqliteBackend(spec))
    await frontend.start()
    yield frontend
    await frontend.close()


class _Commits:
    """Watches the real store: what is committed, and holds a commit back while ``gate`` is clear."""

    def __init__(self, store: StoreService) -> None:
        self.done: list[Commit] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._commit = store.commit
        store.commit = self.commit  # type: ignore[method-assign]  # a tap on the way, the store stays the real one

    async def commit(self, commit: Commit) -> CommitResult:
        await self.gate.wait()
        result = await self._commit(commit)
        self.done.append(commit)
        return result


async def _start(frontend: Frontend, workflow_id: str) -> None:
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id=workflow_id,
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name="q"),
        request_id=uuid.uuid4().hex,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
    )
    await frontend.call("workflow", "StartWorkflowExecution", request, metadata={}, deadline=60.0)


async def _idle_worker(frontend: Frontend) -> asyncio.Task[PollWorkflowTaskQueueResponse]:
    """A poll that has found nothing and waits."""

    async def poll() -> PollWorkflowTaskQueueResponse:
        request = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name="q"), identity="worker")
        reply = await frontend.call("workflow", "PollWorkflowTaskQueue", request, metadata={}, deadline=60.0)
        assert isinstance(reply, PollWorkflowTaskQueueResponse)
        return reply

    task = asyncio.create_task(poll())
    await asyncio.sleep(0.2)
    return task


async def test_an_idle_worker_gets_the_task_in_the_one_commit_that_schedules_it(frontend: Frontend) -> None:
    worker, commits = await _idle_worker(frontend), _Commits(frontend.runtime.store)
    await _start(frontend, "w")
    task = await worker
    assert [each.event_id for each in task.history.events] == [1, 2, 3]
    assert [len(each.publishes) for each in commits.done] == [0]


async def test_a_start_that_is_refused_leaves_the_worker_waiting_for_the_next(frontend: Frontend) -> None:
    first = await _idle_worker(frontend)
    await _start(frontend, "w")
    await first
    worker = await _idle_worker(frontend)
    with pytest.raises(RpcError, match="already running"):
        await _start(frontend, "w")
    assert not worker.done()
    await _start(frontend, "v")
    assert (await worker).workflow_execution.workflow_id == "v"


async def test_a_task_whose_poll_is_cancelled_during_the_commit_goes_to_another_worker(frontend: Frontend) -> None:
    leaving, staying = await _idle_worker(frontend), await _idle_worker(frontend)
    commits = _Commits(frontend.runtime.store)
    commits.gate.clear()
    starting = asyncio.create_task(_start(frontend, "w"))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.wait([leaving])
    commits.gate.set()
    await starting
    assert (await staying).workflow_execution.workflow_id == "w"
    assert leaving.cancelled()
