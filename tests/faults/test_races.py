"""What happens when two things happen at the same moment. Each test makes the one moment that matters."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from hotmesh_temporal.providers.sqlite import SqliteBackend
from temporalio.api.command.v1 import (
    Command,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType, EventType, WorkflowExecutionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    TerminateWorkflowExecutionRequest,
    TerminateWorkflowExecutionResponse,
)

from hotmesh_temporal.contracts.backend import ConnectionSpec
from hotmesh_temporal.contracts.commit import RunRecord
from hotmesh_temporal.contracts.store import StoreService
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import matching
from hotmesh_temporal.runtime.keys import QueueKey, RunKey
from tests.support import by_hand

TERMINATED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED

CONTINUE = Command(
    command_type=CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
    continue_as_new_workflow_execution_command_attributes=ContinueAsNewWorkflowExecutionCommandAttributes(),
)


@pytest_asyncio.fixture
async def frontend(tmp_path: Path) -> AsyncGenerator[Frontend, None]:
    """An engine on a file."""
    engine = Frontend(SqliteBackend(ConnectionSpec(provider="sqlite", url=f"sqlite:///{tmp_path / 'races.sqlite3'}")))
    await engine.start()
    yield engine
    await engine.close()


def after_the_pointer_is_read(
    monkeypatch: pytest.MonkeyPatch, store: StoreService, workflow_id: str, happen: Callable[[], Awaitable[None]]
) -> None:
    """Let something happen once, between the reading of a workflow's current run and the use of what was read."""
    read, happened = store.load_current_run, False

    async def load(pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        nonlocal happened
        record = await read(pointer_id, known)
        if pointer_id.endswith(f"/{workflow_id}") and not happened:
            happened = True
            await happen()
        return record

    monkeypatch.setattr(store, "load_current_run", load)


async def test_a_signal_meets_a_run_that_continues_as_new(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender does not hear that there is nobody: the next run of the chain is there at every moment."""
    await by_hand.start(frontend, "target", "targets")
    first = await by_hand.poll(frontend, "targets")
    await by_hand.start(frontend, "sender", "senders")

    after_the_pointer_is_read(
        monkeypatch, frontend.runtime.store, "target", lambda: by_hand.answer(frontend, first, CONTINUE)
    )
    signal = SignalExternalWorkflowExecutionCommandAttributes(
        namespace="default", execution=WorkflowExecution(workflow_id="target"), signal_name="go"
    )
    command = Command(
        command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
        signal_external_workflow_execution_command_attributes=signal,
    )
    await by_hand.answer(frontend, await by_hand.poll(frontend, "senders"), command)
    told = await by_hand.poll(frontend, "senders")
    assert EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED in [
        each.event_type for each in told.history.events
    ]
    second = await by_hand.poll(frontend, "targets")
    assert second.workflow_execution.run_id != first.workflow_execution.run_id
    signals = [each for each in second.history.events if each.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signals) == 1


async def test_a_run_is_read_while_the_cache_goes_back(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that began early ends late and brings an old state, while another one relies on what the cache had."""
    executions, store = frontend.runtime.executions, frontend.runtime.store
    key = RunKey("default", "w", await by_hand.start(frontend, "w"))
    read, gates = store.load_run, [asyncio.Event(), asyncio.Event()]
    held = iter(gates)

    async def load(job_id: str, known_revision: int = 0) -> RunRecord | None:
        record = await read(job_id, known_revision)
        await next(held).wait()
        return record

    executions.forget(key.job_id)
    with monkeypatch.context() as patch:
        patch.setattr(store, "load_run", load)
        early = asyncio.create_task(executions.load(key))
        await asyncio.sleep(0.05)
    await by_hand.signal(frontend, "w")
    with monkeypatch.context() as patch:
        patch.setattr(store, "load_run", load)
        late = asyncio.create_task(executions.load(key))
        await asyncio.sleep(0.05)
    executions.forget(key.job_id)
    gates[0].set()
    old = await early
    gates[1].set()
    new = await late
    assert old is not None
    assert new is not None
    assert (old.state.signal_count, new.state.signal_count) == (0, 1)


async def test_nothing_stays_in_the_queue_of_a_dead_worker(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sticky task that nobody takes goes to the normal queue, and its message goes away."""
    monkeypatch.setattr(matching, "_DISCARD_SECONDS", 0.2)
    monkeypatch.setattr(frontend.runtime.hints, "has_peers", lambda: True)  # it may live in another process
    await by_hand.start(frontend, "w")
    await by_hand.answer(frontend, await by_hand.poll(frontend), sticky="dead", patience=1)
    stream = frontend.runtime.matching.stream_of(QueueKey("default", False, "dead"))
    await by_hand.signal(frontend, "w")
    assert await frontend.runtime.stream.get_stream_depth(stream) == 1
    task = await by_hand.poll(frontend)
    assert task.workflow_execution.workflow_id == "w"
    while await frontend.runtime.stream.get_stream_depth(stream):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_the_run_in_memory_is_the_current_one_no_longer(frontend: Frontend, tmp_path: Path) -> None:
    """Another process closes the run and starts the next one: what comes without a run id is for that one."""
    url = f"sqlite:///{tmp_path / 'races.sqlite3'}"
    other = Frontend(SqliteBackend(ConnectionSpec(provider="sqlite", url=url)))
    await other.start()
    first = await by_hand.start(frontend, "w")
    await by_hand.signal(frontend, "w")
    second = await _replace(other)
    known = frontend.runtime.executions.current_in_memory("default", "w")
    assert known is not None
    assert known.state.run_id == first
    for _ in range(2):
        await by_hand.signal(frontend, "w")
    third = await _replace(other)
    await by_hand.call(frontend, _TERMINATE, TerminateWorkflowExecutionResponse)
    found = [await other.runtime.executions.load(RunKey("default", "w", each)) for each in (first, second, third)]
    assert [each.state.signal_count for each in found if each] == [1, 2, 0]
    assert [each.state.status for each in found if each] == [TERMINATED] * 3
    with pytest.raises(RpcError, match="workflow execution already completed"):
        await by_hand.signal(frontend, "w")
    await other.close()


_TERMINATE = TerminateWorkflowExecutionRequest(
    namespace="default", workflow_execution=WorkflowExecution(workflow_id="w")
)


async def _replace(frontend: Frontend) -> str:
    """End the current run and start another one; its run id."""
    await by_hand.call(frontend, _TERMINATE, TerminateWorkflowExecutionResponse)
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id="w",
        workflow_type=WorkflowType(name="W"),
        task_queue=TaskQueue(name="q"),
        request_id=uuid.uuid4().hex,
    )
    return (await by_hand.call(frontend, request, StartWorkflowExecutionResponse)).run_id
