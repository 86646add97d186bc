"""Workers for both sides in one process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import BatchOperationState
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeTaskQueueRequest,
    RegisterNamespaceRequest,
    StartBatchOperationRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from hotmesh_temporal.histories import Selection, of_server
from hotmesh_temporal.side_by_side import NewWorkflow, Side
from tests.side_by_side.conftest import Both
from tests.side_by_side.programs import ASKED, LONGEST_SECONDS, QUEUE, Asking, Slow, Talk, greet, until
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
            elsewhere = both.client.get_async_activity_handle(task_token=token)
        else:
            elsewhere = both.client.get_async_activity_handle(
                workflow_id=workflow_id, run_id=None, activity_id=activity_id
            )
        await elsewhere.heartbeat("soon")
        await elsewhere.complete(other.id)
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


async def test_both_ends_have_the_same_grace(both: Both) -> None:
    @activity.defn
    async def slow() -> None:
        try:
            begun.append(1)
            await asyncio.sleep(LONGEST_SECONDS)
        finally:
            ended.append(asyncio.get_running_loop().time())

    begun: list[int] = []
    ended: list[float] = []
    grace = 3.0
    runner = UnsandboxedWorkflowRunner()
    worker = Worker(
        both.client,
        task_queue=both.id("slow"),
        workflows=[Slow],
        activities=[slow],
        workflow_runner=runner,
        graceful_shutdown_timeout=timedelta(seconds=grace),
    )
    async with worker:
        for share in (0.0, 1.0):
            both.plugin.choice.share = share
            await both.client.start_workflow(Slow.run, id=both.id(f"slow-{share}"), task_queue=both.id("slow"))

        async def both_begun() -> bool:
            return len(begun) == 2

        await until(both_begun)
        begin = asyncio.get_running_loop().time()
    # One after the other they would have had twice as long.
    assert all(grace * 0.5 <= each - begin for each in ended)
    assert abs(ended[0] - ended[1]) < grace * 0.9
    for share in (0.0, 1.0):
        await both.client.get_workflow_handle(both.id(f"slow-{share}")).terminate()


async def test_histories_of_the_server(temporal_server: TemporalServer, both: Both) -> None:
    handle = await started(both, "exported", 0.0)
    async with of_server(temporal_server.address) as histories:
        assert "default" in await histories.namespaces()
        selection = Selection(workflow_ids=[handle.id])

        async def listed() -> bool:
            return len([run async for run in histories.runs("default", selection)]) == 1

        await until(listed)
        (run,) = [run async for run in histories.runs("default", selection)]
        assert run.workflow_type == "Talk"
        history = await histories.read(run)
        assert history is not None
        await Replayer(workflows=[Talk], workflow_runner=UnsandboxedWorkflowRunner()).replay_workflow(history)
    await handle.terminate()


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
    (tmp_path / "sides_rule.py").write_text(
        "def rule(new):\n    return 'temporal' if '-7' in new.workflow_id else None\n"
    )
    command = [sys.executable, "-m", "hotmesh_temporal", "run", "--side-by-side", "--share", "0.5"]
    command += ["--rule", "sides_rule:rule"]
    command += ["--connection", database, str(script), temporal_server.address, both.name]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"hello script-{both.name}") == 8
    query = f"WorkflowId STARTS_WITH 'script-{both.name}'"

    async def listed() -> bool:
        return (await both.client.count_workflows(query)).count == 8

    await until(listed)
    here = (await both.hotmesh.count_workflows(query)).count
    # By the share the ids say where each is; the rule comes before it.
    place = both.plugin.choice
    place.share = 0.5
    ids = [f"script-{both.name}-{number}" for number in range(8)]
    assert here == sum(place.side_of(new(id)) is Side.HOTMESH for id in ids if "-7" not in id)
