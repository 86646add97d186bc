"""What is played on both: each is a test as users write them, with what it saw kept for the comparison."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    WithStartWorkflowOperation,
    WorkflowUpdateStage,
)
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy

from . import programs as p
from .stage import Handle, Stage

Play = Callable[[Stage], Awaitable[None]]
PLAYS: dict[str, Play] = {}


def play(function: Play) -> Play:
    """Add it to the list."""
    PLAYS[function.__name__] = function
    return function


async def live(stage: Stage, run: Any, *args: Any, **options: Any) -> Handle:
    """Record result, time passed and history of one workflow."""
    await stage.mark()
    handle = await stage.start(run, *args, **options)
    await stage.outcome("result", handle.result())
    await stage.passed("passed")
    await stage.history(handle)
    return handle


@play
async def a_month(stage: Stage) -> None:
    await live(stage, p.Sleeps.run, 30 * p.DAY)


@play
async def many_timers(stage: Stage) -> None:
    await live(stage, p.ManyTimers.run)


@play
async def activity_retries(stage: Stage) -> None:
    await live(stage, p.Retries.run, 5, 0)


@play
async def activity_retries_used_up(stage: Stage) -> None:
    await live(stage, p.Retries.run, 5, 3)


@play
async def activity_names_its_delay(stage: Stage) -> None:
    await live(stage, p.OwnDelay.run)


@play
async def schedule_to_close_timeout(stage: Stage) -> None:
    await live(stage, p.ActivityTimeouts.run, "schedule to close")


@play
async def schedule_to_start_timeout(stage: Stage) -> None:
    await live(stage, p.ActivityTimeouts.run, "schedule to start")


@play
async def start_to_close_timeout(stage: Stage) -> None:
    await live(stage, p.ActivityTimeouts.run, "start to close")


@play
async def heartbeat_timeout(stage: Stage) -> None:
    await live(stage, p.ActivityTimeouts.run, "heartbeat")


@play
async def local_activity_retries(stage: Stage) -> None:
    await live(stage, p.LocalRetries.run)


@play
async def an_activity_holds_time(stage: Stage) -> None:
    await live(stage, p.TimerBesideActivity.run, "moment")


@play
async def an_activity_that_is_completed_outside_holds_time(stage: Stage) -> None:
    handle = await stage.start(p.TimerBesideActivity.run, "outside")
    result = asyncio.create_task(handle.result())
    while not (await handle.describe()).raw_description.pending_activities:  # noqa: ASYNC110  it is at the server
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    stage.record("done before", result.done())
    outside = stage.client.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id="1")
    await outside.complete("by hand")
    await stage.outcome("result", result)


@play
async def execution_timeout(stage: Stage) -> None:
    await live(stage, p.Sleeps.run, 30 * p.DAY, execution_timeout=timedelta(hours=30))


@play
async def run_timeout(stage: Stage) -> None:
    await live(stage, p.Sleeps.run, 30 * p.DAY, run_timeout=timedelta(hours=2))


@play
async def workflow_retries(stage: Stage) -> None:
    policy = RetryPolicy(initial_interval=timedelta(hours=10), backoff_coefficient=2, maximum_attempts=5)
    await live(stage, p.Fails.run, 3, retry_policy=policy)


@play
async def workflow_retries_used_up(stage: Stage) -> None:
    policy = RetryPolicy(initial_interval=timedelta(hours=1), backoff_coefficient=1, maximum_attempts=2)
    await live(stage, p.Fails.run, 3, retry_policy=policy)


@play
async def continue_as_new(stage: Stage) -> None:
    await live(stage, p.Chain.run, 4)


@play
async def start_delay(stage: Stage) -> None:
    await live(stage, p.Sleeps.run, p.HOUR, start_delay=timedelta(days=2))


@play
async def children(stage: Stage) -> None:
    await live(stage, p.Parent.run, [3, 1, 2])


@play
async def a_child_times_out(stage: Stage) -> None:
    await live(stage, p.ParentOfLate.run)


@play
async def abandoned_child(stage: Stage) -> None:
    handle = await live(stage, p.Leaves.run, 2)
    child = stage.client.get_workflow_handle(f"{handle.id}-left")
    stage.record("the child", (await child.describe()).status)
    await stage.env.sleep(timedelta(days=6))
    stage.record("the child later", (await child.describe()).status)


@play
async def terminated_child(stage: Stage) -> None:
    handle = await live(stage, p.Leaves.run, 1)
    child = stage.client.get_workflow_handle(f"{handle.id}-left")
    await stage.env.sleep(60)
    stage.record("the child", (await child.describe()).status)


@play
async def cron(stage: Stage) -> None:
    await stage.mark()
    handle = await stage.start(p.Cron.run, cron_schedule="0 */6 * * *")
    await stage.env.sleep(timedelta(hours=49))
    await stage.passed("passed")
    await handle.terminate("enough")
    first = stage.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    stage.record("the first run", (await first.describe()).status)


@play
async def schedules(stage: Stage) -> None:
    action = ScheduleActionStartWorkflow(p.Sleeps.run, 60.0, id=stage.id(), task_queue=stage.queue)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=6))])
    handle = await stage.outcome("created", stage.client.create_schedule(stage.id("schedule"), Schedule(action, spec)))
    if not isinstance(handle, Exception):
        stage.records["created"] = "yes"
        await stage.env.sleep(timedelta(days=2))
        stage.record("actions", (await handle.describe()).info.num_actions)
        await handle.delete()


@play
async def wait_with_reminders(stage: Stage) -> None:
    await live(stage, p.Approval.run)


@play
async def signals_between_sleeps(stage: Stage) -> None:
    await stage.mark()
    handle = await stage.start(p.Approval.run)
    stage.record("reminders at first", await handle.query(p.Approval.count))
    for day in range(3):
        await handle.signal(p.Approval.say, f"day {day}")
        await stage.env.sleep(timedelta(days=1, minutes=1))
        stage.record(f"reminders on day {day}", await handle.query(p.Approval.count))
    await stage.passed("passed")
    await stage.outcome("result", handle.result())
    await stage.history(handle)


@play
async def an_update_that_sleeps(stage: Stage) -> None:
    await stage.mark()
    handle: Any = await stage.start(p.Approval.run)  # generics that the checker cannot follow
    await stage.env.sleep(timedelta(days=2, minutes=5))
    update = await handle.start_update(p.Approval.decide, "yes", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await stage.outcome("result", handle.result())
    await stage.outcome("update", update.result())
    await stage.passed("passed")
    await stage.history(handle)


@play
async def a_refused_update(stage: Stage) -> None:
    handle: Any = await stage.start(p.Approval.run)  # generics that the checker cannot follow
    await stage.outcome("refused", handle.execute_update(p.Approval.decide, ""))
    await handle.terminate()


@play
async def update_with_start(stage: Stage) -> None:
    start = WithStartWorkflowOperation(
        p.Approval.run,
        id=stage.id(),
        task_queue=stage.queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    client: Any = stage.client  # generics that the checker cannot follow
    work = client.start_update_with_start_workflow(
        p.Approval.decide, "yes", start_workflow_operation=start, wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    handle = await stage.outcome("accepted", work)
    if isinstance(handle, Exception):
        return
    stage.records["accepted"] = "yes"
    await stage.env.sleep(timedelta(hours=7))
    await stage.outcome("update", handle.result())
    await stage.outcome("result", (await start.workflow_handle()).result())


@play
async def signal_with_start(stage: Stage) -> None:
    await live(stage, p.Approval.run, start_signal="say", start_signal_args=["first"])


@play
async def a_query_after_a_sleep(stage: Stage) -> None:
    handle = await stage.start(p.Approval.run)
    stage.record("at first", await handle.query(p.Approval.count))
    await stage.env.sleep(timedelta(days=3, minutes=1))
    stage.record("later", await handle.query(p.Approval.count))
    await handle.terminate("enough")
    await stage.outcome("result", handle.result())


@play
async def letters_for_months(stage: Stage) -> None:
    """What has happened is counted after each sleep, as with a stand-in for an activity."""
    handle = await stage.start(p.Letters.run)
    for name, sleep in (("at first", timedelta(minutes=5)), ("later", timedelta(days=90))):
        await stage.env.sleep(sleep)
        events = [event async for event in handle.fetch_history_events()]
        stage.record(
            f"sent {name}", sum(event.HasField("activity_task_completed_event_attributes") for event in events)
        )
    await handle.signal(p.Letters.stop)
    await stage.outcome("result", handle.result())
    await stage.history(handle)


@play
async def an_alarm_that_is_moved(stage: Stage) -> None:
    now = (await stage.env.get_current_time()).timestamp()
    handle = await stage.start(p.Alarm.run, now + p.DAY)
    stage.record("wakes in a day", await handle.query(p.Alarm.wakes_at) == now + p.DAY)
    await handle.signal(p.Alarm.move, now + p.HOUR)
    stage.record("wakes in an hour", await handle.query(p.Alarm.wakes_at) == now + p.HOUR)
    await stage.outcome("result", handle.result())


@play
async def an_alarm_after_skipped_time(stage: Stage) -> None:
    """Workflows see the environment's time, not that of the machine."""
    await stage.env.sleep(timedelta(days=365))
    now = (await stage.env.get_current_time()).timestamp()
    await stage.outcome("result", stage.execute(p.Alarm.run, now + p.DAY))


