"""Pause, unpause, reset and change of options of activities, seen by describe, by workers and in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio import activity, workflow
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Priority, RetryPolicy, WorkflowExecution
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
    PauseActivityExecutionRequest,
    PauseActivityRequest,
    PauseActivityResponse,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatByIdRequest,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    ResetActivityExecutionRequest,
    ResetActivityRequest,
    ResetActivityResponse,
    UnpauseActivityExecutionRequest,
    UnpauseActivityRequest,
    UnpauseActivityResponse,
    UpdateActivityExecutionOptionsRequest,
    UpdateActivityOptionsRequest,
    UpdateActivityOptionsResponse,
)
from temporalio.common import RetryPolicy as Policy
from temporalio.exceptions import ActivityError

from compat_tests.env import NAMESPACE, Env, Handle, seconds
from compat_tests.raw import RawWorker, complete_workflow, payloads, schedule_activity
from compat_tests.targets import IDENTITY

SLOW = RetryPolicy(
    initial_interval=Duration(seconds=50),
    backoff_coefficient=3,
    maximum_attempts=5,
    non_retryable_error_types=["Listed"],
)
ONCE = RetryPolicy(maximum_attempts=1)


class Subject:
    """A workflow with pending activities, and everything that can be done to them."""

    def __init__(self, env: Env, workflow_id: str) -> None:
        self.env, self.workflow_id = env, workflow_id
        self.worker = RawWorker(env)

    @classmethod
    async def of(cls, env: Env, *activity_ids: str, workflow: str = "workflow", **fields: Any) -> Subject:
        """Its activities (one, "1", unless others are named) are scheduled with these fields of the command."""
        subject = cls(env, env.id(workflow))
        await env.start_raw(subject.workflow_id)
        await subject.worker.run_task(*[schedule_activity(env, each, **fields) for each in activity_ids or ("1",)])
        return subject

    @property
    def _which(self) -> dict[str, Any]:
        execution = WorkflowExecution(workflow_id=self.workflow_id)
        return {"namespace": NAMESPACE, "execution": execution, "identity": IDENTITY}

    async def pause(self, **fields: Any) -> PauseActivityResponse:
        """PauseActivity."""
        return await self.env.rpc.pause_activity(PauseActivityRequest(**self._which, **fields))

    async def unpause(self, **fields: Any) -> UnpauseActivityResponse:
        """UnpauseActivity."""
        return await self.env.rpc.unpause_activity(UnpauseActivityRequest(**self._which, **fields))

    async def reset(self, **fields: Any) -> ResetActivityResponse:
        """ResetActivity."""
        return await self.env.rpc.reset_activity(ResetActivityRequest(**self._which, **fields))

    async def update(self, mask: Sequence[str] | None = None, **fields: Any) -> UpdateActivityOptionsResponse:
        """UpdateActivityOptions."""
        request = UpdateActivityOptionsRequest(**self._which, **fields)
        if mask is not None:
            request.update_mask.CopyFrom(FieldMask(paths=mask))
        return await self.env.rpc.update_activity_options(request)

    async def describe(self) -> DescribeWorkflowExecutionResponse:
        """DescribeWorkflowExecution."""
        request = DescribeWorkflowExecutionRequest(
            namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=self.workflow_id)
        )
        return await self.env.rpc.describe_workflow_execution(request)

    async def record(self, label: str) -> None:
        """Record the pending activities and the search attributes."""
        description = await self.describe()
        pending = sorted(description.pending_activities, key=lambda each: each.activity_id)
        self.env.record(label, pending)
        self.env.record(f"{label}: attributes", description.workflow_execution_info.search_attributes)

    async def heartbeat(self, task: PollActivityTaskQueueResponse, text: str) -> RecordActivityTaskHeartbeatResponse:
        """RecordActivityTaskHeartbeat."""
        request = RecordActivityTaskHeartbeatRequest(
            namespace=NAMESPACE, task_token=task.task_token, details=payloads(text), identity=IDENTITY
        )
        return await self.env.rpc.record_activity_task_heartbeat(request)

    async def fail(self, task: PollActivityTaskQueueResponse, **info: Any) -> None:
        """RespondActivityTaskFailed."""
        await self.worker.fail_activity(
            task, Failure(message="no", application_failure_info=ApplicationFailureInfo(**info))
        )

    async def attempt(self, label: str = "task") -> PollActivityTaskQueueResponse:
        """The next attempt, recorded."""
        task = await self.worker.poll_activity()
        self.env.record(label, task)
        return task

    async def end(self) -> None:
        """Terminate, and record the history."""
        await self.env.client.get_workflow_handle(self.workflow_id).terminate()
        await self.env.history(self.workflow_id)


async def scenario_activity_operation_errors(env: Env) -> None:
    """What each of the four requests must name, and what it may not find."""
    subject = await Subject.of(env)
    execution = WorkflowExecution(workflow_id=subject.workflow_id)
    bad_run = WorkflowExecution(workflow_id=subject.workflow_id, run_id="x")
    unknown = WorkflowExecution(workflow_id=env.id("unknown"))
    requests: dict[str, dict[str, Any]] = {
        "empty": {},
        "no namespace": {"execution": execution, "id": "1"},
        "unknown namespace": {"namespace": "nope", "execution": execution, "id": "1"},
        "no execution": {"namespace": NAMESPACE, "id": "1"},
        "no activity": {"namespace": NAMESPACE, "execution": execution},
        "bad run": {"namespace": NAMESPACE, "execution": bad_run, "id": "1"},
        "bad run and no activity": {"namespace": NAMESPACE, "execution": bad_run},
        "unknown workflow": {"namespace": NAMESPACE, "execution": unknown, "id": "1"},
        "unknown id": {"namespace": NAMESPACE, "execution": execution, "id": "x"},
        "empty id": {"namespace": NAMESPACE, "execution": execution, "id": ""},
        "unknown type": {"namespace": NAMESPACE, "execution": execution, "type": "x"},
        "empty type": {"namespace": NAMESPACE, "execution": execution, "type": ""},
    }
    rest: dict[str, Any] = {"activity_options": ActivityOptions(), "update_mask": FieldMask(paths=["priority"])}
    for name, fields in requests.items():
        await env.outcome(f"pause: {name}", env.rpc.pause_activity(PauseActivityRequest(**fields)))
        await env.outcome(f"unpause: {name}", env.rpc.unpause_activity(UnpauseActivityRequest(**fields)))
        await env.outcome(f"reset: {name}", env.rpc.reset_activity(ResetActivityRequest(**fields)))
        update = UpdateActivityOptionsRequest(**fields, **rest)
        await env.outcome(f"update: {name}", env.rpc.update_activity_options(update))
    await subject.end()


async def scenario_activity_operations_on_closed_run(env: Env) -> None:
    """Also of a run that was closed over a pending activity."""
    subject = await Subject.of(env, retry_policy=SLOW)
    await env.client.get_workflow_handle(subject.workflow_id).terminate()
    options = ActivityOptions(heartbeat_timeout=Duration(seconds=4))
    for name, which in {"id": {"id": "1"}, "unknown id": {"id": "x"}, "type": {"type": "act"}}.items():
        await env.outcome(f"pause: {name}", subject.pause(**which))
        await env.outcome(f"unpause: {name}", subject.unpause(**which))
        await env.outcome(f"reset: {name}", subject.reset(**which))
        await env.outcome(f"update: {name}", subject.update(["heartbeat_timeout"], activity_options=options, **which))
        await env.outcome(f"update nothing: {name}", subject.update(**which))
        await env.outcome(f"restore: {name}", subject.update(restore_original=True, **which))
    await env.outcome("pause: unknown type", subject.pause(type="x"))
    await env.outcome("unpause: unknown type", subject.unpause(type="x"))
    await env.outcome("reset: unknown type", subject.reset(type="x"))
    await env.outcome("unpause: all", subject.unpause(unpause_all=True))
    await env.outcome("reset: all", subject.reset(match_all=True))
    await env.history(subject.workflow_id)


async def scenario_activity_operations_without_activity(env: Env) -> None:
    """All of none."""
    subject = await Subject.of(env)
    await subject.worker.complete_activity(await subject.worker.poll_activity())
    await subject.worker.run_task()
    await env.outcome("unpause", subject.unpause(unpause_all=True))
    await env.outcome("reset", subject.reset(match_all=True))
    changes = ActivityOptions(priority=Priority(priority_key=1))
    await env.outcome("update", subject.update(["priority"], match_all=True, activity_options=changes))
    await env.outcome("restore", subject.update(restore_original=True, match_all=True))
    await env.outcome("completed id", subject.pause(id="1"))
    await subject.end()


async def scenario_activity_pause_scheduled(env: Env) -> None:
    """No worker gets it until it is unpaused; pausing twice is an error unless it is the same request."""
    subject = await Subject.of(env)
    await env.outcome("pause", subject.pause(id="1", reason="because", request_id="first"))
    await subject.record("paused")
    await env.outcome("the same again", subject.pause(id="1", reason="other", request_id="first"))
    await env.outcome("another", subject.pause(id="1", reason="because", request_id="second"))
    await env.outcome("without a request id", subject.pause(id="1"))
    await env.outcome("poll", subject.worker.poll_activity(timeout=2.5))
    await env.outcome("unpause", subject.unpause(id="1"))
    await subject.record("unpaused")
    await env.outcome("unpause again", subject.unpause(id="1"))
    await subject.worker.complete_activity(await subject.attempt())
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_pause_running(env: Env) -> None:
    """The attempt goes on and learns of it by its heartbeat; after its failure none follows."""
    subject = await Subject.of(env, retry_policy=SLOW, heartbeat_timeout=Duration(seconds=20))
    task = await subject.worker.poll_activity()
    await env.outcome("pause", subject.pause(type="act"))
    env.record("heartbeat", await subject.heartbeat(task, "1"))
    by_id = RecordActivityTaskHeartbeatByIdRequest(
        namespace=NAMESPACE, workflow_id=subject.workflow_id, activity_id="1", identity=IDENTITY
    )
    await env.outcome("heartbeat by id", env.rpc.record_activity_task_heartbeat_by_id(by_id))
    await subject.record("running")
    await subject.fail(task)
    await subject.record("failed")
    await env.outcome("unpause", subject.unpause(type="act"))
    await subject.record("unpaused")
    second = await subject.attempt()
    await env.outcome("pause again", subject.pause(id="1"))
    await env.outcome("complete", subject.worker.complete_activity(second))
    await subject.record("completed")
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_unpause_running(env: Env) -> None:
    """It is as if it never was paused."""
    subject = await Subject.of(env, retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    await subject.pause(id="1")
    await env.outcome("unpause", subject.unpause(id="1", reset_attempts=True, reset_heartbeat=True))
    env.record("heartbeat", await subject.heartbeat(task, "1"))
    await subject.record("running")
    await subject.fail(task)
    await subject.record("waiting")
    await subject.end()


async def scenario_activity_pause_last_attempt(env: Env) -> None:
    """While it is paused, a failure of the last attempt does not end it; one that is not retried does."""
    subject = await Subject.of(env, retry_policy=ONCE)
    task = await subject.worker.poll_activity()
    await subject.pause(id="1")
    await subject.fail(task)
    await subject.record("failed")
    await subject.unpause(id="1")
    second = await subject.attempt()
    await subject.pause(id="1")
    await subject.fail(second, non_retryable=True)
    await subject.record("failed for good")
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_pause_in_backoff(env: Env) -> None:
    """Unpausing does not wait for the rest of the back-off."""
    subject = await Subject.of(env, retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    await subject.heartbeat(task, "1")
    await subject.fail(task)
    await env.outcome("pause", subject.pause(id="1"))
    await subject.record("paused")
    await env.outcome("unpause", subject.unpause(id="1", reset_heartbeat=True))
    await subject.record("unpaused")
    await subject.fail(await subject.attempt())
    await subject.pause(id="1")
    await env.outcome("unpause and begin again", subject.unpause(id="1", reset_attempts=True))
    await subject.record("unpaused again")
    await subject.attempt()
    await subject.end()


async def scenario_activity_pause_many(env: Env) -> None:
    """By type and all at once, some of them paused already; a refusal pauses none."""
    subject = await Subject.of(env, "1", "2", "3")
    await env.outcome("pause one", subject.pause(id="1"))
    await env.outcome("pause the type", subject.pause(type="act"))
    await subject.record("paused")
    await env.outcome("unpause one", subject.unpause(id="3"))
    await subject.record("one unpaused")
    await env.outcome("unpause all", subject.unpause(unpause_all=True))
    await subject.record("unpaused")
    await env.outcome("pause with a request id", subject.pause(id="2", request_id="r"))
    await env.outcome("pause the type with another", subject.pause(type="act", request_id="s"))
    await subject.record("only one paused")
    await env.outcome("all=False means all as well", subject.unpause(unpause_all=False))
    await subject.record("none paused")
    await subject.end()


async def scenario_activity_pause_listed(env: Env) -> None:
    """What is paused can be searched for; it stays so when the run is closed."""
    subject = await Subject.of(env)
    await subject.pause(id="1")
    query = f"WorkflowId = '{subject.workflow_id}' AND TemporalPauseInfo = 'property:activityType=act'"
    request = ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)

    async def found(count: int) -> bool:
        return len((await env.rpc.list_workflow_executions(request)).executions) == count

    await env.until(lambda: found(1), "the paused one is listed")
    await subject.unpause(id="1")
    await env.until(lambda: found(0), "it is not listed any more")
    await subject.pause(id="1")
    await subject.end()
    await subject.record("closed")


async def scenario_activity_pause_stops_timeouts(env: Env) -> None:
    """No timeout counts while it is paused; one that has passed meanwhile counts at once when it is unpaused."""
    nobody = TaskQueue(name=env.unique("nobody"))
    second = Duration(seconds=4)
    waiting = await Subject.of(env, workflow="waiting", schedule_to_start_timeout=second, task_queue=nobody)
    await waiting.pause(id="1")
    working = await Subject.of(env, workflow="working", start_to_close_timeout=second, retry_policy=ONCE)
    await working.worker.poll_activity()
    await working.pause(id="1")
    await asyncio.sleep(5)
    for each in (waiting, working):
        await each.record("paused")
        await each.unpause(id="1")
        await env.wait_event(each.workflow_id, "ACTIVITY_TASK_TIMED_OUT")
        await each.end()


async def scenario_activity_reset_scheduled(env: Env) -> None:
    """Nothing to begin again: it is offered anew."""
    subject = await Subject.of(env, retry_policy=SLOW)
    await env.outcome("reset", subject.reset(id="1"))
    await subject.record("reset")
    await subject.worker.complete_activity(await subject.attempt())
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_reset_in_backoff(env: Env) -> None:
    """At once, with the first attempt; the details of heartbeats are kept unless told otherwise."""
    subject = await Subject.of(env, retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    await subject.heartbeat(task, '"x"')
    await subject.fail(task)
    await env.outcome("reset", subject.reset(id="1"))
    await subject.record("reset")
    second = await subject.attempt()
    await subject.fail(second)
    await env.outcome("reset heartbeat too", subject.reset(type="act", reset_heartbeat=True))
    await subject.record("reset again")
    await subject.worker.complete_activity(await subject.attempt())
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_reset_running(env: Env) -> None:
    """The attempt goes on and learns of it by its heartbeat; the next one is the second."""
    subject = await Subject.of(env, retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    await env.outcome("reset", subject.reset(match_all=True, reset_heartbeat=True))
    env.record("heartbeat", await subject.heartbeat(task, '"x"'))
    await subject.record("running")
    await subject.fail(task)
    await subject.record("failed")
    await subject.end()


async def scenario_activity_reset_later_attempt(env: Env) -> None:
    """A later attempt in the hands of a worker is not known any more; another one may still answer by id."""
    quick = RetryPolicy(initial_interval=Duration(nanos=100_000_000))
    subject = await Subject.of(env, retry_policy=quick)
    await subject.fail(await subject.worker.poll_activity())
    task = await subject.attempt()
    await env.outcome("reset", subject.reset(match_all=False))
    await subject.record("reset")
    await env.outcome("heartbeat", subject.heartbeat(task, "1"))
    await env.outcome("complete", subject.worker.complete_activity(task))
    pending = env.client.get_async_activity_handle(workflow_id=subject.workflow_id, run_id=None, activity_id="1")
    await env.outcome("complete by id", pending.complete("by id"))
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_reset_paused(env: Env) -> None:
    """A reset ends the pause unless it is to be kept; of a running attempt it never does."""
    subject = await Subject.of(env, retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    await subject.heartbeat(task, '"x"')
    await subject.fail(task)
    await subject.pause(id="1", reason="wait")
    await env.outcome("reset, keep", subject.reset(id="1", keep_paused=True, reset_heartbeat=True))
    await subject.record("still paused")
    await env.outcome("reset", subject.reset(id="1"))
    await subject.record("not paused")
    await subject.attempt()
    await subject.pause(id="1")
    await env.outcome("reset a running one", subject.reset(id="1"))
    await subject.record("running")
    await subject.end()


async def scenario_activity_reset_with_jitter(env: Env) -> None:
    """It begins at some moment of the time given."""
    subject = await Subject.of(env, retry_policy=SLOW)
    await subject.fail(await subject.worker.poll_activity())
    await env.outcome("reset", subject.reset(id="1", jitter=Duration(nanos=200_000_000)))
    await subject.fail(await subject.attempt())
    await subject.pause(id="1")
    await env.outcome("unpause", subject.unpause(id="1", jitter=Duration(nanos=200_000_000)))
    await subject.attempt()
    await subject.end()


# With the SDK's worker.


@activity.defn
async def until_told() -> str:
    """Beats until it is told to stop; says why. The attempt after that ends well."""
    if activity.info().attempt > 1 or activity.info().heartbeat_details:
        return f"attempt {activity.info().attempt}"
    try:
        while True:
            activity.heartbeat("beat")
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        assert details is not None
        if details.paused or details.reset:
            raise
        return "cancelled"


@workflow.defn
class Told:
    @workflow.run
    async def run(self) -> str:
        try:
            return await workflow.execute_activity(
                until_told,
                activity_id="told",
                start_to_close_timeout=seconds(30),
                heartbeat_timeout=seconds(2),
                retry_policy=Policy(initial_interval=seconds(0.1), backoff_coefficient=1),
            )
        except ActivityError as error:
            return f"{type(error.cause).__name__}: {error.cause}"


async def _beating(env: Env) -> tuple[Handle, Subject]:
    handle = await env.client.start_workflow(Told.run, id=env.id(), task_queue=env.queue)
    subject = Subject(env, handle.id)

    async def beats() -> bool:
        pending = (await subject.describe()).pending_activities
        return bool(pending) and pending[0].HasField("last_heartbeat_time")

    await env.until(beats, "a heartbeat")
    return handle, subject


async def scenario_activity_paused_in_worker(env: Env) -> None:
    """The SDK cancels the activity and reports a failure that is retried, once it is unpaused."""
    async with env.worker(Told, activities=[until_told]):
        handle, subject = await _beating(env)
        await subject.pause(id="told")

        async def stopped() -> bool:
            return (await subject.describe()).pending_activities[0].attempt == 2

        await env.until(stopped, "the attempt has ended")
        await subject.record("paused")
        await subject.unpause(id="told")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_activity_reset_in_worker(env: Env) -> None:
    """The SDK cancels the activity and reports a failure; the next attempt follows."""
    async with env.worker(Told, activities=[until_told]):
        handle, subject = await _beating(env)
        await subject.reset(id="told")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_activity_operations_by_newer_requests(env: Env) -> None:
    """PauseActivityExecution and its like, of an activity of a workflow, as the ``temporal`` CLI sends them."""
    subject = await Subject.of(env, retry_policy=SLOW)
    which: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_id": subject.workflow_id,
        "activity_id": "1",
        "identity": IDENTITY,
    }
    rpc, reset = env.rpc, ResetActivityExecutionRequest

    async def pause(**fields: Any) -> Any:
        return await rpc.pause_activity_execution(PauseActivityExecutionRequest(**{**which, **fields}))

    async def unpause(**fields: Any) -> Any:
        return await rpc.unpause_activity_execution(UnpauseActivityExecutionRequest(**{**which, **fields}))

    async def change(mask: FieldMask | None, **fields: Any) -> Any:
        return await rpc.update_activity_execution_options(
            UpdateActivityExecutionOptionsRequest(**{**which, **fields}, update_mask=mask)
        )

    options = ActivityOptions(heartbeat_timeout=Duration(seconds=4), priority=Priority(priority_key=1))
    await env.outcome("pause", pause(reason="because", request_id="first"))
    await subject.record("paused")
    await env.outcome("the same again", pause(reason="other", request_id="first"))
    await env.outcome("another", pause(request_id="second"))
    await env.outcome("options", change(FieldMask(paths=["heartbeat_timeout"]), activity_options=options))
    await subject.record("changed")
    await env.outcome("restore", change(None, restore_original=True))
    await env.outcome("no mask", change(None, activity_options=options))
    await env.outcome("reset", rpc.reset_activity_execution(reset(**which, keep_paused=True, reset_heartbeat=True)))
    await subject.record("reset")
    await env.outcome("unpause", unpause())
    await subject.record("unpaused")
    wrong: dict[str, dict[str, Any]] = {
        "no id": {"activity_id": ""},
        "unknown id": {"activity_id": "2"},
        "unknown workflow": {"workflow_id": env.id("unknown")},
        "bad run": {"run_id": "x"},
        "no namespace": {"namespace": ""},
        "unknown namespace": {"namespace": "nope"},
    }
    for label, fields in wrong.items():
        await env.outcome(f"pause: {label}", pause(**fields))
        await env.outcome(f"unpause: {label}", unpause(**fields))
        await env.outcome(f"reset: {label}", rpc.reset_activity_execution(reset(**{**which, **fields})))
        mask = FieldMask(paths=["heartbeat_timeout"])
        await env.outcome(f"update: {label}", change(mask, activity_options=options, **fields))
    await subject.end()
    await env.outcome("pause: closed", pause())
