"""What schedules do: overlapping runs, results for the next one, chains, failures, backfills, times that come due."""

from __future__ import annotations

import asyncio
import itertools

from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.schedule.v1 import SchedulePatch, SchedulePolicies, ScheduleState
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow, fail_workflow
from compat_tests.raw_commands import continue_as_new
from compat_tests.schedules import (
    action,
    backfill,
    counts,
    create,
    delete,
    describe,
    every,
    name_at,
    patch,
    schedule,
    statuses,
    trigger,
    until,
)

SKIP = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP
BUFFER_ONE = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
CANCEL_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
TERMINATE_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
ALLOW_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL

RUNNING, COMPLETED, FAILED, TERMINATED = 1, 2, 3, 5


def _policies(policy: int, *, pause_on_failure: bool = False) -> SchedulePolicies:
    return SchedulePolicies(overlap_policy=policy, pause_on_failure=pause_on_failure)  # pyright: ignore[reportArgumentType]  (enum values are ints)


async def _one_running(env: Env, policy: int = 0) -> None:
    """A schedule with one run that does not end by itself."""
    await create(env, schedule(env, policies=_policies(policy)))
    await trigger(env, 0)
    await until(env, counts(1), "a start")


async def _sent(env: Env, notes: str) -> DescribeScheduleResponse:
    """Everything that was asked for before is done: the real server takes one after the other."""
    await patch(env, SchedulePatch(unpause=notes))
    return await until(env, lambda found: found.schedule.state.notes == notes, notes)


async def _skipped(env: Env, number: int) -> None:
    """So many were left out. Patches that the real server has not looked at are lost if another one comes."""
    await until(env, lambda found: found.info.overlap_skipped == number, f"{number} left out")


async def _waiting(env: Env, number: int) -> None:
    await until(env, lambda found: found.info.buffer_size == number, f"{number} waiting")


async def _finish(env: Env, worker: RawWorker, result: str = '"ok"') -> None:
    await worker.complete(await worker.poll(), complete_workflow(result))


# -- overlaps ----------------------------------------------------------------------------------------------------------


async def scenario_schedule_overlap_skip(env: Env) -> None:
    """What comes while a run is open is left out, and counted."""
    await _one_running(env)
    for number in (1, 2):
        await trigger(env, number)
        await _skipped(env, number)
    env.record("skipped", await _sent(env, "two skipped"))
    await _finish(env, RawWorker(env))
    await until(env, lambda found: not found.info.running_workflows, "the end")
    await trigger(env, 3)
    env.record("next", await until(env, statuses(COMPLETED, RUNNING), "the next start"))
    await env.history(name_at(env, 3))


async def scenario_schedule_overlap_buffer_one(env: Env) -> None:
    """The first one waits, further ones are left out."""
    await _one_running(env, BUFFER_ONE)
    await trigger(env, 1)
    await _waiting(env, 1)
    for number in (1, 2):
        await trigger(env, 1 + number)
        await _skipped(env, number)
    env.record("waiting", await _sent(env, "all there"))
    await _finish(env, RawWorker(env))
    env.record("after", await until(env, statuses(COMPLETED, RUNNING), "the one that waited"))


async def scenario_schedule_overlap_buffer_all(env: Env) -> None:
    """All wait for their turn."""
    await _one_running(env, BUFFER_ALL)
    worker = RawWorker(env)
    for number in (1, 2):
        await trigger(env, number)
        await _waiting(env, number)
    env.record("waiting", await _sent(env, "all there"))
    await _finish(env, worker)
    env.record("one left", await until(env, statuses(COMPLETED, RUNNING), "the first that waited"))
    await _finish(env, worker)
    env.record("none left", await until(env, statuses(COMPLETED, COMPLETED, RUNNING), "the last"))


