"""Batch operations on the activities of workflows. (An update of options without a mask ends the real server.)"""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.batch.v1 import (
    BatchOperationResetActivities,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateActivityOptions,
)

from compat_tests.batches import given, listed, run
from compat_tests.env import Env
from compat_tests.scenarios.activity_operations import Subject
from compat_tests.targets import IDENTITY

_LONGER = ActivityOptions(start_to_close_timeout=Duration(seconds=77), heartbeat_timeout=Duration(seconds=7))


async def _paused(env: Env, *names: str) -> list[Subject]:
    """Workflows with two activities each, both of them paused."""
    subjects: list[Subject] = []
    for name in names:
        subject = await Subject.of(env, "1", "2", workflow=name)
        await subject.pause(type="act")
        subjects.append(subject)
    return subjects


async def _unpause(env: Env, *subjects: Subject, **fields: Any) -> None:
    operation = BatchOperationUnpauseActivities(identity=IDENTITY, **fields)
    executions = given(*(each.workflow_id for each in subjects), env.unique("unknown"))
    await run(env, executions=executions, unpause_activities_operation=operation)
    for each in subjects:
        await each.record(f"activities of {each.workflow_id}")


async def scenario_batch_unpause_by_type(env: Env) -> None:
    await _unpause(env, *await _paused(env, "first", "second"), type="act")


async def scenario_batch_unpause_no_such_type(env: Env) -> None:
    await _unpause(env, *await _paused(env, "first"), type="nothing")


async def scenario_batch_unpause_all(env: Env) -> None:
    """With everything that can be said beside it."""
    first, second = await _paused(env, "first", "second")
    await second.unpause(type="act")
    await _unpause(env, first, second, match_all=True, reset_attempts=True, reset_heartbeat=True)


async def scenario_batch_unpause_by_query(env: Env) -> None:
    """Only in executions that the query finds; those without anything to unpause count if all types are meant."""
    first, second = await _paused(env, "first", "second")
    query = f"TaskQueue = '{env.queue}'"
    await listed(env, f"{query} AND TemporalPauseInfo IS NOT NULL", 2)
    third = await Subject.of(env, "1", workflow="third")
    await listed(env, query, 3)
    operation = BatchOperationUnpauseActivities(type="act")
    wanted = f"{query} AND WorkflowId != '{second.workflow_id}'"
    await run(env, visibility_query=wanted, unpause_activities_operation=operation)
    operation = BatchOperationUnpauseActivities(match_all=True)
    await run(env, "all", visibility_query=wanted, unpause_activities_operation=operation)
    for each in (first, second, third):
        await each.record(f"activities of {each.workflow_id}")


async def _reset(env: Env, *subjects: Subject, **fields: Any) -> None:
    operation = BatchOperationResetActivities(identity=IDENTITY, **fields)
    executions = given(*(each.workflow_id for each in subjects), env.unique("unknown"))
    await run(env, executions=executions, reset_activities_operation=operation)
    for each in subjects:
        await each.record(f"activities of {each.workflow_id}")


async def scenario_batch_reset_activities(env: Env) -> None:
    """What failed once begins with the first attempt, and is not paused any more."""
    subject = await Subject.of(env, "1")
    await subject.fail(await subject.attempt())
    await subject.pause(type="act")
    await _reset(env, subject, match_all=True, reset_heartbeat=True)
    await subject.attempt("after the reset")


async def scenario_batch_reset_paused_activities(env: Env) -> None:
    """They may stay paused."""
    await _reset(env, *await _paused(env, "first"), type="act", keep_paused=True)


async def _update(env: Env, *subjects: Subject, **fields: Any) -> None:
    operation = BatchOperationUpdateActivityOptions(identity=IDENTITY, **fields)
    executions = given(*(each.workflow_id for each in subjects), env.unique("unknown"))
    await run(env, executions=executions, update_activity_options_operation=operation)
    for each in subjects:
        await each.record(f"activities of {each.workflow_id}")


async def scenario_batch_activity_options(env: Env) -> None:
    """Some of the options of each; and back to what they were."""
    first, second = await Subject.of(env, "1"), await Subject.of(env, "1", workflow="second")
    mask = FieldMask(paths=["start_to_close_timeout"])
    operation: dict[str, Any] = {"activity_options": _LONGER, "update_mask": mask}
    await _update(env, first, second, match_all=True, **operation)
    restored = BatchOperationUpdateActivityOptions(type="act", restore_original=True, update_mask=FieldMask())
    executions = given(first.workflow_id)
    await run(env, "restored", executions=executions, update_activity_options_operation=restored)
    await first.record("restored")


async def scenario_batch_activity_options_wrong(env: Env) -> None:
    """Of no type that is there, of nothing in particular, and of no field that there is."""
    subject = await Subject.of(env, "1", start_to_close_timeout=Duration(seconds=30))
    mask = FieldMask(paths=["start_to_close_timeout"])
    cases: dict[str, dict[str, Any]] = {
        "no such type": {"type": "nothing", "update_mask": mask},
        "of nothing": {"update_mask": mask},
        "no such field": {"match_all": True, "update_mask": FieldMask(paths=["nothing"])},
    }
    for name, fields in cases.items():
        operation = BatchOperationUpdateActivityOptions(activity_options=_LONGER, **fields)
        executions = given(subject.workflow_id)
        await run(env, name, executions=executions, update_activity_options_operation=operation)
    await subject.record("afterwards")
