"""Activities by the SDK: retries, time-outs, cancellation types, heartbeats, completion from outside."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import AsyncActivityHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory

from compat_tests.env import Env, Handle, seconds
from compat_tests.scenarios.core import greet

FAST = RetryPolicy(initial_interval=seconds(0.1), maximum_attempts=3)
ONCE = RetryPolicy(maximum_attempts=1)


@workflow.defn
class One:
    """One activity with given options."""

    @workflow.run
    async def run(self, name: str, options: dict[str, Any]) -> Any:
        return await workflow.execute_activity(
            name,
            retry_policy=_policy(options) if "maximum_attempts" in options else None,
            start_to_close_timeout=_timeout(options, "start_to_close_timeout"),
            schedule_to_close_timeout=_timeout(options, "schedule_to_close_timeout"),
            schedule_to_start_timeout=_timeout(options, "schedule_to_start_timeout"),
            heartbeat_timeout=_timeout(options, "heartbeat_timeout"),
        )


def _timeout(options: dict[str, Any], name: str) -> timedelta | None:
    return timedelta(seconds=options[name]) if name in options else None


def _policy(options: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=options.get("initial_interval", 0.1)),
        backoff_coefficient=options.get("backoff_coefficient", 1.0),
        maximum_interval=timedelta(seconds=options["maximum_interval"]) if "maximum_interval" in options else None,
        maximum_attempts=options["maximum_attempts"],
        non_retryable_error_types=options.get("non_retryable", []),
    )


async def _run_one(env: Env, function: Any, label: str = "result", **options: Any) -> Handle:
    """Run `One` with an activity that some worker offers; record result and history."""
    name = function if isinstance(function, str) else function.__name__
    handle = await env.client.start_workflow(
        One.run, args=[name, options], id=env.id(label.replace(" ", "-")), task_queue=env.queue
    )
    await env.outcome(label, handle.result())
    await env.history(handle)
    return handle


@activity.defn
async def non_retryable() -> None:
    raise ApplicationError("never again", "detail", type="Fatal", non_retryable=True)


@activity.defn
async def typed() -> None:
    raise ApplicationError("typed", type="Special")


@activity.defn
async def plain_error() -> None:
    try:
        raise KeyError("inner")
    except KeyError as inner:
        raise ValueError("outer") from inner


@activity.defn
async def benign() -> None:
    raise ApplicationError("benign", category=ApplicationErrorCategory.BENIGN)


@activity.defn
async def delayed_retry() -> int:
    if activity.info().attempt == 1:
        raise ApplicationError("later", next_retry_delay=timedelta(seconds=1))
    return activity.info().attempt


async def scenario_activity_failure_kinds(env: Env) -> None:
    functions = [non_retryable, typed, plain_error, benign]
    async with env.worker(One, activities=functions):
        for function in functions:
            await _run_one(
                env,
                function,
                function.__name__,
                start_to_close_timeout=30,
                maximum_attempts=2,
                non_retryable=["Special"],
            )


async def scenario_activity_next_retry_delay(env: Env) -> None:
    async with env.worker(One, activities=[delayed_retry]):
        await _run_one(env, delayed_retry, start_to_close_timeout=30, maximum_attempts=3, initial_interval=50)


@activity.defn
async def slow_until_third() -> int:
    if activity.info().attempt < 3:
        await asyncio.sleep(30)
    return activity.info().attempt


@activity.defn
async def slow() -> str:
    await asyncio.sleep(30)
    return "late"


async def scenario_activity_start_to_close_timeout(env: Env) -> None:
    async with env.worker(One, activities=[slow]):
        await _run_one(env, slow, start_to_close_timeout=1, maximum_attempts=1)


async def scenario_activity_start_to_close_retried(env: Env) -> None:
    async with env.worker(One, activities=[slow_until_third]):
        await _run_one(env, slow_until_third, start_to_close_timeout=1, maximum_attempts=3)


async def scenario_activity_schedule_to_close_timeout(env: Env) -> None:
    async with env.worker(One, activities=[slow]):
        await _run_one(env, slow, schedule_to_close_timeout=1, maximum_attempts=0)


@activity.defn
async def fails() -> None:
    raise ApplicationError("fails", type="Fails")


async def scenario_activity_retries_end_at_schedule_to_close(env: Env) -> None:
    """No attempt is made that could only start after the time is over: the last failure is reported."""
    async with env.worker(One, activities=[fails]):
        await _run_one(env, fails, schedule_to_close_timeout=3, maximum_attempts=0, initial_interval=20)


async def scenario_activity_schedule_to_start_timeout(env: Env) -> None:
    async with env.worker(One, no_remote_activities=True):
        await _run_one(env, "greet", start_to_close_timeout=30, schedule_to_start_timeout=1)


@activity.defn
async def silent_after_heartbeat() -> None:
    activity.heartbeat("progress", activity.info().attempt)
    await asyncio.sleep(30)


@activity.defn
async def resumes() -> Any:
    info = activity.info()
    if info.attempt == 1:
        activity.heartbeat("step", 7)
        await asyncio.sleep(0.5)
        raise ApplicationError("first fails")
    return [info.attempt, list(info.heartbeat_details)]


async def scenario_activity_heartbeat_timeout(env: Env) -> None:
    async with env.worker(One, activities=[silent_after_heartbeat]):
        await _run_one(env, silent_after_heartbeat, start_to_close_timeout=30, heartbeat_timeout=1, maximum_attempts=1)


async def scenario_activity_heartbeat_details_on_retry(env: Env) -> None:
    async with env.worker(One, activities=[resumes]):
        await _run_one(env, resumes, start_to_close_timeout=30, heartbeat_timeout=5, maximum_attempts=2)


async def scenario_activity_not_registered(env: Env) -> None:
    async with env.worker(One, activities=[greet]):
        await _run_one(env, "unknown", start_to_close_timeout=30, maximum_attempts=2)


@activity.defn
async def info() -> Any:
    """What the server tells an activity about itself."""
    known = activity.info()
    return {
        "activity_id": known.activity_id,
        "activity_type": known.activity_type,
        "attempt": known.attempt,
        "heartbeat_timeout": str(known.heartbeat_timeout),
        "schedule_to_close_timeout": str(known.schedule_to_close_timeout),
        "start_to_close_timeout": str(known.start_to_close_timeout),
        "task_queue": known.task_queue,
        "namespace": known.workflow_namespace,
        "workflow_id": known.workflow_id,
        "run_id": known.workflow_run_id,
        "workflow_type": known.workflow_type,
        "retry_policy": str(known.retry_policy),
    }


async def scenario_activity_info(env: Env) -> None:
    async with env.worker(One, activities=[info]):
        await _run_one(env, info, start_to_close_timeout=30, heartbeat_timeout=3, maximum_attempts=2)
        await _run_one(env, info, "again", schedule_to_close_timeout=20, maximum_attempts=0, maximum_interval=2)


@workflow.defn
class InOrder:
    @workflow.run
    async def run(self) -> list[str]:
        timeout = seconds(30)
        first = await workflow.execute_activity(greet, "a", start_to_close_timeout=timeout, summary="greet a")
        second = await workflow.execute_activity(greet, "b", start_to_close_timeout=timeout, summary="greet b")
        return [first, second]


async def scenario_activity_eager(env: Env) -> None:
    async with env.worker(InOrder, activities=[greet]):
        handle = await env.client.start_workflow(InOrder.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_activity_not_eager(env: Env) -> None:
    async with env.worker(InOrder, activities=[greet], disable_eager_activity_execution=True):
        handle = await env.client.start_workflow(InOrder.run, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


@workflow.defn
class OtherQueue:
    @workflow.run
    async def run(self, queue: str) -> str:
        return await workflow.execute_activity(greet, "far", task_queue=queue, start_to_close_timeout=seconds(30))


async def scenario_activity_on_other_queue(env: Env) -> None:
    other = env.unique("other")
    async with env.worker(OtherQueue), env.worker(activities=[greet], queue=other):
        handle = await env.client.start_workflow(OtherQueue.run, other, id=env.id(), task_queue=env.queue)
        await env.outcome("result", handle.result())
        await env.history(handle)


# Cancellation.


@activity.defn
async def until_cancelled() -> str:
    """Ends with its cleanup when it hears of the cancellation by a heartbeat."""
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        activity.heartbeat("cleanup")
        raise


@activity.defn
async def ignores_cancel() -> str:
    """Completes although it was told to stop."""
    try:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return "done anyway"


@workflow.defn
class CancelsActivity:
    def __init__(self) -> None:
        self._cancel = False

    @workflow.run
    async def run(self, name: str, kind: int) -> str:
        handle = workflow.start_activity(
            name,
            start_to_close_timeout=seconds(30),
            heartbeat_timeout=seconds(2),
            cancellation_type=workflow.ActivityCancellationType(kind),
            retry_policy=ONCE,
        )
        await workflow.wait_condition(lambda: self._cancel)
        handle.cancel()
        try:
            return str(await handle)
        except ActivityError as error:
            return f"{type(error.cause).__name__}: {error.cause}"

    @workflow.signal
    def cancel(self) -> None:
        self._cancel = True


async def _cancel_activity(env: Env, function: Any, kind: workflow.ActivityCancellationType, *, served: bool) -> None:
    worker = env.worker(CancelsActivity, activities=[function] if served else [])
    async with worker:
        handle = await env.client.start_workflow(
            CancelsActivity.run, args=[function.__name__, int(kind)], id=env.id(), task_queue=env.queue
        )
        await env.settled(handle)
        if served:
            await _until_started(env, handle)
        await handle.signal(CancelsActivity.cancel)
        await env.outcome("result", handle.result())
        await env.history(handle)


async def _until_started(env: Env, handle: Handle) -> None:
    async def heartbeat_seen() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return bool(pending) and pending[0].HasField("last_heartbeat_time")

    await env.until(heartbeat_seen, "a heartbeat")


async def scenario_activity_cancel_wait(env: Env) -> None:
    kind = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    await _cancel_activity(env, until_cancelled, kind, served=True)


async def scenario_activity_cancel_ignored(env: Env) -> None:
    kind = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    await _cancel_activity(env, ignores_cancel, kind, served=True)


async def scenario_activity_cancel_try(env: Env) -> None:
    await _cancel_activity(env, until_cancelled, workflow.ActivityCancellationType.TRY_CANCEL, served=True)


async def scenario_activity_cancel_abandon(env: Env) -> None:
    await _cancel_activity(env, until_cancelled, workflow.ActivityCancellationType.ABANDON, served=True)


async def scenario_activity_cancel_before_start(env: Env) -> None:
    """No worker has taken the activity: it is cancelled at once."""
    kind = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    await _cancel_activity(env, until_cancelled, kind, served=False)


# Completion from outside.


class _External:
    """An activity that leaves its completion to others, and tells which token it got."""

    def __init__(self) -> None:
        self.token: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @activity.defn(name="external")
    async def external(self) -> str:
        self.token.set_result(activity.info().task_token)
        activity.raise_complete_async()


@workflow.defn
class WaitsForExternal:
    @workflow.run
    async def run(self) -> str:
        handle = workflow.start_activity(
            "external",
            activity_id="the-id",
            start_to_close_timeout=seconds(30),
            heartbeat_timeout=seconds(20),
            retry_policy=ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return str(await handle)


async def _external(env: Env, by_id: bool, action: Any) -> None:
    external = _External()
    async with env.worker(WaitsForExternal, activities=[external.external]):
        handle = await env.client.start_workflow(WaitsForExternal.run, id=env.id(), task_queue=env.queue)
        token = await asyncio.wait_for(external.token, 30)
        if by_id:
            run_id = handle.first_execution_run_id
            pending = env.client.get_async_activity_handle(workflow_id=handle.id, run_id=run_id, activity_id="the-id")
        else:
            pending = env.client.get_async_activity_handle(task_token=token)
        await action(pending, handle)
        await env.outcome("result", handle.result())
        await env.outcome("too late", pending.complete("again"))
        await env.history(handle)


async def _complete(pending: AsyncActivityHandle, _: Handle) -> None:
    await pending.heartbeat("half")
    await pending.complete("from outside")


async def _fail(pending: AsyncActivityHandle, _: Handle) -> None:
    await pending.heartbeat("half")
    await pending.fail(ApplicationError("from outside", "detail"), last_heartbeat_details=["last"])


async def scenario_async_completion_by_token(env: Env) -> None:
    await _external(env, False, _complete)


async def scenario_async_completion_by_id(env: Env) -> None:
    await _external(env, True, _complete)


async def scenario_async_failure_by_token(env: Env) -> None:
    await _external(env, False, _fail)


async def scenario_async_failure_by_id(env: Env) -> None:
    await _external(env, True, _fail)


async def _cancel(env: Env, by_id: bool) -> None:
    async def action(pending: AsyncActivityHandle, handle: Handle) -> None:
        await env.settled(handle)
        await env.outcome("report without request", pending.report_cancellation("early"))
        await handle.cancel()
        await env.wait_event(handle, "ACTIVITY_TASK_CANCEL_REQUESTED")
        await env.outcome("heartbeat", pending.heartbeat("x"))
        await pending.report_cancellation("cancelled outside")

    await _external(env, by_id, action)


async def scenario_async_cancel_by_token(env: Env) -> None:
    await _cancel(env, False)


async def scenario_async_cancel_by_id(env: Env) -> None:
    await _cancel(env, True)
