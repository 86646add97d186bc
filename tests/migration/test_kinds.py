"""A dozen kinds of open workflows move from a real Temporal server to SQLite while they are being sent signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateStage
from temporalio.common import RetryPolicy
from temporalio.exceptions import CancelledError

from hotmesh_temporal.migration.migrate import Plan
from tests.migration import kinds
from tests.migration.signaller import Signaller
from tests.migration.support import QUEUE, migrate, problems_of, worker_on
from tests.support.temporal_server import TemporalServer

LIMIT = 60.0


class Crowd:
    """The workflows of the test, on the source at first."""

    def __init__(self, source: Client) -> None:
        self._source = source

    async def start(self, run: Any, workflow_id: str, *args: Any, **options: Any) -> str:
        await self._source.start_workflow(run, args=args, id=workflow_id, task_queue=QUEUE, **options)
        return workflow_id

    async def start_all(self) -> None:
        """One of each kind, some of them twice."""
        inbox, once = kinds.Inbox.run, RetryPolicy(initial_interval=timedelta(seconds=2), backoff_coefficient=1.0)
        await asyncio.gather(
            self.start(kinds.Sleeper.run, "sleeper", 7.0),
            self.start(kinds.Worker.run, "heartbeat", "heartbeat"),
            self.start(kinds.Worker.run, "backoff", "backoff"),
            self.start(kinds.Worker.run, "no retries", "no retries"),
            self.start(inbox, "inbox", 40),
            self.start(inbox, "slow inbox", 10, True),
            self.start(inbox, "updated", 5),
            self.start(inbox, "long history", 301),
            self.start(inbox, "gets a message", 1),
            self.start(inbox, "is cancelled", 1),
            self.start(inbox, "delayed", 1, start_delay=timedelta(seconds=4)),
            self.start(kinds.Ring.run, "ring", 40, []),
            self.start(kinds.Parent.run, "parent", kinds.Family([1, 2, 3], 5)),
            self.start(kinds.Retrying.run, "retrying", retry_policy=once),
            self.start(kinds.Once.run, "once", memo={"first": 1}),
            self.start(kinds.Messenger.run, "messenger", "gets a message", "is cancelled"),
            self.start(kinds.Tick.run, "cron", cron_schedule="0 0 1 1 *"),
        )


async def repeatable(client: Client) -> str:
    """Two requests as they are repeated by a client that got no answer; they count once, wherever they arrive."""
    execution = WorkflowExecution(workflow_id="updated")
    zero = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b"0")])
    signal = SignalWorkflowExecutionRequest(
        namespace="default", workflow_execution=execution, signal_name="number", input=zero, request_id="signal once"
    )
    await client.workflow_service.signal_workflow_execution(signal)
    start = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id="started once",
        workflow_type=WorkflowType(name="Inbox"),
        task_queue=TaskQueue(name="nobody polls this"),
        request_id="start once",
    )
    return (await client.workflow_service.start_workflow_execution(start)).run_id


async def start_update(client: Client, workflow_id: str) -> Any:
    """One that is answered when three numbers have come."""
    handle: Any = client.get_workflow_handle(workflow_id)
    return await handle.start_update(kinds.Inbox.when_seen, 3, wait_for_stage=WorkflowUpdateStage.ACCEPTED)


async def until(is_so: Callable[[], Awaitable[Any]]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + LIMIT
    while not await is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def has_beaten(client: Client) -> bool:
    """The server has the details of the activity's heartbeat."""
    description = await client.get_workflow_handle("heartbeat").describe()
    return any(each.heartbeat_details.payloads for each in description.raw_description.pending_activities)


async def talk(signaller: Signaller, moved: asyncio.Event) -> None:
    """Send signals to all who wait for some, for about six seconds; the last one once they have moved."""
    children = [f"parent-child-{policy}" for policy in (1, 2, 3)]
    await asyncio.gather(
        signaller.count("inbox", 40, 0.15, last_after=moved),
        signaller.count("ring", 40, 0.15, last_after=moved),
        signaller.count("slow inbox", 10, 0.4, last_after=moved),
        *(signaller.count(each, 5, 1.0, last_after=moved) for each in children),
    )


