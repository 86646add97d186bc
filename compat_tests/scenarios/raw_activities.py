"""Activities by hand: task fields, heartbeats, late and repeated answers, pending state, eager dispatch."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
)
from temporalio.api.common.v1 import Header, Priority, RetryPolicy, WorkerVersionStamp, WorkflowExecution
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    ServerFailureInfo,
    TimeoutFailureInfo,
)
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskFailedRequest,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import (
    RawWorker,
    command,
    complete_workflow,
    payloads,
    schedule_activity,
    start_timer,
)
from compat_tests.targets import IDENTITY

FAST = RetryPolicy(initial_interval=Duration(nanos=100_000_000), backoff_coefficient=1, maximum_attempts=3)
ONCE = RetryPolicy(maximum_attempts=1)


async def _scheduled(env: Env, **fields: Any) -> tuple[str, RawWorker]:
    """A workflow that has scheduled one activity."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env, **fields))
    return workflow_id, worker


async def _describe(env: Env, workflow_id: str) -> DescribeWorkflowExecutionResponse:
    execution = WorkflowExecution(workflow_id=workflow_id)
    return await env.rpc.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=NAMESPACE, execution=execution)
    )


async def _heartbeat(env: Env, task: PollActivityTaskQueueResponse, text: str) -> RecordActivityTaskHeartbeatResponse:
    request = RecordActivityTaskHeartbeatRequest(
        namespace=NAMESPACE, task_token=task.task_token, details=payloads(text), identity=IDENTITY
    )
    return await env.rpc.record_activity_task_heartbeat(request)


def _failure(message: str = "no", **info: Any) -> Failure:
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(**info))


def _timeout(kind: TimeoutType.ValueType) -> Failure:
    return Failure(message="t", timeout_failure_info=TimeoutFailureInfo(timeout_type=kind))


def _cancel_activity(scheduled_event_id: int) -> Command:
    attributes = RequestCancelActivityTaskCommandAttributes(scheduled_event_id=scheduled_event_id)
    return command("REQUEST_CANCEL_ACTIVITY_TASK", request_cancel_activity_task_command_attributes=attributes)


async def scenario_activity_task_fields(env: Env) -> None:
    """Everything that the command carries reaches the event and the task."""
    header = Header(fields={"h": payloads('"v"').payloads[0]})
    workflow_id, worker = await _scheduled(
        env,
        input=payloads("1", '"two"'),
        header=header,
        heartbeat_timeout=Duration(seconds=9),
        schedule_to_close_timeout=Duration(seconds=90),
        schedule_to_start_timeout=Duration(seconds=80),
        retry_policy=FAST,
        priority=Priority(priority_key=1, fairness_key="f"),
    )
    task = await worker.poll_activity()
    env.record("task", task)
    await worker.complete_activity(task)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_activity_pending_states(env: Env) -> None:
    """The description of an activity: scheduled, started, with heartbeat, between attempts, started again."""
    workflow_id, worker = await _scheduled(env, retry_policy=FAST, heartbeat_timeout=Duration(seconds=20))
    env.record("scheduled", await _describe(env, workflow_id))
    task = await worker.poll_activity()
    env.record("started", await _describe(env, workflow_id))
    env.record("heartbeat", await _heartbeat(env, task, '"half"'))
    env.record("after heartbeat", await _describe(env, workflow_id))
    await worker.fail_activity(task, _failure(type="T"))
    env.record("after failure", (await _describe(env, workflow_id)).pending_activities[0].last_failure)
    second = await worker.poll_activity()
    env.record("second task", second)
    env.record("second attempt", await _describe(env, workflow_id))
    await worker.complete_activity(second)
    env.record("completed", await _describe(env, workflow_id))
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_activity_backoff_state(env: Env) -> None:
    """While it waits for its next attempt."""
    policy = RetryPolicy(initial_interval=Duration(seconds=50), backoff_coefficient=3, maximum_attempts=4)
    workflow_id, worker = await _scheduled(env, retry_policy=policy)
    await worker.fail_activity(await worker.poll_activity(), _failure())
    env.record("waiting", await _describe(env, workflow_id))
    await env.client.get_workflow_handle(workflow_id).terminate()
    env.record("terminated", await _describe(env, workflow_id))
    await env.history(workflow_id)


