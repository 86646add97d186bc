"""Workers for both sides in one process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeTaskQueueRequest,
    RegisterNamespaceRequest,
    StartBatchOperationRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.side_by_side import NewWorkflow, Side
from tests.side_by_side.conftest import Both
from tests.side_by_side.programs import ASKED, QUEUE, Asking, Talk, greet, until
from tests.support.temporal_server import TemporalServer

SCRIPT = """
import asyncio, sys
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker, UnsandboxedWorkflowRunner

@workflow.defn
class Hello:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"hello {name}"

async def main() -> None:
    client = await Client.connect(sys.argv[1])
    worker = Worker(client, task_queue="hello", workflows=[Hello], workflow_runner=UnsandboxedWorkflowRunner())
    async with worker:
        ids = [f"script-{sys.argv[2]}-{number}" for number in range(8)]
        print(await asyncio.gather(*(client.execute_workflow(Hello.run, id, id=id, task_queue="hello") for id in ids)))

asyncio.run(main())
"""


def new(workflow_id: str) -> NewWorkflow:
    return NewWorkflow("default", workflow_id, "Hello", "hello", None)


async def started(both: Both, name: str, share: float) -> WorkflowHandle[Talk, list[str]]:
    both.plugin.choice.share = share
    return await both.client.start_workflow(Talk.run, 1, id=both.id(name), task_queue=QUEUE)


@pytest.mark.parametrize("how", ["token", "id"])
async def test_activities_that_end_elsewhere(worked: Both, how: str) -> None:
    both = worked
    for share in (0.0, 1.0):
        both.plugin.choice.share = 1.0 - share
        other = await both.client.start_workflow(Talk.run, 1, id=both.id(f"other-{share}"), task_queue=QUEUE)
        both.plugin.choice.share = share
        workflow_id = both.id(f"asking-{share}")
        handle = await both.client.start_workflow(Asking.run, how, id=workflow_id, task_queue=QUEUE)

        async def asked(name: str = workflow_id) -> bool:
            return any(name == asked_by for _, _, asked_by, _ in ASKED)

        await until(asked)
        _, token, _, activity_id = next(each for each in ASKED if each[2] == workflow_id)
        if how == "token":
            activity = both.client.get_async_activity_handle(task_token=token)
        else:
            activity = both.client.get_async_activity_handle(
                workflow_id=workflow_id, run_id=None, activity_id=activity_id
            )
        await activity.heartbeat("soon")
        await activity.complete(other.id)
        # The next activity has found, on the other side, the workflow that it was told of.
        assert await handle.result() == other.result_run_id
        await other.terminate()


async def test_both_queues_are_polled_until_the_worker_ends(worked: Both) -> None:
    request = DescribeTaskQueueRequest(namespace="default")
    request.task_queue.name = QUEUE
    request.task_queue_type = 1  # pyright: ignore[reportAttributeAccessIssue]  # a number is what goes over the wire

    async def polled() -> bool:
        return len((await worked.client.workflow_service.describe_task_queue(request)).pollers) >= 2

    await until(polled)


async def test_an_error_of_one_side_ends_the_worker(both: Both) -> None:
    name = f"only-here-{both.name}"
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.seconds = 86_400
    await both.hotmesh.workflow_service.register_namespace(request)
    config = both.client.config()
    config["namespace"] = name
    runner = UnsandboxedWorkflowRunner()
    worker = Worker(Client(**config), task_queue=QUEUE, workflows=[Talk], activities=[greet], workflow_runner=runner)
    with pytest.raises(RuntimeError, match="Namespace"):
        await worker.run()
    assert not worker.is_running


async def test_a_batch_is_one_on_both(both: Both) -> None:
    handles = [await started(both, f"batch-{number}", number % 2) for number in range(4)]
    request = StartBatchOperationRequest(namespace="default", job_id=both.id("job"), reason="enough")
    request.executions.extend(WorkflowExecution(workflow_id=handle.id) for handle in handles)
    request.termination_operation.identity = "test"
    await both.client.workflow_service.start_batch_operation(request)
    described = DescribeBatchOperationRequest(namespace="default", job_id=request.job_id)

    async def done() -> bool:
        reply = await both.client.workflow_service.describe_batch_operation(described)
        ended = reply.state == BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
        return ended and reply.complete_operation_count == 4

    await until(done)
    for handle in handles:
        assert (await handle.describe()).close_time


async def test_an_unchanged_script(temporal_server: TemporalServer, database: str, both: Both, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "hotmesh_temporal", "run", "--side-by-side", "--share", "0.5"]
    command += ["--connection", database, str(script), temporal_server.address, both.name]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"hello script-{both.name}") == 8
    query = f"WorkflowId STARTS_WITH 'script-{both.name}'"

    async def listed() -> bool:
        return (await both.client.count_workflows(query)).count == 8

    await until(listed)
    here = (await both.hotmesh.count_workflows(query)).count
    # By chance they could all be on one side, once in about 128 times; the ids say where each is.
    place = both.plugin.choice
    place.share = 0.5
    ids = [f"script-{both.name}-{number}" for number in range(8)]
    assert here == sum(place.side_of(new(id)) is Side.HOTMESH for id in ids)