async def scenario_schedule_overlap_cancel(env: Env) -> None:
    """The run is asked to end; the next one starts when it has."""
    await _one_running(env, CANCEL_OTHER)
    await trigger(env, 1)
    await _waiting(env, 1)
    env.record("asked", await _sent(env, "sent"))
    await env.wait_event(name_at(env, 0), "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await _finish(env, RawWorker(env))
    env.record("after", await until(env, statuses(COMPLETED, RUNNING), "the next"))
    await env.history(name_at(env, 0))


async def scenario_schedule_overlap_terminate(env: Env) -> None:
    """The run is ended, and the next one starts."""
    await _one_running(env, TERMINATE_OTHER)
    await trigger(env, 1)
    env.record("after", await until(env, statuses(TERMINATED, RUNNING), "the next"))
    await env.history(name_at(env, 0))


async def scenario_schedule_overlap_allow_all(env: Env) -> None:
    """They run beside each other, and nobody waits for them; one of the same time is not started twice."""
    await _one_running(env, ALLOW_ALL)
    await trigger(env, 1)
    await until(env, counts(2), "the second")
    await trigger(env, 1)
    await _sent(env, "the second again")
    await trigger(env, 2)
    await until(env, counts(3), "the third")
    env.record("running", await _sent(env, "all there"))


async def scenario_schedule_overlap_of_a_trigger(env: Env) -> None:
    """A trigger's own policy goes before that of the schedule."""
    await _one_running(env, SKIP)
    await trigger(env, 1, BUFFER_ALL)
    await _waiting(env, 1)
    await trigger(env, 2, ALLOW_ALL)
    await until(env, counts(2), "one beside it")
    await trigger(env, 3)
    await _skipped(env, 1)
    env.record("there", await _sent(env, "all there"))
    await trigger(env, 4, TERMINATE_OTHER)
    await until(env, lambda found: found.info.action_count == 3, "the one that waited")
    env.record("terminated", await _sent(env, "terminated"))


# -- what the next run gets --------------------------------------------------------------------------------------------


async def scenario_schedule_results(env: Env) -> None:
    """The result of the run before, and the failure, are there for the next."""
    worker = RawWorker(env)
    await create(env)
    await trigger(env, 0)
    await _finish(env, worker, '"first"')
    await until(env, statuses(COMPLETED), "the first end")
    await trigger(env, 1)
    task = await worker.poll()
    failure = Failure(message="broken", application_failure_info=ApplicationFailureInfo(type="Broken"))
    await worker.complete(task, fail_workflow(failure))
    await until(env, statuses(COMPLETED, FAILED), "the failure")
    await trigger(env, 2)
    await _finish(env, worker, '"third"')
    env.record("described", await until(env, statuses(COMPLETED, FAILED, COMPLETED), "the third end"))
    await trigger(env, 3)
    await until(env, counts(4), "the fourth start")
    await trigger(env, 4, ALLOW_ALL)
    await until(env, counts(5), "one that regards no others")
    for second in range(5):
        await env.history(name_at(env, second), f"history {second}")


async def scenario_schedule_pause_on_failure(env: Env) -> None:
    """A failure pauses it; manual starts go on."""
    worker = RawWorker(env)
    await create(env, schedule(env, policies=_policies(0, pause_on_failure=True)))
    await trigger(env, 0)
    await worker.complete(await worker.poll(), fail_workflow(Failure(message="broken")))
    env.record("paused", await until(env, lambda found: found.schedule.state.paused, "a pause"))
    await trigger(env, 1)
    await until(env, counts(2), "a start in spite of it")
    await env.client.get_workflow_handle(name_at(env, 1)).terminate()
    await patch(env, SchedulePatch(unpause="again"))
    env.record("terminated", await until(env, statuses(FAILED, TERMINATED), "the end"))


async def scenario_schedule_chain(env: Env) -> None:
    """A workflow that continues as new is one action; what waits for it waits for the last run."""
    worker = RawWorker(env)
    await _one_running(env, BUFFER_ALL)
    await trigger(env, 1)
    await _waiting(env, 1)
    await worker.complete(await worker.poll(), continue_as_new())
    env.record("continued", await _sent(env, "continued"))
    await _finish(env, worker, '"last"')
    env.record("ended", await until(env, statuses(COMPLETED, RUNNING), "the next"))
    await env.history(name_at(env, 1))


async def scenario_schedule_run_deleted(env: Env) -> None:
    """A run that is deleted does not hold up the next."""
    await _one_running(env)
    await env.client.get_workflow_handle(name_at(env, 0)).terminate()
    await until(env, lambda found: not found.info.running_workflows, "the end")
    await trigger(env, 1)
    env.record("next", await until(env, statuses(TERMINATED, RUNNING), "the next start"))


async def scenario_schedule_id_in_use(env: Env) -> None:
    """The workflow's id is in use: the start is given up."""
    await env.start_raw(name_at(env, 0))
    await create(env)
    await trigger(env, 0)
    env.record("described", await _sent(env, "given up"))
    await RawWorker(env).run_task(complete_workflow())
    await trigger(env, 0)
    env.record("used again", await until(env, counts(1), "a start"))


async def scenario_schedule_bad_start(env: Env) -> None:
    """What is wrong with the start is found when it is due: it is given up."""
    given = schedule(env, action=action(env, priority=Priority(priority_key=-1)))
    await create(env, given)
    await trigger(env, 0)
    env.record("described", await _sent(env, "given up"))


async def scenario_schedule_deleted_while_waiting(env: Env) -> None:
    """What waits is not started any more."""
    await _one_running(env, BUFFER_ALL)
    await trigger(env, 1)
    await _waiting(env, 1)
    await delete(env)
    await RawWorker(env).run_task(complete_workflow())
    await asyncio.sleep(0.5)
    await env.outcome("not started", env.client.get_workflow_handle(name_at(env, 1)).describe())


# -- backfills ---------------------------------------------------------------------------------------------------------


async def scenario_schedule_backfill(env: Env) -> None:
    """Times of the past, the first one of the range included, beside each other."""
    await create(env, schedule(env, spec=every(10), state=ScheduleState(paused=True)))
    await patch(env, backfill(0, 30, ALLOW_ALL))
    env.record("all", await until(env, counts(4), "four starts"))
    await env.history(name_at(env, 10))


async def scenario_schedule_backfill_more(env: Env) -> None:
    """More than ten times take several steps; a description knows the last ten."""
    await create(env, schedule(env, spec=every(1), state=ScheduleState(paused=True)))
    await patch(env, backfill(0, 24, ALLOW_ALL))
    env.record("all", await until(env, counts(25), "all starts"))


async def scenario_schedule_backfill_in_order(env: Env) -> None:
    """Those that wait for each other."""
    worker = RawWorker(env)
    await create(env, schedule(env, spec=every(10), state=ScheduleState(paused=True)))
    await patch(env, backfill(1, 30, BUFFER_ALL))
    env.record("first", await until(env, counts(1), "the first"))
    for _ in range(3):
        await _finish(env, worker)
    env.record("all", await until(env, statuses(*[COMPLETED] * 3), "all"))


async def scenario_schedule_backfill_skipping(env: Env) -> None:
    """Those that overlap are left out."""
    await create(env, schedule(env, spec=every(10), state=ScheduleState(paused=True)))
    await patch(env, backfill(0, 40))
    env.record("one", await until(env, counts(1), "the first"))


# -- due times ---------------------------------------------------------------------------------------------------------


def _gaps(found: DescribeScheduleResponse) -> list[int]:
    times = [each.schedule_time.seconds for each in found.info.recent_actions]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def scenario_schedule_every_other_second(env: Env) -> None:
    """Started at each due time, with an id of that time; each is later than due by less than a second."""
    await create(env, schedule(env, spec=every(2), policies=_policies(ALLOW_ALL)))
    found = await until(env, lambda found: found.info.action_count >= 3, "three starts")
    env.record("gaps", _gaps(found)[:2])
    recent = found.info.recent_actions[:3]
    names = [each.start_workflow_result.workflow_id for each in recent]
    expected = [f"{env.id()}-{each.schedule_time.ToDatetime():%Y-%m-%dT%H:%M:%SZ}" for each in recent]
    env.record("names", names == expected)
    env.record("future", found.info.future_action_times[0].seconds - recent[0].schedule_time.seconds >= 2)
    await delete(env)


async def scenario_schedule_limited(env: Env) -> None:
    """So many actions and no more; triggers do not count."""
    state = ScheduleState(limited_actions=True, remaining_actions=2)
    await create(env, schedule(env, spec=every(1), policies=_policies(ALLOW_ALL), state=state))
    await trigger(env, 0)
    await until(env, counts(3), "three starts")
    await asyncio.sleep(1.5)
    found = await describe(env)
    env.record("count", found.info.action_count)
    env.record("state", found.schedule.state)
    env.record("future", list(found.info.future_action_times))
    env.record("token", found.conflict_token)


async def scenario_schedule_paused_time_is_not_made_up_for(env: Env) -> None:
    """Times that come due in a pause are left out, and not counted as missed."""
    await create(env, schedule(env, spec=every(1), policies=_policies(ALLOW_ALL), state=ScheduleState(paused=True)))
    await asyncio.sleep(2.2)
    await patch(env, SchedulePatch(unpause="now"))
    found = await until(env, lambda found: found.info.action_count >= 2, "two starts")
    env.record("gaps", _gaps(found)[:1])
    env.record("missed", found.info.missed_catchup_window)
    await delete(env)
