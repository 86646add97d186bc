"""How activities end: which timeout, with which cause, what is too large, what is told by id."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payloads, RetryPolicy
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import (
    RecordActivityTaskHeartbeatByIdRequest,
    RespondActivityTaskCanceledByIdRequest,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondActivityTaskFailedRequest,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import complete_workflow, payloads
from compat_tests.scenarios.activity_operations import ONCE, SLOW, Subject
from compat_tests.targets import IDENTITY

SECOND = Duration(seconds=1)
SOON = Duration(nanos=100_000_000)


def _text(size: int) -> Payloads:
    return payloads('"' + "x" * size + '"')


TOO_LARGE = 2 * 1024 * 1024 + 100


async def _second_attempt_times_out(env: Env, **fields: Any) -> None:
    subject = await Subject.of(env, **fields)
    first = await subject.worker.poll_activity()
    await subject.heartbeat(first, '"half"')
    await subject.fail(first, type="First")
    await subject.worker.poll_activity()
    await env.wait_event(subject.workflow_id, "ACTIVITY_TASK_TIMED_OUT")
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_last_attempt_times_out(env: Env) -> None:
    """The failure of the attempt before is the cause."""
    policy = RetryPolicy(maximum_attempts=2, initial_interval=SOON)
    await _second_attempt_times_out(env, start_to_close_timeout=SECOND, retry_policy=policy)


async def scenario_activity_last_attempt_is_silent(env: Env) -> None:
    policy = RetryPolicy(maximum_attempts=2, initial_interval=SOON)
    await _second_attempt_times_out(env, heartbeat_timeout=SECOND, retry_policy=policy)


async def scenario_activity_no_time_for_another_attempt(env: Env) -> None:
    """The attempt has timed out, and the next one would come too late."""
    policy = RetryPolicy(initial_interval=SOON, backoff_coefficient=1000, maximum_interval=Duration(seconds=100))
    whole = Duration(seconds=20)
    await _second_attempt_times_out(
        env, start_to_close_timeout=SECOND, schedule_to_close_timeout=whole, retry_policy=policy
    )


async def scenario_activity_whole_time_is_over(env: Env) -> None:
    """While a worker has it: said in the same words as if there was no time for another attempt."""
    subject = await Subject.of(env, schedule_to_close_timeout=SECOND)
    await subject.worker.poll_activity()
    await env.wait_event(subject.workflow_id, "ACTIVITY_TASK_TIMED_OUT")
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_asks_for_too_long_a_wait(env: Env) -> None:
    """A retry delay that the failure itself names, beyond the whole time."""
    subject = await Subject.of(env, schedule_to_close_timeout=Duration(seconds=20), retry_policy=SLOW)
    await subject.fail(await subject.worker.poll_activity(), next_retry_delay=Duration(seconds=100))
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_large_failure_retried(env: Env) -> None:
    """Of a failure that is retried only so much is kept."""
    subject = await Subject.of(env, retry_policy=SLOW)
    info = ApplicationFailureInfo(type="T", details=_text(3000))
    for size in (1000, 3000, 5000):
        task = await subject.worker.poll_activity()
        failure = Failure(message="m" * size, stack_trace="s" * 3000, source="src", application_failure_info=info)
        await env.outcome(f"fail {size}", subject.worker.fail_activity(task, failure))
        await subject.record(f"failed {size}")
        await subject.reset(id="1")
    await subject.end()


async def scenario_activity_large_failure(env: Env) -> None:
    """One that is not retried is kept as it is, unless it is larger than anything may be."""
    for name, size in {"kept": 5000, "cut": TOO_LARGE}.items():
        subject = await Subject.of(env, workflow=name, retry_policy=ONCE)
        task = await subject.worker.poll_activity()
        failure = Failure(message="m" * size, application_failure_info=ApplicationFailureInfo())
        await env.outcome(name, subject.worker.fail_activity(task, failure))
        await subject.worker.run_task(complete_workflow())
        await env.history(subject.workflow_id)


async def scenario_activity_large_payloads(env: Env) -> None:
    """Results and details that are too large end the activity; with a failure they are left out."""
    large = _text(TOO_LARGE)
    subject = await Subject.of(env, workflow="result")
    task = await subject.worker.poll_activity()
    await env.outcome("result", subject.worker.complete_activity(task, '"' + "x" * TOO_LARGE + '"'))
    await subject.end()
    subject = await Subject.of(env, workflow="heartbeat")
    task = await subject.worker.poll_activity()
    await env.outcome("heartbeat", subject.heartbeat(task, '"' + "x" * TOO_LARGE + '"'))
    await env.outcome("heartbeat again", subject.heartbeat(task, "1"))
    await subject.end()
    subject = await Subject.of(env, workflow="cancel")
    canceled = RespondActivityTaskCanceledRequest(
        namespace=NAMESPACE, task_token=(await subject.worker.poll_activity()).task_token, details=large
    )
    await env.outcome("cancel", env.rpc.respond_activity_task_canceled(canceled))
    await subject.end()
    subject = await Subject.of(env, workflow="failure", retry_policy=SLOW)
    task = await subject.worker.poll_activity()
    failed = RespondActivityTaskFailedRequest(
        namespace=NAMESPACE,
        task_token=task.task_token,
        identity=IDENTITY,
        last_heartbeat_details=large,
        failure=Failure(message="no", application_failure_info=ApplicationFailureInfo()),
    )
    await env.outcome("failure", env.rpc.respond_activity_task_failed(failed))
    await subject.record("failed")
    await subject.end()


async def scenario_activity_answers_by_id_unstarted(env: Env) -> None:
    """Who knows the id may complete an activity that waits; for all else a worker must have taken it."""
    subject = await Subject.of(env, "1", "2", retry_policy=SLOW)
    which: dict[str, Any] = {"namespace": NAMESPACE, "workflow_id": subject.workflow_id, "identity": IDENTITY}
    await subject.pause(id="1")
    completed = RespondActivityTaskCompletedByIdRequest(**which, activity_id="1", result=payloads('"by id"'))
    await env.outcome("complete a paused one", env.rpc.respond_activity_task_completed_by_id(completed))
    await subject.worker.run_task()
    failed = RespondActivityTaskFailedByIdRequest(**which, activity_id="2")
    await env.outcome("fail a scheduled one", env.rpc.respond_activity_task_failed_by_id(failed))
    heartbeat = RecordActivityTaskHeartbeatByIdRequest(**which, activity_id="2")
    await env.outcome("heartbeat of a scheduled one", env.rpc.record_activity_task_heartbeat_by_id(heartbeat))
    canceled = RespondActivityTaskCanceledByIdRequest(**which, activity_id="2")
    await env.outcome("cancel a scheduled one", env.rpc.respond_activity_task_canceled_by_id(canceled))
    await subject.record("afterwards")
    await subject.end()
