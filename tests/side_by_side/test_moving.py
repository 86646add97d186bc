"""Workflows are moved from the server to the database while a client of both uses them; it does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, DescribeWorkflowExecutionRequest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateStage,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.migration.migrate import Migration, Plan
from hotmesh_temporal.migration.reasons import reason_for
from hotmesh_temporal.migration.target import Target
from hotmesh_temporal.runtime.imports import ImportedRun
from hotmesh_temporal.runtime.keys import RunKey
from tests.side_by_side.conftest import Both
from tests.side_by_side.programs import ASKED, QUEUE, Asking, Parent, Talk, until

Handle = WorkflowHandle[Talk, list[str]]
COUNT = 6
WORDS = 12


@asynccontextmanager
async def target(database: str) -> AsyncGenerator[Target]:
    opened = Target(resolve(database))
    await opened.start()
    try:
        yield opened
    finally:
        await opened.close()


async def move(both: Both, database: str, *, schedules: bool = False) -> None:
    """All open workflows of this test."""
    plan = Plan(namespaces=["default"], query=f"WorkflowId STARTS_WITH '{both.name}'", schedules=schedules)
    async with target(database) as to:
        report = await Migration(both.temporal, both.temporal.service_client.config.target_host, to, plan).run()
    assert not report.refused
    assert not report.problems


async def start_there(both: Both, name: str, count: int) -> Handle:
    both.plugin.choice.share = 0.0
    return await both.client.start_workflow(Talk.run, count, id=both.id(name), task_queue=QUEUE)


async def update_started(handle: Any) -> Any:  # the SDK's types of this method are only half known
    return await handle.start_update("until", WORDS, wait_for_stage=WorkflowUpdateStage.ACCEPTED)


async def followed(handle: Handle) -> list[tuple[int, int]]:
    """The events as they come."""
    events = handle.fetch_history_events(wait_new_event=True)
    return [(event.event_id, event.event_type) async for event in events]


async def test_what_is_awaited_comes_from_where_it_went(worked: Both, database: str) -> None:
    both = worked
    handles = [await start_there(both, f"moved-{number}", WORDS) for number in range(COUNT)]
    awaiting = [asyncio.create_task(handle.result()) for handle in handles]
    following = [asyncio.create_task(followed(handle)) for handle in handles]
    updates = [await update_started(handle) for handle in handles]
    updating = [asyncio.create_task(update.result()) for update in updates]
    moving = asyncio.create_task(move(both, database))
    for number in range(WORDS):
        # Each goes to the side that has the workflow now; one that is on its way is waited for.
        await asyncio.gather(*(handle.signal(Talk.say, f"word {number}") for handle in handles))
    words = [f"word {number}" for number in range(WORDS)]
    assert await asyncio.gather(*awaiting) == [[*words, f"hello {words[-1]}"]] * COUNT
    assert await asyncio.gather(*updating) == [words] * COUNT
    await moving
    for handle, events in zip(handles, await asyncio.gather(*following), strict=True):
        stored = (await handle.fetch_history()).events
        assert events == [(event.event_id, event.event_type) for event in stored]
        assert stored[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
        # It was moved, and ended in the database.
        assert (await both.hotmesh.get_workflow_handle(handle.id).describe()).run_id == handle.result_run_id
    theirs = both.temporal.get_workflow_handle(handles[0].id)
    assert (await theirs.describe()).status is WorkflowExecutionStatus.TERMINATED


async def test_what_was_moved_is_there_once(both: Both, database: str) -> None:
    handles = [await start_there(both, f"once-{number}", 1) for number in range(3)]
    await handles[0].terminate(reason="by hand")
    action = ScheduleActionStartWorkflow(Talk.run, 1, id=both.id("scheduled"), task_queue=QUEUE)
    schedule = await both.client.create_schedule(both.id("daily"), Schedule(action=action, spec=ScheduleSpec()))
    query = f"WorkflowId STARTS_WITH '{both.id('once')}'"

    async def listed() -> bool:
        running = await both.temporal.count_workflows(f"{query} AND ExecutionStatus = 'Running'")
        return running.count == 2 and (await both.temporal.count_workflows(query)).count == 3

    await until(listed)
    await move(both, database, schedules=True)

    async def fences_listed() -> bool:
        ended = await both.temporal.count_workflows(f"{query} AND ExecutionStatus = 'Terminated'")
        return ended.count == 3

    await until(fences_listed)
    seen = [(each.id, each.status) async for each in both.client.list_workflows(query)]
    assert sorted(id for id, _ in seen) == [handle.id for handle in handles]
    assert (await both.client.count_workflows(query)).count == 3
    groups = (await both.client.count_workflows(f"{query} GROUP BY ExecutionStatus")).groups
    assert sorted((group.group_values[0], group.count) for group in groups) == [("Running", 2), ("Terminated", 1)]
    names = [each.id async for each in await both.client.list_schedules()]
    assert names.count(schedule.id) == 1
    assert not (await schedule.describe()).schedule.state.paused
    with pytest.raises(WorkflowAlreadyStartedError):
        await start_there(both, "once-1", 1)
    # Deleted is deleted on both sides.
    request = DeleteWorkflowExecutionRequest(namespace="default")
    request.workflow_execution.workflow_id = handles[1].id
    await both.client.workflow_service.delete_workflow_execution(request)

    async def gone() -> bool:
        # What is open is deleted in the background.
        try:
            await handles[1].describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await until(gone)
    with pytest.raises(RPCError, match="workflow not found"):
        await handles[1].signal(Talk.say, "late", rpc_timeout=timedelta(seconds=10))
    assert handles[1].id not in [each.id async for each in both.client.list_workflows(query)]
    await schedule.delete()
    await handles[2].terminate()


async def test_a_workflow_on_its_way_is_waited_for(worked: Both, database: str) -> None:
    both = worked
    handle = await start_there(both, "on-its-way", 2)
    await handle.signal(Talk.say, "before")
    result = asyncio.create_task(handle.result())
    theirs = both.temporal.get_workflow_handle(handle.id, run_id=handle.result_run_id)
    async with target(database) as to:
        request = DescribeWorkflowExecutionRequest(namespace="default")
        request.execution.workflow_id = handle.id
        described = await both.temporal.workflow_service.describe_workflow_execution(request)
        await theirs.terminate(reason=reason_for(to.place))
        with pytest.raises(RPCError, match="has not arrived") as caught:
            await handle.signal(Talk.say, "impatient", rpc_timeout=timedelta(seconds=0.5))
        assert caught.value.status is RPCStatusCode.UNAVAILABLE
        with pytest.raises(RPCError, match="has not arrived"):
            await handle.describe(rpc_timeout=timedelta(seconds=0.5))
        patient = asyncio.create_task(handle.signal(Talk.say, "after"))
        events = list((await theirs.fetch_history()).events)[:-1]
        assert handle.result_run_id
        key = RunKey("default", handle.id, handle.result_run_id)
        assert await to.imports.adopt(ImportedRun(key=key, events=events, described=described))
        await patient
    assert await result == ["before", "after", "hello after"]


async def test_a_token_of_the_server_ends_what_was_moved(worked: Both, database: str) -> None:
    both = worked
    other = await start_there(both, "other", 1)
    asking = await both.client.start_workflow(Asking.run, "later", id=both.id("asking"), task_queue=QUEUE)

    async def asked() -> bool:
        return any(workflow_id == asking.id for _, _, workflow_id, _ in ASKED)

    await until(asked)
    token = next(token for _, token, workflow_id, _ in ASKED if workflow_id == asking.id)
    await move(both, database)
    activity = both.client.get_async_activity_handle(task_token=token)
    await activity.heartbeat("soon")
    await activity.complete(other.id)
    assert await asking.result() == other.result_run_id
    with pytest.raises(RPCError, match=r"not found|already completed"):
        await activity.complete("again")
    await other.terminate()


async def test_a_family_is_awaited_at_both_ends(worked: Both, database: str) -> None:
    both = worked
    both.plugin.choice.share = 0.0
    parent = await both.client.start_workflow(Parent.run, both.id("child"), id=both.id("parent"), task_queue=QUEUE)
    child = both.client.get_workflow_handle_for(Talk.run, both.id("child"))

    async def begun() -> bool:
        return any("child_workflow_execution_started" in str(event) for event in (await parent.fetch_history()).events)

    await until(begun)
    awaiting = [asyncio.create_task(parent.result()), asyncio.create_task(child.result())]
    # The server terminates the child, because its parent is: that is of the move, too, and not shown.
    await asyncio.gather(move(both, database), child.signal(Talk.say, "one"))
    await child.signal(Talk.say, "two")
    assert await asyncio.gather(*awaiting) == [["one", "two", "hello two"]] * 2