@play
async def cancelled_in_its_sleep(stage: Stage) -> None:
    await stage.mark()
    handle = await stage.start(p.CleansUp.run)
    await stage.env.sleep(timedelta(days=1))
    await handle.cancel()
    await stage.outcome("result", handle.result())
    await stage.passed("passed")
    await stage.history(handle)


@play
async def one_workflow_signals_another(stage: Stage) -> None:
    await stage.mark()
    waits = await stage.start(p.Approval.run, name="waits")
    says = await stage.start(p.Signals.run, waits.id, name="says")
    await stage.outcome("says", says.result())
    await stage.passed("passed when said")
    await stage.outcome("waits", waits.result())
    await stage.passed("passed")
    await stage.history(waits)


@play
async def several_results_at_once(stage: Stage) -> None:
    await stage.mark()
    handles = [await stage.start(p.Sleeps.run, days * p.DAY, name=f"for {days} days") for days in (5, 1, 9, 2)]
    results = await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    stage.record("results", results)
    await stage.passed("passed")


@play
async def others_live_on_meanwhile(stage: Stage) -> None:
    """While one result is awaited, time passes for the other, too."""
    long = await stage.start(p.Sleeps.run, 9 * p.DAY, name="long")
    short = await stage.start(p.Sleeps.run, 5 * p.DAY, name="short")
    await stage.outcome("long", long.result())
    stage.record("short", (await short.describe()).status)


