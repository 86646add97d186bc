"""A worker process for the scenarios that kill one: `python -m compat_tests.worker_process CONNECTION QUEUE`."""

from __future__ import annotations

import asyncio
import sys

from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from compat_tests.scenarios.resilience import HangsInTask, Survives, killed_in_first_attempt
from compat_tests.scenarios.updates import Updated
from compat_tests.targets import Connection


async def main() -> None:
    """Serve the queue until killed."""
    client = await Connection.from_json(sys.argv[1]).client()
    worker = Worker(
        client,
        task_queue=sys.argv[2],
        workflows=[HangsInTask, Survives, Updated],
        activities=[killed_in_first_attempt],
        workflow_runner=UnsandboxedWorkflowRunner(),
        debug_mode=True,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
