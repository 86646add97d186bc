"""Change of options of pending activities: by field mask, restored, while running, in back-off."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import Priority, RetryPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow
from compat_tests.scenarios.activity_operations import SLOW, Subject


async def _update(subject: Subject, paths: str, **options: Any) -> None:
    """Change the options of activity 1; record the answer and what describe says afterwards."""
    given = ActivityOptions(**options)
    label = f"{paths} {_shown(given)}"
    await subject.env.outcome(label, subject.update(paths.split(), id="1", activity_options=given))
    pending = (await subject.describe()).pending_activities[0]
    subject.env.record(f"{label}: afterwards", pending.activity_options)


def _shown(message: Message) -> str:
    return " ".join(str(message).split())[:100]


async def scenario_activity_options_merge(env: Env) -> None:
    """Which paths of a mask do what."""
    subject = await Subject.of(
        env, retry_policy=SLOW, heartbeat_timeout=Duration(seconds=20), priority=Priority(priority_key=2)
    )
    seven = Duration(seconds=7)
    await _update(subject, "heartbeat_timeout", heartbeat_timeout=seven, start_to_close_timeout=seven)
    await _update(subject, "heartbeatTimeout", heartbeat_timeout=Duration(seconds=6))
    await _update(subject, "nonsense", heartbeat_timeout=Duration(seconds=5))
    await _update(subject, "heartbeat_timeout.seconds", heartbeat_timeout=Duration(seconds=5))
    await _update(subject, "", heartbeat_timeout=Duration(seconds=5))
    await _update(subject, "task_queue", task_queue=TaskQueue(name=env.unique("other")))
    await _update(subject, "schedule_to_close_timeout", schedule_to_close_timeout=Duration(seconds=10))
    await _update(subject, "heartbeat_timeout", heartbeat_timeout=Duration(seconds=100))
    await _update(subject, "schedule_to_start_timeout", schedule_to_start_timeout=Duration(seconds=100))
    await _update(subject, "retry_policy.maximum_interval", retry_policy=RetryPolicy())
    await _update(
        subject,
        "retry_policy.backoff_coefficient retry_policy.maximum_interval",
        retry_policy=RetryPolicy(backoff_coefficient=1.5, maximum_interval=Duration(seconds=60)),
    )
    await _update(
        subject,
        "retry_policy.initial_interval retry_policy.maximum_attempts",
        retry_policy=RetryPolicy(initial_interval=Duration(seconds=30), maximum_attempts=7),
    )
    listed = RetryPolicy(non_retryable_error_types=["Y"])
    await _update(subject, "retry_policy.non_retryable_error_types", retry_policy=listed)
    await _update(subject, "priority.fairness_key", priority=Priority(fairness_key="g"))
    await _update(subject, "priority.fairness_weight", priority=Priority(fairness_weight=2.5))
    await _update(subject, "priority.priority_key", priority=Priority(fairness_key="h"))
    await _update(subject, "priority")
    await _update(subject, "start_delay", start_delay=Duration(seconds=3))
    await _update(subject, "retry_policy", retry_policy=RetryPolicy(initial_interval=Duration(seconds=1)))
    await subject.record("changed")
    await subject.attempt()
    await subject.end()


async def scenario_activity_options_refused(env: Env) -> None:
    """What cannot be, and in which order it is looked for."""
    subject = await Subject.of(env, retry_policy=SLOW, heartbeat_timeout=Duration(seconds=20))
    second, minus = Duration(seconds=1), Duration(seconds=-1)
    await env.outcome("no options", subject.update(id="1"))
    await env.outcome("no mask", subject.update(id="1", activity_options=ActivityOptions(heartbeat_timeout=second)))
    await env.outcome("mask only", subject.update(["heartbeat_timeout"], id="1"))
    await _update(subject, "task_queue.name")
    await _update(subject, "task_queue.name", task_queue=TaskQueue())
    await _update(subject, "task_queue.name", task_queue=TaskQueue(name="x" * 1001))
    for name in ("schedule_to_close", "schedule_to_start", "start_to_close", "heartbeat"):
        await _update(subject, f"{name}_timeout", **{f"{name}_timeout": minus})
    await _update(subject, "start_to_close_timeout")
    await _update(subject, "retry_policy")
    await _update(subject, "retry_policy.maximum_attempts")
    await _update(subject, "retry_policy.maximum_attempts", retry_policy=RetryPolicy(maximum_attempts=-1))
    await _update(subject, "retry_policy.initial_interval", retry_policy=RetryPolicy(initial_interval=minus))
    await _update(subject, "retry_policy.backoff_coefficient", retry_policy=RetryPolicy(backoff_coefficient=0.5))
    await _update(subject, "retry_policy.maximum_interval", retry_policy=RetryPolicy(maximum_interval=second))
    await _update(subject, "priority", priority=Priority(priority_key=-1))
    await _update(subject, "heartbeat_timeout", heartbeat_timeout=second, priority=Priority(priority_key=-1))
    await _update(subject, "priority.fairness_key")
    await _update(subject, "priority.fairness_key", priority=Priority(fairness_key="x" * 65))
    await _update(subject, "priority.fairness_weight", priority=Priority(fairness_weight=-1))
    bad = {"start_to_close_timeout": minus, "retry_policy": RetryPolicy(maximum_attempts=-1)}
    await _update(subject, "retry_policy.maximum_attempts start_to_close_timeout", **bad)
    await _update(subject, "retry_policy.maximum_attempts start_to_close_timeout task_queue.name", **bad)
    both = subject.update(["priority"], id="1", restore_original=True)
    await env.outcome("restore and change", both)
    await subject.end()


async def scenario_activity_options_restored(env: Env) -> None:
    """Back to those of the beginning, by an update and by a reset."""
    subject = await Subject.of(env, retry_policy=SLOW, priority=Priority(priority_key=2))
    changes = ActivityOptions(
        start_to_close_timeout=Duration(seconds=9),
        priority=Priority(priority_key=4),
        retry_policy=RetryPolicy(maximum_attempts=2, backoff_coefficient=1),
    )
    mask = ["start_to_close_timeout", "priority", "retry_policy"]
    for which in ({"id": "1"}, {"type": "act"}, {"match_all": True}):
        await env.outcome(f"change {which}", subject.update(mask, activity_options=changes, **which))
        await env.outcome(f"restore {which}", subject.update([], restore_original=True, **which))
        await subject.record(f"restored {which}")
    await subject.update(mask, activity_options=changes, id="1")
    await env.outcome("reset", subject.reset(id="1", restore_original_options=True))
    await subject.record("reset")
    await subject.attempt()
    await subject.update(mask, activity_options=changes, id="1")
    await env.outcome("reset a running one", subject.reset(id="1", restore_original_options=True))
    await subject.record("reset again")
    await subject.end()


async def scenario_activity_options_of_running(env: Env) -> None:
    """Timeouts count at once, the rest from the next attempt on: another queue, another wait."""
    subject = await Subject.of(env, retry_policy=SLOW)
    other = env.unique("other")
    task = await subject.worker.poll_activity()
    changes = ActivityOptions(
        task_queue=TaskQueue(name=other), retry_policy=RetryPolicy(initial_interval=Duration(nanos=100_000_000))
    )
    mask = ["task_queue.name", "retry_policy.initial_interval"]
    await env.outcome("change", subject.update(mask, id="1", activity_options=changes))
    await subject.record("running")
    env.record("heartbeat", await subject.heartbeat(task, "1"))
    await subject.fail(task)
    there = RawWorker(env, other)
    second = await there.poll_activity()
    env.record("second attempt", second)
    soon = ActivityOptions(start_to_close_timeout=Duration(seconds=1), retry_policy=RetryPolicy(maximum_attempts=2))
    mask = ["start_to_close_timeout", "retry_policy.maximum_attempts"]
    await env.outcome("shorter", subject.update(mask, id="1", activity_options=soon))
    await env.wait_event(subject.workflow_id, "ACTIVITY_TASK_TIMED_OUT")
    await subject.end()


async def scenario_activity_options_in_backoff(env: Env) -> None:
    """The wait is counted anew, and the task goes to the other queue."""
    subject = await Subject.of(env, retry_policy=SLOW)
    other = env.unique("other")
    await subject.fail(await subject.worker.poll_activity())
    longer = ActivityOptions(retry_policy=RetryPolicy(initial_interval=Duration(seconds=20)))
    await env.outcome("longer", subject.update(["retry_policy.initial_interval"], id="1", activity_options=longer))
    await subject.record("waits")
    changes = ActivityOptions(
        task_queue=TaskQueue(name=other), retry_policy=RetryPolicy(initial_interval=Duration(nanos=10_000_000))
    )
    mask = ["task_queue.name", "retry_policy.initial_interval"]
    await env.outcome("shorter, elsewhere", subject.update(mask, id="1", activity_options=changes))
    there = RawWorker(env, other)
    task = await there.poll_activity()
    env.record("task", task)
    await there.complete_activity(task)
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)


async def scenario_activity_options_of_scheduled(env: Env) -> None:
    """It moves to the other queue; the offer in the first one is stale. A paused one stays paused."""
    subject = await Subject.of(env)
    other = env.unique("other")
    await subject.pause(id="1")
    changes = ActivityOptions(task_queue=TaskQueue(name=other), priority=Priority(priority_key=3))
    mask = ["task_queue.name", "priority.priority_key"]
    await env.outcome("change a paused one", subject.update(mask, id="1", activity_options=changes))
    await subject.record("paused")
    await subject.unpause(id="1")
    there = RawWorker(env, other)
    env.record("first queue", await subject.worker.poll_activity(timeout=2.5))
    task = await there.poll_activity()
    env.record("task", task)
    await there.complete_activity(task)
    await subject.worker.run_task(complete_workflow())
    await env.history(subject.workflow_id)
