"""The options of a pending activity (temporal.api.activity.v1.ActivityOptions): read, merge, check, replace."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.command.v1 import ScheduleActivityTaskCommandAttributes
from temporalio.api.common.v1 import ActivityType, RetryPolicy
from temporalio.api.taskqueue.v1 import TaskQueue

from ..errors import TaskFailed, invalid_argument
from .commands import activities
from .model import Activity
from .priority import packed_priority, unpacked
from .protos import duration, nanos
from .retry import problem

_TIMEOUTS = ("schedule_to_close_timeout", "schedule_to_start_timeout", "start_to_close_timeout", "heartbeat_timeout")
_WHOLE = (*_TIMEOUTS, "priority", "start_delay")
_PARTS = {
    "task_queue": ("name",),
    "priority": ("priority_key", "fairness_key", "fairness_weight"),
    "retry_policy": ("initial_interval", "backoff_coefficient", "maximum_interval", "maximum_attempts"),
}
_MISSING = {"task_queue": "TaskQueue", "priority": "Priority", "retry_policy": "RetryPolicy"}


def options_of(activity: Activity) -> ActivityOptions:
    """The options as they are now."""
    return ActivityOptions(
        task_queue=TaskQueue(name=activity.queue),
        schedule_to_close_timeout=duration(activity.schedule_to_close),
        schedule_to_start_timeout=duration(activity.schedule_to_start),
        start_to_close_timeout=duration(activity.start_to_close),
        heartbeat_timeout=duration(activity.heartbeat),
        retry_policy=retry_policy_of(activity),
        priority=unpacked(activity.priority),
    )


def retry_policy_of(activity: Activity) -> RetryPolicy:
    """The retry policy as it is now, without the types that are not retried: those never change."""
    return RetryPolicy(
        initial_interval=duration(activity.retry_initial) if activity.retry_initial else None,
        backoff_coefficient=activity.retry_coefficient,
        maximum_interval=duration(activity.retry_maximum) if activity.retry_maximum else None,
        maximum_attempts=activity.retry_attempts,
    )


def set_options(activity: Activity, options: ActivityOptions, *, keeps_priority: bool = False) -> None:
    """Replace the options, keeping in mind those that the activity was scheduled with."""
    if not activity.original:
        activity.original = options_of(activity).SerializeToString()
    _assign(activity, options)
    if not keeps_priority:
        activity.priority = packed_priority(options.priority) if options.HasField("priority") else None


def take_over(activity: Activity, options: ActivityOptions) -> None:
    """Options that were changed elsewhere; those that the activity was scheduled with leave it as it is."""
    changed = msgspec.structs.replace(activity)
    _assign(changed, options)
    if changed != activity:
        set_options(activity, options, keeps_priority=True)


def _assign(activity: Activity, options: ActivityOptions) -> None:
    policy = options.retry_policy
    activity.queue = options.task_queue.name
    activity.schedule_to_close = nanos(options.schedule_to_close_timeout)
    activity.schedule_to_start = nanos(options.schedule_to_start_timeout)
    activity.start_to_close = nanos(options.start_to_close_timeout)
    activity.heartbeat = nanos(options.heartbeat_timeout)
    activity.retry_initial, activity.retry_maximum = nanos(policy.initial_interval), nanos(policy.maximum_interval)
    activity.retry_coefficient, activity.retry_attempts = policy.backoff_coefficient, policy.maximum_attempts


def original_options(activity: Activity) -> ActivityOptions:
    """The options that the activity was scheduled with."""
    return ActivityOptions.FromString(activity.original) if activity.original else options_of(activity)


def as_scheduled(activity: Activity) -> Activity:
    """A copy with the options that it was scheduled with: what its history knows."""
    copy = msgspec.structs.replace(activity)
    set_options(copy, original_options(activity))
    copy.original = b""
    return copy


def merged(activity: Activity, changes: ActivityOptions, paths: Collection[str], id_limit: int) -> ActivityOptions:
    """The present options with those of ``changes`` that ``paths`` (of a field mask) name. Unknown paths do nothing.

    Raises INVALID_ARGUMENT if a path leads into a message that is not there, or if the result cannot be.
    """
    names = {_snake(path) for path in paths}
    options = options_of(activity)
    _merge_parts(options, changes, names, "task_queue")
    for name in _WHOLE:
        if name in names:
            _take(options, changes, name)
    _merge_parts(options, changes, names, "priority")
    if "retry_policy" in names:
        _require(changes, "retry_policy")
        _take(options, changes, "retry_policy")
    if _merge_parts(options, changes, names, "retry_policy"):
        wrong = problem(options.retry_policy, filled=True)
        if wrong is not None:
            raise invalid_argument(wrong)
    return _adjusted(activity, options, id_limit)


def _snake(path: str) -> str:
    """A mask may name fields as in the protocol's text or as in its JSON."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in path)


def _take(options: ActivityOptions, changes: ActivityOptions, name: str) -> None:
    options.ClearField(name)  # type: ignore[arg-type]  # the callers name fields
    if changes.HasField(name):  # type: ignore[arg-type]
        getattr(options, name).CopyFrom(getattr(changes, name))


def _require(changes: ActivityOptions, name: str) -> None:
    if not changes.HasField(name):  # type: ignore[arg-type]  # the callers name fields
        raise invalid_argument(f"{_MISSING[name]} is not provided")


def _merge_parts(options: ActivityOptions, changes: ActivityOptions, names: Collection[str], name: str) -> bool:
    """Take over single fields of a message. True if there were any."""
    wanted = [part for part in _PARTS[name] if f"{name}.{part}" in names]
    if wanted:
        _require(changes, name)
    into: Message = getattr(options, name)
    given: Message = getattr(changes, name)
    for part in wanted:
        into.ClearField(part)
        value = getattr(given, part)
        if not isinstance(value, Message):
            setattr(into, part, value)
        elif given.HasField(part):
            getattr(into, part).CopyFrom(value)
    return bool(wanted)


def _adjusted(activity: Activity, options: ActivityOptions, id_limit: int) -> ActivityOptions:
    """Checked as if the activity were scheduled so, each timeout filled from the others."""
    asked = ScheduleActivityTaskCommandAttributes(
        activity_id=activity.activity_id,
        activity_type=ActivityType(name=activity.activity_type),
        task_queue=options.task_queue,
    )
    for name in _TIMEOUTS:
        getattr(asked, name).CopyFrom(getattr(options, name))
    try:
        activities.check(asked, id_limit)
        timeouts = activities.timeouts(asked, 0)
    except TaskFailed as error:
        raise invalid_argument(error.problem) from error
    for name, value in zip(_TIMEOUTS, timeouts, strict=True):
        getattr(options, name).CopyFrom(duration(value))
    return options
