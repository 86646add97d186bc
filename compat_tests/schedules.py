"""Making schedules and looking at them. Starts are triggered for times of the past: so ids are the same everywhere."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    ScheduleSpec,
    TriggerImmediatelyRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    CreateScheduleResponse,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    PatchScheduleRequest,
    PatchScheduleResponse,
    UpdateScheduleRequest,
    UpdateScheduleResponse,
)

from compat_tests.env import Env
from compat_tests.targets import IDENTITY

PAST = 1_700_000_000
"""2023-11-14T22:13:20Z"""


def every(seconds: int) -> ScheduleSpec:
    """The spec of an interval."""
    return ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=seconds))])


YEARLY = every(86_400 * 365)
"""It is not due while a scenario runs."""


def at(second: int) -> Timestamp:
    """A second of the past."""
    return Timestamp(seconds=PAST + second)


def name_at(env: Env, second: int) -> str:
    """The id of the workflow that is started for a second of the past (of the first minute)."""
    minute, rest = divmod(20 + second, 60)
    return f"{env.id()}-2023-11-14T22:{13 + minute}:{rest:02}Z"


def action(env: Env, **fields: Any) -> ScheduleAction:
    """Start a workflow of type ``Raw`` on the scenario's queue."""
    defaults: dict[str, Any] = {
        "workflow_id": env.id(),
        "workflow_type": WorkflowType(name="Raw"),
        "task_queue": TaskQueue(name=env.queue),
    }
    return ScheduleAction(start_workflow=NewWorkflowExecutionInfo(**{**defaults, **fields}))


def schedule(env: Env, **parts: Any) -> Schedule:
    """One that is not due; ``parts`` override."""
    defaults: dict[str, Any] = {"spec": YEARLY, "action": action(env)}
    return Schedule(**{**defaults, **parts})


async def create(
    env: Env, given: Schedule | None = None, name: str = "schedule", **fields: Any
) -> CreateScheduleResponse:
    """CreateSchedule."""
    defaults: dict[str, Any] = {
        "namespace": env.namespace,
        "schedule_id": env.unique(name),
        "schedule": given or schedule(env),
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await env.rpc.create_schedule(CreateScheduleRequest(**{**defaults, **fields}))


async def describe(env: Env, name: str = "schedule") -> DescribeScheduleResponse:
    """DescribeSchedule."""
    request = DescribeScheduleRequest(namespace=env.namespace, schedule_id=env.unique(name))
    return await env.rpc.describe_schedule(request)


async def patch(env: Env, given: SchedulePatch, name: str = "schedule", **fields: Any) -> PatchScheduleResponse:
    """PatchSchedule."""
    defaults: dict[str, Any] = {
        "namespace": env.namespace,
        "schedule_id": env.unique(name),
        "patch": given,
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await env.rpc.patch_schedule(PatchScheduleRequest(**{**defaults, **fields}))


async def update(env: Env, given: Schedule, name: str = "schedule", **fields: Any) -> UpdateScheduleResponse:
    """UpdateSchedule."""
    defaults: dict[str, Any] = {
        "namespace": env.namespace,
        "schedule_id": env.unique(name),
        "schedule": given,
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await env.rpc.update_schedule(UpdateScheduleRequest(**{**defaults, **fields}))


async def delete(env: Env, name: str = "schedule") -> DeleteScheduleResponse:
    """DeleteSchedule."""
    request = DeleteScheduleRequest(namespace=env.namespace, schedule_id=env.unique(name), identity=IDENTITY)
    return await env.rpc.delete_schedule(request)


async def trigger(env: Env, second: int, overlap: int = 0, name: str = "schedule") -> None:
    """Have it start now what was due at a second of the past."""
    request = TriggerImmediatelyRequest(scheduled_time=at(second), overlap_policy=overlap)  # pyright: ignore[reportArgumentType]  (enum values are ints)
    await patch(env, SchedulePatch(trigger_immediately=request), name)


def backfill(first: int, last: int, overlap: int = 0) -> SchedulePatch:
    """Make up for the times between two seconds of the past."""
    request = BackfillRequest(start_time=at(first), end_time=at(last), overlap_policy=overlap)  # pyright: ignore[reportArgumentType]  (enum values are ints)
    return SchedulePatch(backfill_request=[request])


async def until(
    env: Env, condition: Callable[[DescribeScheduleResponse], Any], what: str, name: str = "schedule"
) -> DescribeScheduleResponse:
    """Wait until its description is like this; on the real server everything takes a moment."""
    found: list[DescribeScheduleResponse] = []

    async def holds() -> bool:
        found[:] = [await describe(env, name)]
        return bool(condition(found[0]))

    await env.until(holds, what)
    return found[0]


def counts(number: int) -> Callable[[DescribeScheduleResponse], bool]:
    """So many actions were taken."""
    return lambda description: description.info.action_count == number


def statuses(*wanted: int) -> Callable[[DescribeScheduleResponse], bool]:
    """The runs that were started stand like this."""
    return lambda description: [each.start_workflow_status for each in description.info.recent_actions] == list(wanted)
