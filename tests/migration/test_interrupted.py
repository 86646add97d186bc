"""A move that was cut off at a bad moment goes on, and nothing that the source's workers did because of it stays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from temporalio.client import Client, WorkflowExecutionStatus

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.migration.migrate import Plan
from hotmesh_temporal.migration.reasons import reason_for
from hotmesh_temporal.migration.target import Target
from tests.migration import kinds
from tests.migration.signaller import Signaller
from tests.migration.support import QUEUE, migrate, problems_of, worker_on
from tests.support.temporal_server import TemporalServer

PATIENCE = 60.0


async def begin_and_die(server: TemporalServer, source: Client, url: str, workflow_id: str) -> None:
    """What a move does up to the moment when it has taken a parent away, and not yet its children."""
    target = Target(resolve(url))
    await target.start()
    await target.runtime.moving.begin("default", server.address)
    await target.close()
    await source.get_workflow_handle(workflow_id).terminate(reason=reason_for(target.place))


async def until_there(client: Client, workflow_id: str) -> None:
    """Wait until lists show the workflow."""
    deadline = time.monotonic() + PATIENCE
    while not (await client.count_workflows(f"WorkflowId = '{workflow_id}'")).count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def until_closed(client: Client, workflow_id: str, status: WorkflowExecutionStatus) -> None:
    """Wait until the workflow has ended so."""
    deadline = time.monotonic() + PATIENCE
    while (await client.get_workflow_handle(workflow_id).describe()).status != status:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_a_child_that_was_cancelled_by_it_goes_on(
    temporal_server: TemporalServer, target_url: str, target_client: Client
) -> None:
    source = await Client.connect(temporal_server.address)
    signaller = Signaller(source, target_client)
    own = "interrupted"
    async with worker_on(source), worker_on(target_client):
        await source.start_workflow(kinds.Parent.run, kinds.Family([1, 2, 3], 2), id=own, task_queue=QUEUE)
        for policy in (1, 2, 3):
            await until_there(source, f"{own}-child-{policy}")
            await signaller.send(f"{own}-child-{policy}", 0)
        await begin_and_die(temporal_server, source, target_url, own)
        await until_closed(source, f"{own}-child-1", WorkflowExecutionStatus.TERMINATED)
        await until_closed(source, f"{own}-child-3", WorkflowExecutionStatus.CANCELED)
        report = await migrate(temporal_server, source, target_url, Plan(namespaces=["default"], schedules=False))
        assert not report.problems
        assert report.total == 4
        for policy in (1, 2, 3):
            await signaller.send(f"{own}-child-{policy}", 1)
        result = await asyncio.wait_for(target_client.get_workflow_handle(own).result(), PATIENCE)
        assert result == [[0, 1]] * 3
    assert not await problems_of(target_url)


async def test_a_signal_to_one_that_has_left_arrives(
    temporal_server: TemporalServer, target_url: str, target_client: Client
) -> None:
    source = await Client.connect(temporal_server.address)
    there = Plan(namespaces=["default"], schedules=False)
    async with worker_on(source), worker_on(target_client):
        for workflow_id in ("gets it", "is stopped"):
            await source.start_workflow(kinds.Inbox.run, args=[1], id=workflow_id, task_queue=QUEUE)
        sender = await source.start_workflow(
            kinds.Messenger.run, args=["gets it", "is stopped"], id="sender", task_queue=QUEUE
        )
        await until_there(source, "gets it")
        await migrate(temporal_server, source, target_url, replace(there, query="WorkflowId = 'gets it'"))
        await sender.signal(kinds.Messenger.go)
        await until_failed(source, "sender")
        report = await migrate(temporal_server, source, target_url, there)
        assert not report.problems
        result = await asyncio.wait_for(target_client.get_workflow_handle("gets it").result(), PATIENCE)
        assert result == [7]
        await asyncio.wait_for(target_client.get_workflow_handle("sender").result(), PATIENCE)
        await until_closed(target_client, "is stopped", WorkflowExecutionStatus.CANCELED)
    assert not await problems_of(target_url)


async def until_failed(client: Client, workflow_id: str) -> None:
    """Wait until the sender knows that nobody is there."""
    deadline = time.monotonic() + PATIENCE
    while not await client.get_workflow_handle(workflow_id).query(kinds.Messenger.failed):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
