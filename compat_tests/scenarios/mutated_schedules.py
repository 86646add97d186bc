"""Every request about schedules with one field spoiled, field by field."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from temporalio.api.schedule.v1 import SchedulePatch, ScheduleState
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import Env, seconds
from compat_tests.mutations import send_each
from compat_tests.schedules import create, describe, schedule
from compat_tests.targets import IDENTITY

_SPEC = "schedule.spec"
"""What is wrong with a spec is compared by made-up ones."""


class _Schedules:
    """A schedule for each request that was accepted."""

    def __init__(self, env: Env) -> None:
        self.env, self.number = env, 0

    @property
    def name(self) -> str:
        return f"s{self.number}"

    def next_name(self) -> str:
        """An id that is free."""
        self.number += 1
        return self.env.unique(self.name)

    async def new(self) -> str:
        """The id of one more."""
        schedule_id = self.next_name()
        await create(self.env, schedule(self.env), self.name)
        return schedule_id

    async def finish(self, request: Any) -> None:
        """Record what was done."""
        if request.schedule_id == self.env.unique(self.name):
            await self.env.outcome("described", describe(self.env, self.name))

    async def leave(self, request: Any) -> None:
        """Only the answer counts."""
        del request


async def _each(
    env: Env,
    rpc: Any,
    make: Callable[[str], Message],
    skip: frozenset[str],
    *,
    is_there: bool,
    is_described: bool = True,
) -> None:
    schedules = _Schedules(env)

    async def prepare() -> Message:
        return make(await schedules.new() if is_there else schedules.next_name())

    async def call(request: Any) -> Any:
        return await rpc(request, timeout=seconds(10))

    await send_each(env, prepare, call, finish=schedules.finish if is_described else schedules.leave, skip=skip)


async def scenario_mutated_create_schedule(env: Env) -> None:
    def make(schedule_id: str) -> Message:
        return service.CreateScheduleRequest(
            namespace=env.namespace,
            schedule_id=schedule_id,
            schedule=schedule(env, state=ScheduleState(notes="n")),
            request_id=str(uuid.uuid4()),
            identity=IDENTITY,
        )

    # What a patch does may come after the description. A description with such durations cannot be written as JSON.
    skip = {_SPEC, "initial_patch", "schedule.action.start_workflow.retry_policy"}
    skip |= {f"schedule.policies.catchup_window: {each}" for each in ("mixed signs", "beyond 10000 years")}
    await _each(env, env.rpc.create_schedule, make, frozenset(skip), is_there=False)


async def scenario_mutated_update_schedule(env: Env) -> None:
    def make(schedule_id: str) -> Message:
        return service.UpdateScheduleRequest(
            namespace=env.namespace,
            schedule_id=schedule_id,
            schedule=schedule(env, state=ScheduleState(notes="n")),
            request_id=str(uuid.uuid4()),
            identity=IDENTITY,
        )

    # Only the answers: an update of the real server comes about some time after it.
    await _each(env, env.rpc.update_schedule, make, frozenset({_SPEC}), is_there=True, is_described=False)


async def scenario_mutated_patch_schedule(env: Env) -> None:
    def make(schedule_id: str) -> Message:
        return service.PatchScheduleRequest(
            namespace=env.namespace,
            schedule_id=schedule_id,
            patch=SchedulePatch(pause="a break"),
            request_id=str(uuid.uuid4()),
            identity=IDENTITY,
        )

    await _each(env, env.rpc.patch_schedule, make, frozenset(), is_there=True, is_described=False)


async def scenario_mutated_describe_schedule(env: Env) -> None:
    def make(schedule_id: str) -> Message:
        return service.DescribeScheduleRequest(namespace=env.namespace, schedule_id=schedule_id)

    await _each(env, env.rpc.describe_schedule, make, frozenset(), is_there=True)


async def scenario_mutated_delete_schedule(env: Env) -> None:
    def make(schedule_id: str) -> Message:
        return service.DeleteScheduleRequest(namespace=env.namespace, schedule_id=schedule_id, identity=IDENTITY)

    await _each(env, env.rpc.delete_schedule, make, frozenset(), is_there=True)


async def scenario_mutated_list_schedules(env: Env) -> None:
    await env.move_to_namespace(await env.new_namespace())
    listing = service.ListSchedulesRequest(namespace=env.namespace, maximum_page_size=10)

    async def prepare() -> Message:
        return listing

    # An internal error of the real server.
    await send_each(env, prepare, env.rpc.list_schedules, skip=frozenset({"next_page_token"}))


async def scenario_mutated_count_schedules(env: Env) -> None:
    await env.move_to_namespace(await env.new_namespace())

    async def prepare() -> Message:
        return service.CountSchedulesRequest(namespace=env.namespace)

    await send_each(env, prepare, env.rpc.count_schedules)
