"""Commands that the server refuses: the workflow task fails with the cause, and the worker hears why."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    CancelTimerCommandAttributes,
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelActivityTaskCommandAttributes,
    ScheduleActivityTaskCommandAttributes,
    StartTimerCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import ActivityType, RetryPolicy, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue

from compat_tests.env import Env
from compat_tests.raw import RawWorker, command, complete_workflow, schedule_activity, start_timer

SECOND = Duration(seconds=1)


async def _refused(env: Env, commands: dict[str, list[Command]]) -> None:
    """Give each list of commands to a fresh workflow; record the answer and the history."""
    worker = RawWorker(env)
    for name, answers in commands.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id)
        await env.outcome(name, worker.complete(await worker.poll(), *answers))
        await env.history(workflow_id)
        await env.client.get_workflow_handle(workflow_id).terminate()


def _activity(env: Env, **fields: object) -> Command:
    defaults: dict[str, object] = {
        "activity_id": "1",
        "activity_type": ActivityType(name="act"),
        "task_queue": TaskQueue(name=env.queue),
        "start_to_close_timeout": SECOND,
    }
    attributes = ScheduleActivityTaskCommandAttributes(**{**defaults, **fields})  # pyright: ignore[reportArgumentType]  (any field)
    return command("SCHEDULE_ACTIVITY_TASK", schedule_activity_task_command_attributes=attributes)


def _timer(**fields: object) -> Command:
    attributes = StartTimerCommandAttributes(**fields)  # pyright: ignore[reportArgumentType]  (any field)
    return command("START_TIMER", start_timer_command_attributes=attributes)


async def scenario_bad_activity_identity(env: Env) -> None:
    long = "x" * 1001
    commands = {
        "no-id": [_activity(env, activity_id="")],
        "no-type": [_activity(env, activity_type=None)],
        "empty-type": [_activity(env, activity_type=ActivityType())],
        "long-id": [_activity(env, activity_id=long)],
        "long-type": [_activity(env, activity_type=ActivityType(name=long))],
        "no-queue": [_activity(env, task_queue=None)],
        "empty-queue": [_activity(env, task_queue=TaskQueue())],
        "long-queue": [_activity(env, task_queue=TaskQueue(name=long))],
        "duplicate-id": [_activity(env), _activity(env)],
    }
    await _refused(env, commands)


async def scenario_bad_activity_timeouts(env: Env) -> None:
    negative = Duration(seconds=-1)
    commands = {
        "none": [_activity(env, start_to_close_timeout=None)],
        "only-schedule-to-start": [_activity(env, start_to_close_timeout=None, schedule_to_start_timeout=SECOND)],
        "negative-start-to-close": [_activity(env, start_to_close_timeout=negative)],
        "negative-schedule-to-close": [_activity(env, schedule_to_close_timeout=negative)],
        "negative-schedule-to-start": [_activity(env, schedule_to_start_timeout=negative)],
        "negative-heartbeat": [_activity(env, heartbeat_timeout=negative)],
    }
    await _refused(env, commands)


async def scenario_bad_activity_retry_policies(env: Env) -> None:
    policies = {
        "negative-interval": RetryPolicy(initial_interval=Duration(seconds=-1)),
        "small-coefficient": RetryPolicy(initial_interval=SECOND, backoff_coefficient=0.5),
        "negative-maximum": RetryPolicy(initial_interval=SECOND, maximum_interval=Duration(seconds=-1)),
        "maximum-below-initial": RetryPolicy(initial_interval=Duration(seconds=5), maximum_interval=SECOND),
        "negative-attempts": RetryPolicy(initial_interval=SECOND, maximum_attempts=-1),
        "timeout-name": RetryPolicy(initial_interval=SECOND, non_retryable_error_types=["TemporalTimeout:bad"]),
    }
    await _refused(env, {name: [_activity(env, retry_policy=policy)] for name, policy in policies.items()})


async def scenario_activity_timeouts_are_filled_in(env: Env) -> None:
    """What is stored when only some timeouts are given, and under a run timeout."""
    long = Duration(seconds=500)
    commands = {
        "start-to-close": _activity(env),
        "schedule-to-close": _activity(env, start_to_close_timeout=None, schedule_to_close_timeout=SECOND),
        "both": _activity(env, schedule_to_close_timeout=SECOND, start_to_close_timeout=long),
        "heartbeat-above": _activity(env, heartbeat_timeout=long),
        "schedule-to-start": _activity(env, schedule_to_start_timeout=long, schedule_to_close_timeout=SECOND),
        "beyond-the-run": _activity(env, start_to_close_timeout=long, schedule_to_close_timeout=long),
        "retry": _activity(env, retry_policy=RetryPolicy()),
        "retry-interval": _activity(env, retry_policy=RetryPolicy(initial_interval=Duration(seconds=3))),
        "other-queue": _activity(env, task_queue=TaskQueue(name=env.unique("other"))),
    }
    worker = RawWorker(env)
    for name, answer in commands.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id, workflow_run_timeout=Duration(seconds=100))
        await env.outcome(name, worker.complete(await worker.poll(), answer))
        await env.history(workflow_id)
        await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_bad_timers(env: Env) -> None:
    cancel = CancelTimerCommandAttributes()
    unknown = CancelTimerCommandAttributes(timer_id="unknown")
    commands = {
        "no-id": [_timer(start_to_fire_timeout=SECOND)],
        "negative": [_timer(timer_id="t", start_to_fire_timeout=Duration(seconds=-1))],
        "long-id": [_timer(timer_id="x" * 1001, start_to_fire_timeout=SECOND)],
        "duplicate": [start_timer("t", 100), start_timer("t", 100)],
        "cancel-without-id": [command("CANCEL_TIMER", cancel_timer_command_attributes=cancel)],
        "cancel-unknown": [command("CANCEL_TIMER", cancel_timer_command_attributes=unknown)],
        "no-attributes": [command("START_TIMER")],
    }
    await _refused(env, commands)


async def scenario_timers_without_delay(env: Env) -> None:
    """Accepted: they fire at once."""
    worker = RawWorker(env)
    timers = {"unset": _timer(timer_id="t"), "zero": _timer(timer_id="t", start_to_fire_timeout=Duration())}
    for name, timer in timers.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id)
        await env.outcome(name, worker.complete(await worker.poll(), timer))
        await env.wait_event(workflow_id, "TIMER_FIRED")
        await env.history(workflow_id)
        await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_bad_closing_commands(env: Env) -> None:
    fail = FailWorkflowExecutionCommandAttributes()
    complete = CompleteWorkflowExecutionCommandAttributes()
    cancel = CancelWorkflowExecutionCommandAttributes()
    commands = {
        "fail-without-failure": [
            command("FAIL_WORKFLOW_EXECUTION", fail_workflow_execution_command_attributes=fail),
        ],
        "complete-without-attributes": [command("COMPLETE_WORKFLOW_EXECUTION")],
        "complete-without-result": [
            command("COMPLETE_WORKFLOW_EXECUTION", complete_workflow_execution_command_attributes=complete)
        ],
        "complete-twice": [complete_workflow(), complete_workflow()],
        "cancel-without-request": [
            command("CANCEL_WORKFLOW_EXECUTION", cancel_workflow_execution_command_attributes=cancel)
        ],
        "unspecified": [Command(command_type=CommandType.COMMAND_TYPE_UNSPECIFIED)],
    }
    worker = RawWorker(env)
    for name, answers in commands.items():
        workflow_id = env.id(name)
        await env.start_raw(workflow_id)
        await env.outcome(name, worker.complete(await worker.poll(), *answers))
        await env.history(workflow_id)
        await env.outcome("terminate", env.client.get_workflow_handle(workflow_id).terminate())


def _continue(**fields: object) -> Command:
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes(**fields)  # pyright: ignore[reportArgumentType]  (any field)
    return command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=attributes
    )


async def scenario_bad_continue_as_new(env: Env) -> None:
    negative = Duration(seconds=-1)
    commands = {
        "negative-run-timeout": [_continue(workflow_run_timeout=negative)],
        "negative-task-timeout": [_continue(workflow_task_timeout=negative)],
        "negative-backoff": [_continue(backoff_start_interval=negative)],
        "long-type": [_continue(workflow_type=WorkflowType(name="x" * 1001))],
        "long-queue": [_continue(task_queue=TaskQueue(name="x" * 1001))],
        "retry": [_continue(retry_policy=RetryPolicy(maximum_attempts=-1))],
    }
    await _refused(env, commands)


async def scenario_bad_other_commands(env: Env) -> None:
    unnamed = RecordMarkerCommandAttributes()
    unknown = RequestCancelActivityTaskCommandAttributes(scheduled_event_id=77)
    unset = RequestCancelActivityTaskCommandAttributes()
    properties = ModifyWorkflowPropertiesCommandAttributes()
    search = UpsertWorkflowSearchAttributesCommandAttributes()
    commands = {
        "marker": [command("RECORD_MARKER", record_marker_command_attributes=unnamed)],
        "cancel-activity-unknown": [
            command("REQUEST_CANCEL_ACTIVITY_TASK", request_cancel_activity_task_command_attributes=unknown)
        ],
        "cancel-activity-unset": [
            command("REQUEST_CANCEL_ACTIVITY_TASK", request_cancel_activity_task_command_attributes=unset)
        ],
        "properties": [command("MODIFY_WORKFLOW_PROPERTIES", modify_workflow_properties_command_attributes=properties)],
        "search-attributes": [
            command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", upsert_workflow_search_attributes_command_attributes=search)
        ],
    }
    await _refused(env, commands)


async def scenario_bad_command_after_good_ones(env: Env) -> None:
    """Nothing of an answer with a bad command is applied."""
    await _refused(env, {"mixed": [start_timer("t", 100), schedule_activity(env), _timer(timer_id="")]})


async def scenario_bad_command_again(env: Env) -> None:
    """The second bad answer is a transient failure."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    for _ in range(2):
        await env.outcome("bad", worker.complete(await worker.poll(), _timer(timer_id="")))
    env.record("task", await worker.run_task(complete_workflow()))
    await env.history(workflow_id)


async def scenario_bad_command_again_and_again(env: Env) -> None:
    """From the second attempt on an invalid answer is dropped: the task stays with its worker until it times out."""
    worker = RawWorker(env)
    workflow_id = env.id("stubborn")
    await env.start_raw(workflow_id, workflow_task_timeout=SECOND)
    bad = _activity(env, activity_id="")
    await env.outcome("first", worker.complete(await worker.poll(), bad))
    task = await worker.poll()
    await env.outcome("second", worker.complete(task, bad))
    await env.outcome("second, once more", worker.complete(task, bad))
    third = await worker.poll()
    env.record("attempt after the timeout", third.attempt)
    await worker.complete(third, complete_workflow())
    await env.history(workflow_id)