async def result_of(client: Client, workflow_id: str) -> Any:
    """The result, wherever in its chain of runs it comes."""
    return await asyncio.wait_for(client.get_workflow_handle(workflow_id).result(), LIMIT)


async def test_every_kind_goes_on(temporal_server: TemporalServer, target_url: str, target_client: Client) -> None:
    source = await Client.connect(temporal_server.address)
    signaller = Signaller(source, target_client)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(worker_on(source))
        await Crowd(source).start_all()
        update = await start_update(source, "updated")
        await asyncio.gather(*(signaller.send("long history", number) for number in range(300)))
        again = await repeatable(source)
        await until(partial(has_beaten, source))
        await until(partial(source.get_workflow_handle("once").query, kinds.Once.before))
        before = await source.get_workflow_handle("once").query(kinds.Once.before)
        cron = await source.get_workflow_handle("cron").describe()
        moved = asyncio.Event()
        talking = asyncio.create_task(talk(signaller, moved))
        await asyncio.sleep(0.5)
        await stack.enter_async_context(worker_on(target_client))
        report = await migrate(temporal_server, source, target_url, Plan(namespaces=["default"], schedules=False))
        moved.set()
        await talking
        await asyncio.gather(
            signaller.send("long history", 300),
            signaller.send("delayed", 1),
            *(signaller.send("updated", number) for number in range(1, 5)),
        )
        assert await repeatable(target_client) == again
        for each in ("once", "messenger"):
            await target_client.get_workflow_handle(each).signal("go")
        assert not report.problems
        assert not report.refused
        assert signaller.on_target >= 6
        # Wherever a run was when it was moved, it has had all that it was sent, once, in the order of each sender.
        for name, count in (("inbox", 40), ("ring", 40), ("slow inbox", 10), ("updated", 5)):
            assert sorted(await result_of(target_client, name)) == list(range(count)), name
        assert await result_of(target_client, "parent") == [list(range(5))] * 3
        assert sorted(await result_of(target_client, "long history")) == list(range(301))
        assert await target_client.get_workflow_handle("updated").get_update_handle(update.id).result() == 3
        assert -0.1 <= await result_of(target_client, "sleeper") < LIMIT
        assert await result_of(target_client, "heartbeat") == [2, 41]
        assert await result_of(target_client, "backoff") == 3
        assert await result_of(target_client, "no retries") == "TimeoutError"
        assert await result_of(target_client, "retrying") == 3
        assert await result_of(target_client, "delayed") == [1]
        assert await result_of(target_client, "gets a message") == [7]
        with pytest.raises(WorkflowFailureError) as cancelled:
            await result_of(target_client, "is cancelled")
        assert isinstance(cancelled.value.cause, CancelledError)
        values = await result_of(target_client, "once")
        assert values[:4] == before
        assert values[4:6] != before[:2]
        await check_attributes(target_client)
        await check_cron(target_client, cron)
        await check_fence(source, target_url, cron.run_id)
    assert not await problems_of(target_url)
    assert json.dumps(report.as_json())


async def check_attributes(client: Client) -> None:
    """Search attributes and memo, in lists too."""
    found = [each async for each in client.list_workflows("MigrationKeyword = 'moved'")]
    assert [each.id for each in found] == ["once"]
    assert await found[0].memo() == {"first": 1, "note": "kept"}


async def check_cron(client: Client, before: Any) -> None:
    """The same run waits for the same moment."""
    after = await client.get_workflow_handle("cron").describe()
    assert (after.run_id, after.execution_time) == (before.run_id, before.execution_time)
    assert after.status == WorkflowExecutionStatus.RUNNING


async def check_fence(source: Client, url: str, run_id: str) -> None:
    """The source has no open workflow any more, and says where they are."""
    assert not [each async for each in source.list_workflows("ExecutionStatus = 'Running'")]
    history = await source.get_workflow_handle("cron", run_id=run_id).fetch_history()
    reason = history.events[-1].workflow_execution_terminated_event_attributes.reason
    assert reason == f"moved to {url.replace('sqlite:///', 'sqlite:')} by hotmesh-temporal migrate"