async def scenario_activity_late_answers(env: Env) -> None:
    """Answers to a completed activity, and of an attempt that is over."""
    workflow_id, worker = await _scheduled(env, retry_policy=FAST)
    first = await worker.poll_activity()
    await worker.fail_activity(first, _failure())
    await env.outcome("complete an old attempt between", worker.complete_activity(first))
    second = await worker.poll_activity()
    await env.outcome("complete an old attempt", worker.complete_activity(first))
    await env.outcome("fail an old attempt", worker.fail_activity(first, _failure()))
    await env.outcome("heartbeat of an old attempt", _heartbeat(env, first, "1"))
    await worker.complete_activity(second)
    await env.outcome("complete again", worker.complete_activity(second))
    await env.outcome("fail again", worker.fail_activity(second, _failure()))
    await env.outcome("heartbeat after", _heartbeat(env, second, "1"))
    await worker.run_task(complete_workflow())
    await env.outcome("complete after close", worker.complete_activity(second))
    await env.outcome("heartbeat after close", _heartbeat(env, second, "1"))
    await env.history(workflow_id)


async def scenario_activity_answers_after_terminate(env: Env) -> None:
    workflow_id, worker = await _scheduled(env)
    task = await worker.poll_activity()
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.outcome("heartbeat", _heartbeat(env, task, "1"))
    await env.outcome("complete", worker.complete_activity(task))
    await env.outcome("fail", worker.fail_activity(task, _failure()))
    await env.history(workflow_id)


async def scenario_activity_cancel_seen_by_heartbeat(env: Env) -> None:
    workflow_id, worker = await _scheduled(env, heartbeat_timeout=Duration(seconds=20))
    task = await worker.poll_activity()
    env.record("before", await _heartbeat(env, task, "1"))
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(_cancel_activity(5))
    env.record("after", await _heartbeat(env, task, "2"))
    env.record("description", await _describe(env, workflow_id))
    answer = RespondActivityTaskCanceledRequest(
        namespace=NAMESPACE, task_token=task.task_token, details=payloads('"d"'), identity=IDENTITY
    )
    await env.outcome("cancelled", env.rpc.respond_activity_task_canceled(answer))
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_activity_cancel_and_failure(env: Env) -> None:
    """A failure after a cancel request is not retried."""
    workflow_id, worker = await _scheduled(env, retry_policy=FAST)
    task = await worker.poll_activity()
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(_cancel_activity(5))
    await worker.fail_activity(task, _failure())
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_activity_cancel_during_backoff(env: Env) -> None:
    policy = RetryPolicy(initial_interval=Duration(seconds=50))
    workflow_id, worker = await _scheduled(env, retry_policy=policy)
    await worker.fail_activity(await worker.poll_activity(), _failure())
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(_cancel_activity(5))
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_activity_cancel_in_same_task(env: Env) -> None:
    """Scheduled and cancelled by one answer."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await env.outcome("answer", worker.complete(task, schedule_activity(env), _cancel_activity(5)))
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_activity_cancel_twice(env: Env) -> None:
    workflow_id, worker = await _scheduled(env)
    task = await worker.poll_activity()
    for _ in range(2):
        await env.client.get_workflow_handle(workflow_id).signal("go")
        workflow_task = await worker.poll()
        await env.outcome("answer", worker.complete(workflow_task, _cancel_activity(5)))
    await worker.complete_activity(task)
    await env.client.get_workflow_handle(workflow_id).terminate()
    await env.history(workflow_id)


async def scenario_activity_failure_infos(env: Env) -> None:
    """A worker may only report application failures; which are retried depends on their type."""
    failures = {
        "application": _failure(type="T"),
        "non-retryable": _failure(type="T", non_retryable=True),
        "listed": _failure(type="Listed"),
        "empty": Failure(),
        "server": Failure(message="s", server_failure_info=ServerFailureInfo()),
        "server-non-retryable": Failure(message="s", server_failure_info=ServerFailureInfo(non_retryable=True)),
        "cancelled": Failure(message="c", canceled_failure_info=CanceledFailureInfo()),
        "timeout": _timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
        "timeout-heartbeat": _timeout(TimeoutType.TIMEOUT_TYPE_HEARTBEAT),
        "timeout-schedule": _timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START),
    }
    policy = RetryPolicy(initial_interval=Duration(seconds=50), non_retryable_error_types=["Listed"])
    worker = RawWorker(env)
    for name, failure in failures.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id)
        await worker.run_task(schedule_activity(env, retry_policy=policy))
        await env.outcome(name, worker.fail_activity(await worker.poll_activity(), failure))
        env.record(f"{name} is retried", len((await _describe(env, workflow_id)).pending_activities) > 0)
        await env.history(workflow_id)
        await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_activity_eager_dispatch(env: Env) -> None:
    """An eager activity comes with the answer to the workflow task."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    eager = ScheduleActivityTaskCommandAttributes(request_eager_execution=True)
    activity = schedule_activity(env)
    activity.schedule_activity_task_command_attributes.MergeFrom(eager)
    answer = await worker.complete(task, activity)
    env.record("answer", answer)
    await worker.complete_activity(answer.activity_tasks[0])
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_activity_completes_while_task_started(env: Env) -> None:
    """Completion and timer are buffered; the order of completion is kept."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(schedule_activity(env, "a"), schedule_activity(env, "b"))
    first, second = await worker.poll_activity(), await worker.poll_activity()
    await env.client.get_workflow_handle(workflow_id).signal("go")
    task = await worker.poll()
    by_id = {t.activity_id: t for t in (first, second)}
    await worker.complete_activity(by_id["b"])
    await worker.fail_activity(by_id["a"], _failure(non_retryable=True))
    await worker.complete(task, start_timer("t", 60))
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_activity_same_id_after_completion(env: Env) -> None:
    """An activity id may be used again once it is closed."""
    workflow_id, worker = await _scheduled(env)
    await worker.complete_activity(await worker.poll_activity())
    task = await worker.poll()
    await env.outcome("again", worker.complete(task, schedule_activity(env)))
    await worker.complete_activity(await worker.poll_activity())
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)


async def scenario_workflow_closes_over_pending_activity(env: Env) -> None:
    """Completing with open activities and timers just drops them."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    task = await worker.poll()
    await worker.complete(task, schedule_activity(env), start_timer("t", 1), complete_workflow())
    env.record("description", await _describe(env, workflow_id))
    env.record("activity task", (await worker.poll_activity(timeout=3)).activity_id)
    await env.history(workflow_id)