@play
async def skipping_disabled(stage: Stage) -> None:
    await stage.mark()
    with stage.env.auto_time_skipping_disabled():
        handle = await stage.start(p.Sleeps.run, p.HOUR)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(handle.result())), 0.7)
        except asyncio.TimeoutError:
            stage.record("in real time", "still asleep")
        await stage.passed("passed")
        await stage.env.sleep(p.HOUR + 60)
        stage.record("after a sleep", (await handle.describe()).status)
    await stage.passed("passed in the end")


@play
async def handles_by_id_do_not_skip(stage: Stage) -> None:
    """As in the SDK: only who has started a workflow lets time be skipped by awaiting it."""
    handle = await stage.start(p.Sleeps.run, p.HOUR)
    by_id = stage.client.get_workflow_handle(handle.id)
    try:
        await asyncio.wait_for(by_id.result(), 0.7)
    except asyncio.TimeoutError:
        stage.record("by id", "still asleep")
    await stage.outcome("result", handle.result())


@play
async def times_agree(stage: Stage) -> None:
    """The clocks of the environment and of descriptions: virtual times all of them."""
    await stage.env.sleep(timedelta(days=10))
    await stage.mark()
    handle = await stage.start(p.Sleeps.run, 2 * p.DAY)
    await handle.result()
    now = await stage.env.get_current_time()
    description = await handle.describe()
    assert description.close_time is not None
    minutes = (description.close_time - description.start_time).total_seconds() / 60
    stage.record("from start to close", round(minutes))
    stage.record("from close to now", round((now - description.close_time).total_seconds() / 60))
    await stage.passed("passed")


@play
async def sleeping_with_nothing_to_do(stage: Stage) -> None:
    await stage.mark()
    await stage.env.sleep(timedelta(days=400))
    await stage.passed("passed")
    await stage.env.sleep(0)
    await stage.passed("passed after no time")


@play
async def sleeps_side_by_side(stage: Stage) -> None:
    """Each unlocks the clock for itself; so the locks must be two."""
    await stage.mark()
    both = asyncio.gather(stage.env.sleep(timedelta(hours=3)), stage.env.sleep(timedelta(hours=8)))
    await stage.outcome("sleeps", _without_result(both))
    await stage.passed("passed")


async def _without_result(work: Awaitable[object]) -> str:
    await work
    return "over"
