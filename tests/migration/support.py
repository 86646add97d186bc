"""What the tests of moves have in common."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.migration.migrate import Migration, Plan
from hotmesh_temporal.migration.report import Report
from hotmesh_temporal.migration.target import Target
from hotmesh_temporal.runtime.verify import verify
from tests.migration import kinds
from tests.support.temporal_server import TemporalServer

QUEUE = "kinds"


def worker_on(client: Client) -> Worker:
    """A worker for all kinds."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=kinds.WORKFLOWS,
        activities=kinds.ACTIVITIES,
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    )


async def migrate(server: TemporalServer, client: Client, url: str, plan: Plan) -> Report:
    """As the command does it, in this process."""
    target = Target(resolve(url))
    await target.start()
    try:
        return await Migration(client, server.address, target, plan).run()
    finally:
        await target.close()


async def problems_of(url: str) -> list[str]:
    """What `hotmesh-temporal verify` says of the database."""
    target = Target(resolve(url))
    await target.start()
    try:
        report = await verify(target.runtime.backend, lambda runs: None)
    finally:
        await target.close()
    return [str(each) for each in report.problems]
