"""Schedules across engines: what becomes of them when they or their namespaces are deleted, and what verify finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    TriggerImmediatelyRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DeleteWorkflowExecutionRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    PatchScheduleRequest,
    ResetWorkflowExecutionRequest,
)

from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.frontend.server import Frontend
from hotmesh_temporal.runtime.keys import schedule_job, schedules_of_namespace
from hotmesh_temporal.runtime.verify import verify
from tests.engine.commands import complete
from tests.quorum.test_removal import ask, engine, register, until
from tests.support import by_hand

BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL


async def create(frontend: Frontend, namespace: str, name: str, *, seconds: int = 3600, request: str = "") -> None:
    """A schedule of an interval, for a workflow that no worker takes."""
    start = NewWorkflowExecutionInfo(
        workflow_id=name, workflow_type=WorkflowType(name="W"), task_queue=TaskQueue(name="nobody")
    )
    schedule = Schedule(
        spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=seconds))]),
        action=ScheduleAction(start_workflow=start),
        policies=SchedulePolicies(overlap_policy=BUFFER_ALL),
    )
    await ask(
        frontend,
        CreateScheduleRequest(
            namespace=namespace, schedule_id=name, schedule=schedule, request_id=request or f"make {name}"
        ),
    )


async def describe(frontend: Frontend, namespace: str, name: str) -> DescribeScheduleResponse:
    """Its description."""
    answer = await ask(frontend, DescribeScheduleRequest(namespace=namespace, schedule_id=name))
    assert isinstance(answer, DescribeScheduleResponse)
    return answer


async def trigger(frontend: Frontend, namespace: str, name: str, second: int = 0) -> None:
    """Have it start once."""
    now = TriggerImmediatelyRequest(scheduled_time=Timestamp(seconds=1_700_000_000 + second))
    patch = SchedulePatch(trigger_immediately=now)
    await ask(frontend, PatchScheduleRequest(namespace=namespace, schedule_id=name, patch=patch))


async def jobs(frontend: Frontend, namespace: str) -> list[str]:
    """What is stored of schedules."""
    return (await frontend.runtime.store.find_jobs(schedules_of_namespace(namespace)))[1]


async def is_sound(frontend: Frontend) -> None:
    """Verify finds nothing, and no timer is left over."""
    report = await verify(frontend.runtime.backend)
    assert report.problems == []
    assert report.loose_timers == 0


async def test_a_deleted_namespace_takes_its_schedules_along(database: str) -> None:
    async with engine(database) as one:
        for name in ("ours", "theirs"):
            await register(one, name, 1000)
            for schedule in ("a", "b"):
                await create(one, name, schedule, seconds=1)
        await trigger(one, "ours", "a")
        await ask(one, DeleteNamespaceRequest(namespace="ours"), "operator")

        async def name_is_free() -> bool:
            return not await one.runtime.namespaces.is_being_removed("ours")

        await until(name_is_free, "the name is free")
        assert await jobs(one, "ours") == []
        assert len(await jobs(one, "theirs")) == 2
        await is_sound(one)
        await register(one, "ours", 1000)
        await create(one, "ours", "a")
        assert (await describe(one, "ours", "a")).info.action_count == 0


async def test_a_deleted_schedule_is_known_for_the_retention(database: str) -> None:
    async with engine(database) as one, engine(database) as other:
        await register(one, "ours", 2)
        await create(one, "ours", "a")
        await create(one, "ours", "b")
        for name in ("a", "b"):
            await ask(other, DeleteScheduleRequest(namespace="ours", schedule_id=name))
        with pytest.raises(RpcError, match="schedule not found"):
            await describe(one, "ours", "a")
        with pytest.raises(RpcError, match="already completed"):
            await ask(one, DeleteScheduleRequest(namespace="ours", schedule_id="a"))
        await create(one, "ours", "b", request="anew")

        async def one_is_left() -> bool:
            return await jobs(one, "ours") == [schedule_job("ours", "b")]

        await until(one_is_left, "the deleted one goes, the one that was made anew stays")
        with pytest.raises(RpcError, match="workflow not found"):
            await describe(one, "ours", "a")
        assert (await describe(other, "ours", "b")).info.action_count == 0
        await is_sound(one)


async def test_the_end_of_a_deleted_run_is_heard_of(database: str) -> None:
    """Also if another process deletes it."""
    async with engine(database) as one, engine(database) as other:
        await create(one, "default", "a")
        await trigger(one, "default", "a", 0)
        await trigger(other, "default", "a", 1)
        description = await describe(one, "default", "a")
        assert (description.info.action_count, description.info.buffer_size) == (1, 1)
        run = WorkflowExecution(workflow_id=description.info.running_workflows[0].workflow_id)
        await ask(other, DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=run))

        async def next_one_runs() -> bool:
            return (await describe(one, "default", "a")).info.action_count == 2

        await until(next_one_runs, "the one that waited")
        await is_sound(one)


async def test_a_patch_that_comes_twice_counts_once(database: str) -> None:
    async with engine(database) as one, engine(database) as other:
        await create(one, "default", "a")
        patch = SchedulePatch(trigger_immediately=TriggerImmediatelyRequest())
        for frontend in (one, other, one):
            await ask(
                frontend,
                PatchScheduleRequest(namespace="default", schedule_id="a", patch=patch, request_id="the same"),
            )
        info = (await describe(other, "default", "a")).info
        assert (info.action_count, info.buffer_size) == (1, 0)


async def test_a_run_that_was_reset_is_waited_for(database: str) -> None:
    """Its schedule waits for the run that the reset has made."""
    async with engine(database) as one:
        await create(one, "default", "a")
        await trigger(one, "default", "a", 0)
        await by_hand.answer(one, await by_hand.poll(one, "nobody"))
        await trigger(one, "default", "a", 1)
        run = (await describe(one, "default", "a")).info.running_workflows[0]
        reset = ResetWorkflowExecutionRequest(
            namespace="default", workflow_execution=run, workflow_task_finish_event_id=4, request_id="reset"
        )
        await ask(one, reset)
        task = await by_hand.poll(one, "nobody")
        assert task.workflow_execution.workflow_id == run.workflow_id
        assert (await describe(one, "default", "a")).info.buffer_size == 1
        await by_hand.answer(one, task, complete())

        async def next_one_runs() -> bool:
            return (await describe(one, "default", "a")).info.action_count == 2

        await until(next_one_runs, "the one that waited")
        await is_sound(one)


async def _lose_timer(frontend: Frontend) -> None:
    await frontend.runtime.store.cancel_timer(schedule_job("default", "a"))


async def _lose_document(frontend: Frontend) -> None:
    await frontend.runtime.search.delete([schedule_job("default", "a")])


async def _lose_run(frontend: Frontend) -> None:
    for record in await frontend.runtime.store.list_runs():
        if record.job_id.startswith("r/"):
            await frontend.runtime.store.scrub(record.job_id)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_lose_timer, "it has a timer for 0"),
        (_lose_document, "lists do not show it"),
        (_lose_run, "it will not hear of it"),
    ],
)
async def test_damage_is_found(tmp_path: Path, damage: Callable[[Frontend], Awaitable[None]], what: str) -> None:
    async with engine(f"sqlite:///{tmp_path / 'damaged.sqlite3'}") as one:
        await create(one, "default", "a")
        await trigger(one, "default", "a")
        await is_sound(one)
        await damage(one)
        problems = [str(each) for each in (await verify(one.runtime.backend)).problems]
        assert any(what in each and "schedule 'a'" in each for each in problems), problems
