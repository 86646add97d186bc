"""Schedules: what may be asked, what is shown of them, what is listed."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Header, Memo, Payload, Priority, RetryPolicy, SearchAttributes, WorkflowType
from temporalio.api.enums.v1 import IndexedValueType, ScheduleOverlapPolicy, WorkflowIdReusePolicy
from temporalio.api.schedule.v1 import (
    Schedule,
    SchedulePatch,
    SchedulePolicies,
    ScheduleState,
    TriggerImmediatelyRequest,
)
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    ListSchedulesRequest,
    ListWorkflowExecutionsRequest,
    PatchScheduleRequest,
)
from temporalio.service import RPCError

from compat_tests.env import Env
from compat_tests.raw import payloads
from compat_tests.schedules import (
    YEARLY,
    action,
    at,
    counts,
    create,
    delete,
    describe,
    every,
    name_at,
    patch,
    schedule,
    trigger,
    until,
    update,
)

_BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
_ALLOW_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL


def _text(value: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=f'"{value}"'.encode())


def _attributes(**values: str) -> SearchAttributes:
    return SearchAttributes(indexed_fields={name: _text(value) for name, value in values.items()})


# -- requests ----------------------------------------------------------------------------------------------------------


async def scenario_schedule_requests(env: Env) -> None:
    """What is refused when a schedule is made."""
    cases: dict[str, dict[str, Any]] = {
        "no id": {"schedule_id": ""},
        "long id": {"schedule_id": "x" * 978},
        "no request id": {"request_id": ""},
        "long request id": {"request_id": "x" * 1001},
        "unknown attribute": {"search_attributes": _attributes(Nobody="x")},
        "attribute of the service": {"search_attributes": _attributes(WorkflowType="x")},
        "unknown namespace": {"namespace": env.unique("nowhere")},
        "neither id nor request id": {"schedule_id": "", "request_id": ""},
    }
    for label, fields in cases.items():
        await env.outcome(label, create(env, **fields))


async def scenario_schedule_actions_refused(env: Env) -> None:
    """What is refused of the workflow that is to be started, when a schedule is made and when it is changed."""
    await create(env, name="there")
    allowed = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    refused = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    cases: dict[str, dict[str, Any]] = {
        "no type": {"workflow_type": WorkflowType()},
        "long type": {"workflow_type": WorkflowType(name="x" * 1001)},
        "no queue": {"task_queue": None},
        "queue without name": {"task_queue": TaskQueue()},
        "long queue": {"task_queue": TaskQueue(name="x" * 1001)},
        "long workflow id": {"workflow_id": "x" * 980},
        "cron": {"cron_schedule": "* * * * *"},
        "reuse policy": {"workflow_id_reuse_policy": refused},
        "the usual reuse policy": {"workflow_id_reuse_policy": allowed},
        "negative run timeout": {"workflow_run_timeout": Duration(seconds=-1)},
        "unknown attribute": {"search_attributes": _attributes(Nobody="x")},
        "no id": {"workflow_id": ""},
    }
    for number, (label, fields) in enumerate(cases.items()):
        given = schedule(env, action=action(env, **fields))
        await env.outcome(f"create: {label}", create(env, given, f"s{number}"))
        await env.outcome(f"update: {label}", update(env, given, "there"))


async def scenario_schedule_names(env: Env) -> None:
    """No schedule has the name, or the one that had it was deleted."""
    await create(env)
    await delete(env)
    nothing = SchedulePatch()
    for name in ("schedule", "unknown"):
        await env.outcome(f"describe {name}", describe(env, name))
        await env.outcome(f"patch {name}", patch(env, nothing, name))
        await env.outcome(f"update {name}", update(env, schedule(env), name))
        await env.outcome(f"delete {name}", delete(env, name))
    await env.outcome("describe none", env.rpc.describe_schedule(DescribeScheduleRequest(namespace=env.namespace)))
    await env.outcome("patch none", patch(env, nothing, schedule_id=""))
    await env.outcome("update none", update(env, schedule(env), schedule_id=""))
    await env.outcome("delete none", env.rpc.delete_schedule(DeleteScheduleRequest(namespace=env.namespace)))
    await env.outcome("made anew", create(env))
    env.record("anew", await describe(env))


async def scenario_schedule_same_request(env: Env) -> None:
    """The request that has made it may come again; another one may not."""
    request_id = str(uuid.uuid4())
    await env.outcome("first", create(env, request_id=request_id))
    await env.outcome("again", create(env, request_id=request_id))
    await env.outcome("another", create(env))


async def scenario_schedule_patches_refused(env: Env) -> None:
    """What a patch must be."""
    await create(env)
    unset = PatchScheduleRequest(namespace=env.namespace, schedule_id=env.unique("schedule"))
    await env.outcome("no patch", env.rpc.patch_schedule(unset))
    await env.outcome("long notes", patch(env, SchedulePatch(pause="x" * 1001)))
    await env.outcome("long notes for going on", patch(env, SchedulePatch(unpause="x" * 1001)))
    await env.outcome("long request id", patch(env, SchedulePatch(pause="x"), request_id="x" * 1001))
    await env.outcome("longest notes", patch(env, SchedulePatch(pause="x" * 1000)))
    await env.outcome("nothing to do", patch(env, SchedulePatch()))


# -- what is shown -----------------------------------------------------------------------------------------------------


async def scenario_schedule_defaults(env: Env) -> None:
    """What is not given, and what cannot be as it was given."""
    cases: dict[str, Schedule] = {
        "nothing": Schedule(),
        "no-spec": Schedule(action=action(env)),
        "no-action": Schedule(spec=YEARLY),
        "short-catchup": schedule(env, policies=SchedulePolicies(catchup_window=Duration(seconds=1))),
        "no-catchup": schedule(env, policies=SchedulePolicies(catchup_window=Duration())),
        "unknown-policy": schedule(env, policies=SchedulePolicies(overlap_policy=99)),  # pyright: ignore[reportArgumentType]  (unknown on purpose)
        "limited": schedule(env, state=ScheduleState(limited_actions=True, remaining_actions=3)),
        "no-more-actions": schedule(env, state=ScheduleState(limited_actions=True)),
        "paused": schedule(env, state=ScheduleState(paused=True, notes="not yet")),
    }
    for name, given in cases.items():
        await env.outcome(f"create {name}", create(env, given, name))
        env.record(name, await describe(env, name))


async def scenario_schedule_everything(env: Env) -> None:
    """All that can be given, as it is shown again, and as the workflow gets it."""
    await env.move_to_namespace(
        await env.new_namespace(attributes={"Color": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD})
    )
    given = schedule(
        env,
        action=action(
            env,
            input=payloads('"input"'),
            header=Header(fields={"trace": _text("t1")}),
            memo=Memo(fields={"note": _text("for the workflow")}),
            search_attributes=_attributes(Color="blue"),
            retry_policy=RetryPolicy(maximum_attempts=3),
            workflow_execution_timeout=Duration(seconds=3600),
            workflow_run_timeout=Duration(seconds=600),
            workflow_task_timeout=Duration(seconds=20),
            user_metadata=UserMetadata(summary=_text("a summary"), details=_text("details")),
            priority=Priority(priority_key=2),
        ),
        policies=SchedulePolicies(
            overlap_policy=_BUFFER_ALL,
            catchup_window=Duration(seconds=3600),
            pause_on_failure=True,
            keep_original_workflow_id=True,
        ),
        state=ScheduleState(paused=True, notes="some notes"),
    )
    memo = Memo(fields={"note": _text("for the schedule")})
    await env.outcome("create", create(env, given, memo=memo, search_attributes=_attributes(Color="red")))
    env.record("described", await describe(env))
    await trigger(env, 0)
    env.record("triggered", await until(env, counts(1), "a start"))
    await env.history(name_at(env, 0))
    workflows = ListWorkflowExecutionsRequest(
        namespace=env.namespace, query=f"TemporalScheduledById = '{env.unique('schedule')}'"
    )

    async def listed() -> bool:
        return len((await env.rpc.list_workflow_executions(workflows)).executions) == 1

    await env.until(listed, "the workflow in the list")
    env.record("workflows", await env.rpc.list_workflow_executions(workflows))
    everything = ListSchedulesRequest(namespace=env.namespace)

    async def shown() -> bool:
        found = (await env.rpc.list_schedules(everything)).schedules
        return bool(found) and len(found[0].info.recent_actions) == 1

    await env.until(shown, "the action in the list")
    env.record("schedules", await env.rpc.list_schedules(everything))


async def scenario_schedule_pause(env: Env) -> None:
    """Paused and going on, with notes; each is a change by the conflict token."""
    await create(env)
    for label, given in (
        ("pause", SchedulePatch(pause="a break")),
        ("again", SchedulePatch(pause="a longer break")),
        ("go on", SchedulePatch(unpause="enough")),
        ("both", SchedulePatch(pause="stop", unpause="go")),
    ):
        token = (await describe(env)).conflict_token
        await patch(env, given)
        env.record(label, await until(env, lambda found, token=token: found.conflict_token != token, label))


async def scenario_schedule_initial_patch(env: Env) -> None:
    """What is asked for together with the schedule."""
    now = TriggerImmediatelyRequest(scheduled_time=at(0))
    await create(env, initial_patch=SchedulePatch(pause="at once", trigger_immediately=now))
    env.record("described", await until(env, counts(1), "a start"))


async def scenario_schedule_update(env: Env) -> None:
    """Another schedule in its place: what is kept, and what an old conflict token does."""
    await env.move_to_namespace(
        await env.new_namespace(
            attributes={
                "Color": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
                "Shape": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
            }
        )
    )
    await create(env, search_attributes=_attributes(Color="red"), memo=Memo(fields={"note": _text("n")}))
    await trigger(env, 0)
    await until(env, counts(1), "a start")

    async def change(label: str, given: Schedule, **fields: Any) -> None:
        token = (await describe(env)).conflict_token
        await env.outcome(f"update: {label}", update(env, given, **fields))
        await until(env, lambda found: found.conflict_token != token, label)
        env.record(label, await describe(env))

    other = schedule(env, spec=every(7200), policies=SchedulePolicies(overlap_policy=_ALLOW_ALL))
    await change("another spec", other)
    await change("paused", schedule(env, state=ScheduleState(paused=True, notes="by an update")))
    await change("attributes", other, search_attributes=_attributes(Shape="round"))
    await change("the right token", other, conflict_token=(await describe(env)).conflict_token)
    await change("no token", other, conflict_token=b"short")
    await change("no attributes", other, search_attributes=SearchAttributes())
    await env.outcome("update: nothing", update(env, Schedule()))
    await env.outcome("update: no action", update(env, Schedule(spec=YEARLY)))
    await env.outcome("memo", update(env, other, memo=Memo(fields={"note": _text("new")})))


async def scenario_schedule_old_token(env: Env) -> None:
    """An update that was made of an older state does nothing. (The real server tells nobody, ours the caller.)"""
    await create(env)
    old = (await describe(env)).conflict_token
    await patch(env, SchedulePatch(pause="a break"))
    await until(env, lambda found: found.conflict_token != old, "a pause")
    with contextlib.suppress(RPCError):
        await update(env, schedule(env, spec=every(7200)), conflict_token=old)
    await patch(env, SchedulePatch(pause="behind it"))
    env.record("described", await until(env, lambda found: found.schedule.state.notes == "behind it", "a patch"))


async def scenario_schedule_deleted(env: Env) -> None:
    """What it has started goes on."""
    await create(env)
    await trigger(env, 0)
    await until(env, counts(1), "a start")
    await delete(env)
    await env.outcome("describe", describe(env))
    description = await env.client.get_workflow_handle(name_at(env, 0)).describe()
    env.record("status", description.status)
    await create(env)
    env.record("anew", await describe(env))


# -- lists -------------------------------------------------------------------------------------------------------------

_QUERIES = (
    "",
    "TemporalSchedulePaused = true",
    "TemporalSchedulePaused = false",
    "SchedulePaused = true",
    "Color = 'red'",
    "Color = 'red' AND TemporalSchedulePaused = true",
    "Color != 'red'",
    "Color IS NULL",
    "NOT (Color = 'red')",
    "Color IN ('red', 'blue')",
    "WorkflowId = 'x'",
    "ExecutionStatus = 'Running'",
    "TemporalNamespaceDivision = 'TemporalScheduler'",
    "TemporalScheduledById = 'x'",
    "StartTime > '2020-01-01T00:00:00Z'",
    "Nobody = 1",
    "Color",
    "GROUP BY ExecutionStatus",
    "GROUP BY TemporalSchedulePaused",
    "GROUP BY Color",
    "ORDER BY StartTime",
    "ORDER BY Color",
    "LIMIT 3",
    "foo bar",
    "Color = 1",
    "Color = 'red' OR",
)


async def scenario_schedule_lists(env: Env) -> None:
    """Queries, as lists and counts answer them; what lists show."""
    await env.move_to_namespace(
        await env.new_namespace(attributes={"Color": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD})
    )
    await create(env, name="a", search_attributes=_attributes(Color="red"))
    paused = schedule(env, state=ScheduleState(paused=True, notes="a note"))
    await create(env, paused, "b", search_attributes=_attributes(Color="red"), memo=Memo(fields={"k": _text("v")}))
    await create(env, Schedule(), "c", search_attributes=_attributes(Color="blue"))
    await create(env, name="d")
    await create(env, name="deleted")
    await delete(env, "deleted")
    queries = [*_QUERIES, *(each.replace("?", env.unique("a")) for each in _OF_IDS)]

    async def settled() -> bool:
        # On the real server the list lags behind.
        count = CountSchedulesRequest(namespace=env.namespace, query="TemporalSchedulePaused = true")
        everything = CountSchedulesRequest(namespace=env.namespace)
        return [(await env.rpc.count_schedules(each)).count for each in (count, everything)] == [1, 4]

    await env.until(settled, "the lists")
    for query in queries:
        await env.outcome(f"list {query}", _listed(env, query))
        await env.outcome(
            f"count {query}", env.rpc.count_schedules(CountSchedulesRequest(namespace=env.namespace, query=query))
        )
    whole = await env.rpc.list_schedules(ListSchedulesRequest(namespace=env.namespace))
    env.record("entries", sorted(whole.schedules, key=lambda each: each.schedule_id))


_OF_IDS = (
    "ScheduleId = '?'",
    "TemporalScheduleId = '?'",
    "ScheduleId != '?'",
    "NOT ScheduleId = '?'",
    "ScheduleId IN ('?', 'x')",
    "ScheduleId NOT IN ('?', 'x')",
    "ScheduleId STARTS_WITH 'a-'",
    "ScheduleId IS NULL",
    "ScheduleId IS NOT NULL",
    "ScheduleId = 'nothing'",
)


async def _listed(env: Env, query: str) -> list[str]:
    found = await env.rpc.list_schedules(ListSchedulesRequest(namespace=env.namespace, query=query))
    return sorted(each.schedule_id for each in found.schedules)


async def scenario_schedule_pages(env: Env) -> None:
    """Page by page, the newest first."""
    await env.move_to_namespace(await env.new_namespace())
    for name in "abcde":
        await create(env, name=name)

    async def all_there() -> bool:
        return len(await _listed(env, "")) == 5

    await env.until(all_there, "five schedules")
    token, first = b"", True
    while token or first:
        request = ListSchedulesRequest(namespace=env.namespace, maximum_page_size=2, next_page_token=token)
        page = await env.rpc.list_schedules(request)
        env.record("page", [each.schedule_id for each in page.schedules])
        token, first = page.next_page_token, False


async def scenario_schedule_division(env: Env) -> None:
    """Lists of workflows show schedules only if they are asked for their division."""
    await env.move_to_namespace(await env.new_namespace())
    await create(env)

    async def there() -> bool:
        return len(await _listed(env, "")) == 1

    await env.until(there, "the schedule")
    for query in ("", "TemporalNamespaceDivision = 'TemporalScheduler'", "TemporalSchedulePaused = false"):
        request = ListWorkflowExecutionsRequest(namespace=env.namespace, query=query)
        found = (await env.rpc.list_workflow_executions(request)).executions
        env.record(f"workflows {query}", [(each.execution.workflow_id, each.type.name, each.status) for each in found])
