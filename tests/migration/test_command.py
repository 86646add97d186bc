"""The command: what it says before, what it leaves where it is, closed workflows, and that it may be run again."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from hotmesh_temporal.cli.main import main
from tests.migration import kinds
from tests.migration.support import QUEUE, problems_of, worker_on
from tests.support.temporal_server import TemporalServer

PATIENCE = 60.0


async def run(*arguments: str) -> Result:
    """The command, beside this event loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["migrate", "--quiet", *arguments])


async def new_namespace(server: TemporalServer) -> Client:
    """A client in a namespace of its own."""
    client = await Client.connect(server.address, namespace=f"command-{uuid.uuid4().hex[:8]}")
    request = RegisterNamespaceRequest(namespace=client.namespace, description="moved with it")
    request.workflow_execution_retention_period.FromSeconds(3 * 86_400)
    await client.workflow_service.register_namespace(request)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await client.count_workflows("WorkflowId = 'none'")
        except RPCError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)  # servers look for new namespaces from time to time
        else:
            return client


async def until_listed(client: Client, count: int) -> None:
    """Wait until lists show so many open workflows."""
    deadline = time.monotonic() + PATIENCE
    while (await client.count_workflows("ExecutionStatus = 'Running'")).count < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def read(report: Path) -> dict[str, Any]:
    """What the report says."""
    return json.loads(await asyncio.to_thread(report.read_text))


@pytest.fixture
def report_file(tmp_path: Path) -> Path:
    """Where the report goes."""
    return tmp_path / "report.json"


async def test_what_it_says_and_leaves(
    temporal_server: TemporalServer, target_url: str, target_client: Client, report_file: Path
) -> None:
    source = await new_namespace(temporal_server)
    own = ["--from", temporal_server.address, "--to", target_url, "--namespace", source.namespace]
    async with worker_on(source):
        await source.execute_workflow(kinds.Tick.run, id="done", task_queue=QUEUE)
        for workflow_id in ("inbox", "taken there"):
            await source.start_workflow(kinds.Inbox.run, args=[1], id=workflow_id, task_queue=QUEUE)
        await until_listed(source, 2)

        dry = await run(*own, "--dry-run")
        assert dry.exit_code == 0, dry.output
        assert "2 open workflows would be moved" in dry.output
        with pytest.raises(RPCError, match="not found"):
            await there(target_client, source.namespace).count_workflows()

        first = await run(*own, "--query", "WorkflowId = 'inbox'", "--closed", "--report", str(report_file))
        assert first.exit_code == 0, first.output
        report = await read(report_file)
        assert report["moved"] == {source.namespace: {"Inbox": 1}}

        here = there(target_client, source.namespace)
        blocker = await here.start_workflow(kinds.Inbox.run, args=[1], id="taken there", task_queue=QUEUE)
        second = await run(*own, "--closed", "--report", str(report_file))
        assert second.exit_code == 2, second.output
        report = await read(report_file)
        (refused,) = report["refused"]
        assert refused["what"].startswith("taken there")
        assert blocker.result_run_id is not None
        assert blocker.result_run_id in refused["reason"]
        assert report["closed"] == {source.namespace: {"Tick": 1}}
    description = await source.get_workflow_handle("taken there").describe()
    assert description.status == WorkflowExecutionStatus.RUNNING
    await check_target(here)
    assert not await problems_of(target_url)


def there(client: Client, namespace: str) -> Client:
    """The same client in another namespace."""
    config = client.config()
    config["namespace"] = namespace
    return Client(**config)


async def check_target(here: Client) -> None:
    """What is to be in the target after all that."""
    done = await here.get_workflow_handle("done").describe()
    assert done.status == WorkflowExecutionStatus.COMPLETED
    assert (await here.get_workflow_handle("inbox").describe()).status == WorkflowExecutionStatus.RUNNING
    await here.get_workflow_handle("inbox").signal("number", 3)
    async with worker_on(here):
        assert await here.get_workflow_handle("inbox").result() == [3]


async def test_errors_are_said(temporal_server: TemporalServer, target_url: str) -> None:
    nobody = await run("--from", "127.0.0.1:1", "--to", target_url)
    assert nobody.exit_code == 1
    assert nobody.output.startswith("Error: ")
    unknown = await run("--from", temporal_server.address, "--to", target_url, "--namespace", "nowhere")
    assert unknown.exit_code == 1
    assert "nowhere" in unknown.output
    wrong = await run("--from", temporal_server.address, "--to", "mysql://localhost/x")
    assert wrong.exit_code == 1
    assert os.linesep in wrong.output


async def test_a_family_moves_as_a_whole(temporal_server: TemporalServer, target_url: str, report_file: Path) -> None:
    source = await new_namespace(temporal_server)
    own = ["--from", temporal_server.address, "--to", target_url, "--namespace", source.namespace]
    async with worker_on(source):
        family = kinds.Family([1, 2], 1)
        await source.start_workflow(kinds.Parent.run, family, id="parent", task_queue=QUEUE)
        await source.start_workflow(kinds.Inbox.run, args=[1], id="other", task_queue=QUEUE)
        await until_listed(source, 4)
        done = await run(*own, "--query", "WorkflowId = 'parent-child-2'", "--report", str(report_file))
        assert done.exit_code == 0, done.output
    assert (await read(report_file))["moved"] == {source.namespace: {"Inbox": 2, "Parent": 1}}
    assert [each.id async for each in source.list_workflows("ExecutionStatus = 'Running'")] == ["other"]


async def test_a_family_stays_as_a_whole(
    temporal_server: TemporalServer, target_url: str, target_client: Client, report_file: Path
) -> None:
    source = await new_namespace(temporal_server)
    own = ["--from", temporal_server.address, "--to", target_url, "--namespace", source.namespace]
    async with worker_on(source):
        await source.start_workflow(kinds.Parent.run, kinds.Family([1], 1), id="parent", task_queue=QUEUE)
        await until_listed(source, 2)
        await run(*own, "--query", "WorkflowId = 'nobody'")  # makes the namespace
        here = there(target_client, source.namespace)
        await here.start_workflow(kinds.Inbox.run, args=[1], id="parent-child-1", task_queue=QUEUE)
        done = await run(*own, "--report", str(report_file))
        assert done.exit_code == 2, done.output
    reasons = {each["what"].split()[0]: each["reason"] for each in (await read(report_file))["refused"]}
    assert reasons["parent"] == "it belongs together with 'parent-child-1', which cannot be moved"
    assert "its workflow id is that of an open run there" in reasons["parent-child-1"]
    assert (await source.count_workflows("ExecutionStatus = 'Running'")).count == 2
