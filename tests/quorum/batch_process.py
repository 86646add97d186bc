"""An engine without workers: ``python -m tests.quorum.batch_process CONNECTION [BATCH]``, which it starts first."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from google.protobuf.message import Message
from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.engine.limits import Limits
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime import batch

RATE = 150.0
QUERY = "WorkflowType = 'Order'"


def new_engine(connection: str) -> Frontend:
    """An engine that does batch operations faster than usual; not started."""
    return Frontend(resolve(connection).backend(), limits=Limits(batch_rate=RATE))


async def ask(engine: Frontend, method: str, request: Message) -> Any:
    """What the service answers."""
    return await engine.call("workflow", method, request, metadata={}, deadline=None)


def signal_all(batch_id: str) -> StartBatchOperationRequest:
    """The batch: a signal to each order."""
    return StartBatchOperationRequest(
        namespace="default",
        job_id=batch_id,
        reason="test",
        visibility_query=QUERY,
        max_operations_per_second=RATE,
        signal_operation=BatchOperationSignal(signal="go"),
    )


async def main(connection: str, batch_id: str) -> None:
    # What a killed process holds is free soon, so that the test need not wait for it.
    batch.LEASE_MS = 1000
    engine = new_engine(connection)
    await engine.start()
    if batch_id:
        await ask(engine, "StartBatchOperation", signal_all(batch_id))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], "".join(sys.argv[2:])))
