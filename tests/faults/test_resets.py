"""Resets on a database: nothing is left behind, and long histories are read and written whole."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from hotmesh_temporal import workflow
from hotmesh_temporal.cli.main import main
from hotmesh_temporal.client import Client
from hotmesh_temporal.worker import UnsandboxedWorkflowRunner, Worker

_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_LONG = 700
"""Signals, each a batch of its own: more than a page."""


@workflow.defn
class Leaf:
    """Waits for a signal."""

    def __init__(self) -> None:
        self.open = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.open)
        return "done"

    @workflow.signal
    def go(self) -> None:
        self.open = True


@workflow.defn
class Branch:
    """Waits for a leaf of its own."""

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_child_workflow(Leaf.run, id=f"{workflow.info().workflow_id}-leaf")


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncGenerator[Client]:
    """A client of a database of its own."""
    connected = await Client.connect(connection=f"sqlite:///{tmp_path / 'resets.sqlite3'}")
    yield connected
    await connected.close()


async def reset(client: Client, workflow_id: str, event_id: int, request_id: str = "") -> str:
    """Reset the current run; the id of the new one."""
    request = ResetWorkflowExecutionRequest(
        namespace="default",
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        workflow_task_finish_event_id=event_id,
        request_id=request_id or str(uuid.uuid4()),
    )
    return (await client.workflow_service.reset_workflow_execution(request)).run_id


async def history(client: Client, workflow_id: str) -> list[Any]:
    """All events of the current run."""
    return list((await client.get_workflow_handle(workflow_id).fetch_history()).events)


async def answered(client: Client, workflow_id: str, count: int = 1) -> int:
    """Wait for so many workflow tasks of the current run; the event that the last one ended with."""
    while True:
        found = [each.event_id for each in await history(client, workflow_id) if each.event_type == _COMPLETED]
        if len(found) >= count:
            return found[-1]
        await asyncio.sleep(0.02)


def signal_names(events: list[Any]) -> list[str]:
    """The names of all signals, in order."""
    found = [each for each in events if each.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    return [each.workflow_execution_signaled_event_attributes.signal_name for each in found]


def problems(path: Path) -> str:
    """The verdict of `hotmesh-temporal verify` on the database; with all that it says if it is not content."""
    result = CliRunner().invoke(main, ["verify", "--connection", f"sqlite:///{path / 'resets.sqlite3'}"])
    last = result.output.splitlines()[-1]
    return last if result.exit_code == 0 else result.output


@pytest.mark.asyncio
async def test_a_family_that_was_reset_is_sound(client: Client, tmp_path: Path) -> None:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="q", workflows=[Branch, Leaf], workflow_runner=runner):
        for name in ("parent-open", "parent-done", "child-reset", "terminated"):
            await client.start_workflow(Branch.run, id=name, task_queue="q")
            await answered(client, name, 2)
            await answered(client, f"{name}-leaf")
        await reset(client, "parent-open", await answered(client, "parent-open", 2))
        await reset(client, "parent-done", await answered(client, "parent-done", 2))
        await answered(client, "parent-done", 2)
        await reset(client, "child-reset-leaf", await answered(client, "child-reset-leaf"))
        await client.get_workflow_handle("terminated").terminate()
        await reset(client, "terminated", 4)
        for name in ("parent-done", "child-reset"):
            await client.get_workflow_handle(f"{name}-leaf").signal(Leaf.go)
            assert await client.get_workflow_handle(name).result() == "done"
        await answered(client, "parent-open", 2)
        await answered(client, "terminated", 1)
    assert await asyncio.to_thread(problems, tmp_path) == "no problems"


@pytest.mark.asyncio
async def test_a_long_history_is_reset(client: Client, tmp_path: Path) -> None:
    handle = await client.start_workflow(Leaf.run, id="long", task_queue="nobody")
    for number in range(_LONG):
        await handle.signal(f"s{number}")
    before, names = await history(client, "long"), [f"s{number}" for number in range(_LONG)]
    assert sorted(signal_names(before)) == sorted(names)
    for point in (_LONG, 3):
        await reset(client, "long", point)
        new = await history(client, "long")
        assert [each.event_id for each in new] == list(range(1, len(new) + 1))
        assert new[: point - 1] == before[: point - 1]
        assert signal_names(new) == signal_names(before)
        before = new
    assert await asyncio.to_thread(problems, tmp_path) == "no problems"


@pytest.mark.asyncio
async def test_a_request_that_comes_again_changes_nothing(client: Client) -> None:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="q", workflows=[Leaf], workflow_runner=runner):
        await client.start_workflow(Leaf.run, id="once", task_queue="q")
        point = await answered(client, "once")
        made = await reset(client, "once", point, "request")
        assert await reset(client, "once", point, "request") == made
        await answered(client, "once")
        assert await reset(client, "once", point, "request") == made
        assert await reset(client, "once", point, "another") != made


@pytest.mark.asyncio
async def test_resets_at_the_same_time_follow_each_other(client: Client, tmp_path: Path) -> None:
    handle = await client.start_workflow(Leaf.run, id="race", task_queue="nobody")
    await handle.signal(Leaf.go)
    signals = [handle.signal(f"s{number}") for number in range(5)]
    resets = [reset(client, "race", 3) for _ in range(5)]
    outcomes = await asyncio.gather(*signals, *resets, return_exceptions=True)
    assert len({each for each in outcomes if isinstance(each, str)}) == len(resets)
    assert await asyncio.to_thread(problems, tmp_path) == "no problems"
