"""When schedules are due, asked by ListScheduleMatchingTimes. Made-up specs: test_schedule_specs.py."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.schedule.v1 import (
    CalendarSpec,
    IntervalSpec,
    Range,
    Schedule,
    ScheduleAction,
    ScheduleSpec,
    ScheduleState,
    StructuredCalendarSpec,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.mutations import send_each

_HOURLY = ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=3600), phase=Duration(seconds=120))])


def _time(*parts: int) -> Timestamp:
    return Timestamp(seconds=int(datetime(*parts, tzinfo=timezone.utc).timestamp()))  # type: ignore[arg-type]  # year, month, day and perhaps more


async def _create(env: Env, name: str, spec: ScheduleSpec) -> str:
    action = NewWorkflowExecutionInfo(
        workflow_id=env.id(), workflow_type=WorkflowType(name="Any"), task_queue=TaskQueue(name=env.queue)
    )
    schedule = Schedule(spec=spec, action=ScheduleAction(start_workflow=action), state=ScheduleState(paused=True))
    schedule_id = env.id(name)
    request = service.CreateScheduleRequest(
        namespace=NAMESPACE, schedule_id=schedule_id, schedule=schedule, request_id=schedule_id
    )
    await env.rpc.create_schedule(request)
    return schedule_id


def _request(schedule_id: str, start: Timestamp, end: Timestamp) -> service.ListScheduleMatchingTimesRequest:
    return service.ListScheduleMatchingTimesRequest(
        namespace=NAMESPACE, schedule_id=schedule_id, start_time=start, end_time=end
    )


async def _times(env: Env, request: service.ListScheduleMatchingTimesRequest) -> list[str]:
    found = await env.rpc.list_schedule_matching_times(request, timeout=seconds(10))
    return [each.ToJsonString() for each in found.start_time]


async def scenario_schedule_times(env: Env) -> None:
    day = _time(2026, 10, 24, 12), _time(2026, 10, 25, 12)
    specs = {
        "interval": _HOURLY,
        "repeated hours": ScheduleSpec(cron_string=["CRON_TZ=Europe/Berlin */20 * * * *"]),
        "text": ScheduleSpec(calendar=[CalendarSpec(hour="*/6", minute="30-40/5", day_of_week="sat,sun")]),
        "between start and end": ScheduleSpec(
            cron_string=["*/10 * * * *"], start_time=_time(2026, 10, 25), end_time=_time(2026, 10, 25, 1)
        ),
        "nothing": ScheduleSpec(cron_string=["0 0 30 2 *"]),
        "excluded": ScheduleSpec(
            cron_string=["0 * * * *"], exclude_calendar=[CalendarSpec(hour="0-6", minute="*", second="*")]
        ),
    }
    for name, spec in specs.items():
        schedule_id = await _create(env, name.replace(" ", "-"), spec)
        await env.outcome(name, _times(env, _request(schedule_id, *day)))
        await env.outcome(f"{name}, backwards", _times(env, _request(schedule_id, *reversed(day))))


async def scenario_schedule_times_are_a_thousand_at_most(env: Env) -> None:
    schedule_id = await _create(env, "s", _HOURLY)
    times = await _times(env, _request(schedule_id, _time(2026, 1, 1), _time(2027, 1, 1)))
    env.record("times", [len(times), times[0], times[-1]])


async def scenario_schedule_times_that_are_all_excluded(env: Env) -> None:
    bounds = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "month": (1, 12)}
    days = {"day_of_month": (1, 31), "day_of_week": (0, 6)}
    everything = StructuredCalendarSpec()
    for name, (least, most) in (bounds | days).items():
        getattr(everything, name).append(Range(start=least, end=most))
    spec = ScheduleSpec(
        interval=[IntervalSpec(interval=Duration(seconds=1))],
        exclude_structured_calendar=[everything],
        end_time=_time(2026, 3, 1),
    )
    schedule_id = await _create(env, "s", spec)
    # 1,209,599 and 1,209,600 times in a row are excluded until the end.
    for name, start in (
        ("far too many", _time(2026, 1, 1)),
        ("not quite too many", _time(2026, 2, 15, 0, 0, 1)),
        ("one more", _time(2026, 2, 15)),
    ):
        await env.outcome(name, _times(env, _request(schedule_id, start, _time(2027, 1, 1))))


async def scenario_schedule_times_of_none_and_of_an_ended_one(env: Env) -> None:
    schedule_id = await _create(env, "s", _HOURLY)
    day = _time(2026, 1, 1), _time(2026, 1, 1, 3)
    await env.outcome("none", _times(env, _request(env.id("none"), *day)))
    await env.rpc.delete_schedule(service.DeleteScheduleRequest(namespace=NAMESPACE, schedule_id=schedule_id))
    await env.outcome("ended", _times(env, _request(schedule_id, *day)))


async def scenario_mutated_schedule_times(env: Env) -> None:
    schedule_id = await _create(env, "s", _HOURLY)

    async def prepare() -> Message:
        return _request(schedule_id, _time(2026, 1, 1), _time(2026, 1, 1, 3))

    async def call(request: Any) -> Any:
        return await env.rpc.list_schedule_matching_times(request, timeout=seconds(10))

    await send_each(env, prepare, call)


_MEANINGLESS = {
    "too few fields": ScheduleSpec(cron_string=["1 2 3 4"]),
    "no such minute": ScheduleSpec(cron_string=["60 * * * *"]),
    "no step": ScheduleSpec(cron_string=["*/x * * * *"]),
    "no duration": ScheduleSpec(cron_string=["@every 5"]),
    "two zones": ScheduleSpec(cron_string=["TZ=Asia/Tokyo 0 0 * * *"], timezone_name="Europe/Berlin"),
    "no such zone": ScheduleSpec(cron_string=["0 0 * * *"], timezone_name="Mars/Base"),
    "no zone data": ScheduleSpec(cron_string=["0 0 * * *"], timezone_data=b"TZif"),
    "several mistakes": ScheduleSpec(calendar=[CalendarSpec(hour="24", minute="5-1", month="1/2/3")]),
    "ranges": ScheduleSpec(structured_calendar=[StructuredCalendarSpec(hour=[Range(start=24)], year=[Range(end=5)])]),
    "interval": ScheduleSpec(interval=[IntervalSpec(interval=Duration(nanos=5))]),
    "phase": ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=5), phase=Duration(seconds=5))]),
    "excluded": ScheduleSpec(exclude_calendar=[CalendarSpec(day_of_week="moon")]),
}


async def scenario_schedule_specs_that_mean_nothing(env: Env) -> None:
    schedule_id = await _create(env, "s", _HOURLY)
    described = await env.rpc.describe_schedule(
        service.DescribeScheduleRequest(namespace=NAMESPACE, schedule_id=schedule_id)
    )
    for name, spec in _MEANINGLESS.items():
        await env.outcome(name, _create(env, "none", spec))
        described.schedule.spec.CopyFrom(spec)
        update = service.UpdateScheduleRequest(
            namespace=NAMESPACE, schedule_id=schedule_id, schedule=described.schedule, request_id=name
        )
        await env.outcome(f"{name}, in an update", env.rpc.update_schedule(update))
