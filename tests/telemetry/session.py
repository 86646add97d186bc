"""A small session: workflows that end in every way, an activity, an error. Played on both servers."""

from __future__ import annotations

import contextlib
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "session"


@activity.defn
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class Ending:
    @workflow.run
    async def run(self, how: str) -> str:
        if how == "fails":
            raise ApplicationError("on purpose")
        if how == "waits":
            await workflow.wait_condition(lambda: False)
        if how == "continues":
            workflow.continue_as_new("completes")
        return await workflow.execute_activity(greet, how, start_to_close_timeout=timedelta(seconds=10))


async def play(client: Client) -> None:
    """All of it."""

    async def ends(how: str, timeout: timedelta | None = None) -> None:
        with contextlib.suppress(WorkflowFailureError):
            await client.execute_workflow(
                Ending.run, how, id=str(uuid.uuid4()), task_queue=QUEUE, execution_timeout=timeout
            )

    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Ending],
        activities=[greet],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await ends("completes")
        await ends("fails")
        await ends("continues")
        await ends("waits", timedelta(seconds=1))
        for cancels in (True, False):
            handle = await client.start_workflow(Ending.run, "waits", id=str(uuid.uuid4()), task_queue=QUEUE)
            await (handle.cancel() if cancels else handle.terminate())
            with contextlib.suppress(WorkflowFailureError):
                await handle.result()
    with contextlib.suppress(RPCError):
        await client.get_workflow_handle("nobody").describe()
    with contextlib.suppress(RPCError):
        await client.count_workflows("this is no filter")
