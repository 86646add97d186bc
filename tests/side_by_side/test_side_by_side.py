"""One client over a real Temporal server and a database, with workers for both."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleSpec,
    ScheduleState,
    WithStartWorkflowOperation,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from hotmesh_temporal.side_by_side import Side
from tests.side_by_side.conftest import Both
from tests.side_by_side.programs import QUEUE, Talk, until

Handle = WorkflowHandle[Talk, list[str]]
SIDES = [(Side.HOTMESH, 1.0), (Side.TEMPORAL, 0.0)]


async def has(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def updated(handle: Any, word: str) -> int:  # the SDK's types of this method are only half known
    return await handle.execute_update(Talk.tell, word)


async def updated_with_start(client: Any, operation: Any, word: str) -> int:  # as above
    return await client.execute_update_with_start_workflow(Talk.tell, word, start_workflow_operation=operation)


async def start(both: Both, name: str, share: float, count: int = 1) -> Handle:
    both.plugin.choice.share = share
    return await both.client.start_workflow(Talk.run, count, id=both.id(name), task_queue=QUEUE)


async def test_each_starts_on_its_side_and_is_used_where_it_is(worked: Both) -> None:
    both = worked
    for side, share in SIDES:
        handle = await start(both, side.value, share, 2)
        assert await has(both.hotmesh, handle.id) == (side is Side.HOTMESH)
        assert await has(both.temporal, handle.id) == (side is Side.TEMPORAL)
        await handle.signal(Talk.say, "one")
        assert await handle.query(Talk.heard) == ["one"]
        # From another process it is found anew.
        handle = both.client.get_workflow_handle_for(Talk.run, handle.id)
        assert await updated(handle, "two") == 2
        assert await handle.result() == ["one", "two", "hello two"]
        events = (await handle.fetch_history()).events
        assert [event.event_id for event in events] == list(range(1, len(events) + 1))
        with pytest.raises(RPCError, match="already completed"):
            await handle.signal(Talk.say, "late")


@pytest.mark.parametrize(("held", "share"), [(Side.HOTMESH, 0.0), (Side.TEMPORAL, 1.0)])
async def test_an_id_that_runs_on_one_side_is_taken_on_both(both: Both, held: Side, share: float) -> None:
    first = await start(both, "taken", 1.0 - share)
    with pytest.raises(WorkflowAlreadyStartedError) as caught:
        await start(both, "taken", share)
    assert caught.value.run_id == first.result_run_id
    used = await both.client.start_workflow(
        Talk.run, 1, id=first.id, task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
    )
    assert used.result_run_id == first.result_run_id
    signalled = await both.client.start_workflow(
        Talk.run, 1, id=first.id, task_queue=QUEUE, start_signal="say", start_signal_args=["hello"]
    )
    assert signalled.result_run_id == first.result_run_id
    second = await both.client.start_workflow(
        Talk.run, 1, id=first.id, task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING
    )
    assert second.result_run_id != first.result_run_id
    other = both.temporal if held is Side.HOTMESH else both.hotmesh
    assert not await has(other, first.id)
    await second.terminate()


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_an_id_that_was_used_on_the_other_side(both: Both, share: float) -> None:
    first = await start(both, "used", 1.0 - share)
    await first.terminate()
    both.plugin.choice.share = share
    with pytest.raises(WorkflowAlreadyStartedError):
        await both.client.start_workflow(
            Talk.run, 1, id=first.id, task_queue=QUEUE, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE
        )
    # How it ended is known where it ended: so there the next one starts, if that is what the policy asks for.
    failed_only = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    second = await both.client.start_workflow(Talk.run, 1, id=first.id, task_queue=QUEUE, id_reuse_policy=failed_only)
    await second.terminate()
    third = await start(both, "used", share)
    assert await has(both.hotmesh if share else both.temporal, first.id)
    # Without a run id the current run is meant, of which there is one.
    described = await both.client.get_workflow_handle(first.id).describe()
    assert described.run_id == third.result_run_id
    assert (await both.client.get_workflow_handle(first.id, run_id=first.result_run_id).describe()).close_time
    await both.client.get_workflow_handle(first.id).terminate()
    assert (await third.describe()).close_time


async def test_update_with_start(worked: Both) -> None:
    both = worked
    for side, share in SIDES:
        first = await start(both, f"lazy-{side.value}", share, 3)
        both.plugin.choice.share = 1.0 - share
        operation = WithStartWorkflowOperation(
            Talk.run, 3, id=first.id, task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
        )
        assert await updated_with_start(both.client, operation, "a") == 1
        assert (await operation.workflow_handle()).result_run_id == first.result_run_id
        await first.terminate()


async def test_lists_and_counts_have_both(both: Both) -> None:
    handles = [await start(both, f"listed-{number}", number % 2) for number in range(5)]
    await handles[0].terminate()
    await handles[1].cancel()
    query = f"WorkflowId STARTS_WITH '{both.id('listed')}'"

    async def all_listed() -> bool:
        # The server's lists lag behind.
        ended = await both.temporal.count_workflows(f"{query} AND ExecutionStatus = 'Terminated'")
        return ended.count == 1 and (await both.temporal.count_workflows(query)).count == 3

    await until(all_listed)
    for page_size in (1, 2, 3, 1000):
        listed = [each async for each in both.client.list_workflows(query, page_size=page_size)]
        assert sorted(each.id for each in listed) == sorted(handle.id for handle in handles)
    assert [each.id for each in listed[:4]] == [handle.id for handle in reversed(handles[1:])]
    assert (await both.client.count_workflows(query)).count == 5
    groups = (await both.client.count_workflows(f"{query} GROUP BY ExecutionStatus")).groups
    assert sorted((group.group_values[0], group.count) for group in groups) == [("Running", 4), ("Terminated", 1)]
    for handle in handles[1:]:
        await handle.terminate()


async def test_schedules_by_id(both: Both) -> None:
    action = ScheduleActionStartWorkflow(Talk.run, 1, id=both.id("scheduled"), task_queue=QUEUE)
    schedule = Schedule(action=action, spec=ScheduleSpec(), state=ScheduleState(paused=True))
    for share in (0.0, 1.0):
        both.plugin.choice.share = share
        handle = await both.client.create_schedule(both.id(f"every-{share}"), schedule)
        both.plugin.choice.share = 1.0 - share
        with pytest.raises(ScheduleAlreadyRunningError):
            await both.client.create_schedule(handle.id, schedule)
        await handle.pause(note="not now")
        assert (await handle.describe()).schedule.state.note == "not now"
    names = {both.id("every-0.0"), both.id("every-1.0")}

    async def all_listed() -> bool:
        return names <= {each.id async for each in await both.client.list_schedules()}

    await until(all_listed)
    for name in names:
        await both.client.get_schedule_handle(name).delete()
        with pytest.raises(RPCError, match="not found"):
            await both.client.get_schedule_handle(name).describe()


async def test_a_namespace_comes_to_the_database_when_it_is_first_used(both: Both) -> None:
    name = f"shop-{uuid.uuid4().hex[:8]}"
    request = RegisterNamespaceRequest(namespace=name, description="a shop")
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=3))
    await both.temporal.workflow_service.register_namespace(request)
    config = both.client.config()
    config["namespace"] = name
    shop = Client(**config)

    async def usable() -> bool:
        # The server takes a moment until its own new namespace can be used.
        try:
            return not (await shop.count_workflows()).count
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False

    await until(usable)
    both.plugin.choice.share = 1.0
    handle = await shop.start_workflow(Talk.run, 1, id=both.id("shop"), task_queue=QUEUE)
    described = await both.hotmesh.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
    assert described.namespace_info.description == "a shop"
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=3)
    await handle.terminate()


async def test_starts_that_race_with_an_end_start_once(worked: Both) -> None:
    both = worked
    rivals, rounds = 4, 6

    async def race(number: int) -> None:
        first = await start(both, f"race-{number}", 0.0)
        both.plugin.choice.share = 1.0

        async def rival() -> str | None:
            use = WorkflowIDConflictPolicy.USE_EXISTING
            handle = await both.client.start_workflow(
                Talk.run, 9, id=first.id, task_queue=QUEUE, id_conflict_policy=use
            )
            return handle.result_run_id

        ending = asyncio.create_task(first.signal(Talk.say, "end"))
        runs = {run for run in await asyncio.gather(*(rival() for _ in range(rivals))) if run}
        await ending
        await first.result()
        runs.add(
            (
                await both.client.start_workflow(
                    Talk.run, 9, id=first.id, task_queue=QUEUE, id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
                )
            ).result_run_id
            or ""
        )
        # Whatever began after the end began in the database, as one run.
        assert len(runs - {first.result_run_id}) == 1
        last = await both.client.get_workflow_handle(first.id).describe()
        assert await has(both.hotmesh, first.id)
        assert (await both.temporal.get_workflow_handle(first.id).describe()).run_id == first.result_run_id
        await both.client.get_workflow_handle(last.id, run_id=last.run_id).terminate()

    for number in range(rounds):
        await race(number)