async def scenario_activity_backoff_intervals(env: Env) -> None:
    """Each wait is longer by the coefficient, up to the maximum."""
    maximum = Duration(seconds=1, nanos=500_000_000)
    policy = RetryPolicy(initial_interval=Duration(seconds=1), backoff_coefficient=2, maximum_interval=maximum)
    workflow_id, worker = await _scheduled(env, retry_policy=policy)
    for _ in range(3):
        task = await worker.poll_activity()
        await worker.fail_activity(task, _failure())
        pending = (await _describe(env, workflow_id)).pending_activities[0]
        env.record("waiting", {"attempt": pending.attempt, "current_retry_interval": _interval(pending)})
    await env.client.get_workflow_handle(workflow_id).terminate()


def _interval(pending: PendingActivityInfo) -> str:
    return f"{pending.current_retry_interval.ToTimedelta().total_seconds()}s"


async def scenario_activity_worker_version(env: Env) -> None:
    """Which build a worker names, and in which events it is kept."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    stamp = WorkerVersionStamp(build_id="build-1")
    await worker.run_task(schedule_activity(env, "a"), worker_version_stamp=stamp)
    for answer in ("complete", "fail"):
        task = await worker.poll_activity()
        fields: dict[str, Any] = {"namespace": NAMESPACE, "task_token": task.task_token, "worker_version": stamp}
        if answer == "complete":
            await env.rpc.respond_activity_task_completed(RespondActivityTaskCompletedRequest(**fields))
        else:
            failure = _failure(non_retryable=True)
            await env.rpc.respond_activity_task_failed(RespondActivityTaskFailedRequest(**fields, failure=failure))
        if answer == "complete":
            await worker.run_task(schedule_activity(env, "b"))
    env.record("task", await worker.run_task(complete_workflow(), worker_version_stamp=stamp))
    await env.history(workflow_id)
    env.record("description", await _describe(env, workflow_id))


async def scenario_activity_next_delay_beyond_the_maximum(env: Env) -> None:
    """The delay that a failure asks for, beside the longest of the policy."""
    policy = RetryPolicy(initial_interval=Duration(seconds=1), maximum_interval=Duration(seconds=20))
    workflow_id, worker = await _scheduled(env, retry_policy=policy)
    info = ApplicationFailureInfo(type="Later", next_retry_delay=Duration(seconds=60))
    await worker.fail_activity(await worker.poll_activity(), Failure(message="later", application_failure_info=info))
    env.record("description", (await env.client.get_workflow_handle(workflow_id).describe()).raw_description)
