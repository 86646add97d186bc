"""Requests that the server refuses: status, message and details."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy as ConflictPolicy
from temporalio.api.enums.v1 import WorkflowIdReusePolicy as ReusePolicy
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, complete_workflow

NEGATIVE = Duration(seconds=-1)
LONG = "x" * 1001


async def scenario_bad_start_names(env: Env) -> None:
    cases: dict[str, dict[str, Any]] = {
        "unknown namespace": {"namespace": "no-such-namespace"},
        "empty namespace": {"namespace": ""},
        "empty workflow id": {"workflow_id": ""},
        "long workflow id": {"workflow_id": LONG},
        "no type": {"workflow_type": None},
        "empty type": {"workflow_type": WorkflowType()},
        "long type": {"workflow_type": WorkflowType(name=LONG)},
        "no queue": {"task_queue": None},
        "empty queue": {"task_queue": TaskQueue()},
        "long queue": {"task_queue": TaskQueue(name=LONG)},
        "reserved queue": {"task_queue": TaskQueue(name="/_sys/mine")},
        "long request id": {"request_id": LONG},
    }
    for name, fields in cases.items():
        workflow_id = fields.pop("workflow_id", env.id(name.replace(" ", "-")))
        await env.outcome(name, env.start_raw(workflow_id, **fields))


async def scenario_bad_start_times(env: Env) -> None:
    cases: dict[str, dict[str, Any]] = {
        "execution timeout": {"workflow_execution_timeout": NEGATIVE},
        "run timeout": {"workflow_run_timeout": NEGATIVE},
        "task timeout": {"workflow_task_timeout": NEGATIVE},
        "delay": {"workflow_start_delay": NEGATIVE},
        "cron and delay": {"cron_schedule": "@every 1s", "workflow_start_delay": Duration(seconds=1)},
    }
    crons = ["bad", "* * * *", "61 * * * *", "@every", "@every -1s", "CRON_TZ=Nowhere/City * * * * *"]
    for name, fields in cases.items():
        await env.outcome(name, env.start_raw(env.id(name.replace(" ", "-")), **fields))
    for number, cron in enumerate(crons):
        await env.outcome(f"cron {cron}", env.start_raw(env.id(f"cron{number}"), cron_schedule=cron))


async def scenario_good_crons(env: Env) -> None:
    """Accepted schedules; their wait is computed from the clock and compared in no other way."""
    for number, cron in enumerate(["@hourly", "0 12 * * 1-5", "@every 90s", "CRON_TZ=Europe/Paris 0 0 1 1 *"]):
        workflow_id = env.id(f"w{number}")
        response = await env.start_raw(workflow_id, cron_schedule=cron)
        env.record(cron, [response.started, response.status])
        events = (await env.fetch_history(workflow_id)).events
        started = events[0].workflow_execution_started_event_attributes
        env.record("event", [len(events), started.cron_schedule, started.first_workflow_task_backoff.seconds > 0])
        await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_bad_start_retry_policies(env: Env) -> None:
    second = Duration(seconds=1)
    policies = {
        "initial": RetryPolicy(initial_interval=NEGATIVE),
        "coefficient": RetryPolicy(initial_interval=second, backoff_coefficient=0.5),
        "maximum": RetryPolicy(initial_interval=second, maximum_interval=NEGATIVE),
        "maximum below initial": RetryPolicy(initial_interval=Duration(seconds=9), maximum_interval=second),
        "attempts": RetryPolicy(initial_interval=second, maximum_attempts=-1),
        "timeout type": RetryPolicy(initial_interval=second, non_retryable_error_types=["TemporalTimeout:x"]),
    }
    for name, policy in policies.items():
        await env.outcome(name, env.start_raw(env.id(name.replace(" ", "-")), retry_policy=policy))


async def scenario_bad_start_policies(env: Env) -> None:
    terminate = ReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    reject = ReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    for name in ("FAIL", "USE_EXISTING", "TERMINATE_EXISTING"):
        conflict = ConflictPolicy.Value(f"WORKFLOW_ID_CONFLICT_POLICY_{name}")
        for reuse in (terminate, reject):
            fields: dict[str, Any] = {"workflow_id_conflict_policy": conflict, "workflow_id_reuse_policy": reuse}
            await env.outcome(f"{name} and {reuse}", env.start_raw(env.id(f"w{conflict}{reuse}"), **fields))


async def scenario_odd_starts_that_are_accepted(env: Env) -> None:
    """No request id, a long identity, a sticky queue, an id of exactly the limit."""
    cases: dict[str, dict[str, Any]] = {
        "no-request-id": {"request_id": ""},
        "long-identity": {"identity": LONG},
        "sticky-queue": {"task_queue": TaskQueue(name=env.queue, kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY)},
    }
    for name, fields in cases.items():
        workflow_id = env.id(name)
        await env.outcome(name, env.start_raw(workflow_id, **fields))
        await env.history(workflow_id)
    longest = env.unique("longest").ljust(1000, "x")
    await env.outcome("longest id", env.start_raw(longest))


Request = Callable[[WorkflowExecution | None], Awaitable[Any]]


def _requests(env: Env) -> dict[str, Request]:
    """Each RPC that names an execution."""

    def with_execution(rpc: Any, request_type: Any, field: str, **fields: Any) -> Request:
        async def call(execution: WorkflowExecution | None) -> Any:
            named: dict[str, Any] = {"namespace": NAMESPACE, field: execution, **fields}
            return await rpc(request_type(**named), timeout=seconds(10))

        return call

    rpc = env.rpc
    query = WorkflowQuery(query_type="q")
    return {
        "describe": with_execution(
            rpc.describe_workflow_execution, service.DescribeWorkflowExecutionRequest, "execution"
        ),
        "history": with_execution(
            rpc.get_workflow_execution_history, service.GetWorkflowExecutionHistoryRequest, "execution"
        ),
        "reverse history": with_execution(
            rpc.get_workflow_execution_history_reverse, service.GetWorkflowExecutionHistoryReverseRequest, "execution"
        ),
        "query": with_execution(rpc.query_workflow, service.QueryWorkflowRequest, "execution", query=query),
        "signal": with_execution(
            rpc.signal_workflow_execution, service.SignalWorkflowExecutionRequest, "workflow_execution", signal_name="s"
        ),
        "cancel": with_execution(
            rpc.request_cancel_workflow_execution, service.RequestCancelWorkflowExecutionRequest, "workflow_execution"
        ),
        "terminate": with_execution(
            rpc.terminate_workflow_execution, service.TerminateWorkflowExecutionRequest, "workflow_execution"
        ),
        "reset sticky": with_execution(rpc.reset_sticky_task_queue, service.ResetStickyTaskQueueRequest, "execution"),
    }


async def _each(env: Env, execution: WorkflowExecution | None) -> None:
    for name, call in _requests(env).items():
        await env.outcome(name, call(execution))


async def scenario_bad_execution_unset(env: Env) -> None:
    await _each(env, None)


async def scenario_bad_execution_empty(env: Env) -> None:
    await _each(env, WorkflowExecution())


async def scenario_bad_execution_unknown_id(env: Env) -> None:
    await _each(env, WorkflowExecution(workflow_id=env.id("nobody")))


async def scenario_bad_execution_long_id(env: Env) -> None:
    await _each(env, WorkflowExecution(workflow_id=LONG))


async def scenario_bad_execution_bad_run_id(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await _each(env, WorkflowExecution(workflow_id=workflow_id, run_id="not-a-uuid"))


async def scenario_bad_execution_unknown_run_id(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await _each(env, WorkflowExecution(workflow_id=workflow_id, run_id=str(uuid.uuid4())))


async def scenario_bad_execution_closed(env: Env) -> None:
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    await RawWorker(env).run_task(complete_workflow())
    requests = _requests(env)
    for name in ("signal", "cancel", "terminate", "reset sticky"):
        await env.outcome(name, requests[name](WorkflowExecution(workflow_id=workflow_id)))
        run = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        await env.outcome(f"{name} of the run", requests[name](run))


async def scenario_bad_namespaces(env: Env) -> None:
    """Every family of requests in a namespace that does not exist, and in none."""
    queue = TaskQueue(name=env.queue)
    execution = WorkflowExecution(workflow_id="w")
    for name in ("no-such-namespace", ""):
        await env.outcome(
            "describe",
            env.rpc.describe_workflow_execution(
                service.DescribeWorkflowExecutionRequest(namespace=name, execution=execution)
            ),
        )
        await env.outcome(
            "signal",
            env.rpc.signal_workflow_execution(
                service.SignalWorkflowExecutionRequest(namespace=name, workflow_execution=execution, signal_name="s")
            ),
        )
        await env.outcome(
            "poll workflow task",
            env.rpc.poll_workflow_task_queue(service.PollWorkflowTaskQueueRequest(namespace=name, task_queue=queue)),
        )
        await env.outcome(
            "poll activity task",
            env.rpc.poll_activity_task_queue(service.PollActivityTaskQueueRequest(namespace=name, task_queue=queue)),
        )
        listing = service.ListWorkflowExecutionsRequest(namespace=name)
        await env.outcome("list", env.rpc.list_workflow_executions(listing))
        await env.outcome("namespace", env.rpc.describe_namespace(service.DescribeNamespaceRequest(namespace=name)))


async def scenario_bad_polls(env: Env) -> None:
    for queue in (None, TaskQueue(), TaskQueue(name=LONG), TaskQueue(name="/_sys/x")):
        await env.outcome(
            "workflow",
            env.rpc.poll_workflow_task_queue(
                service.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=queue), timeout=seconds(3)
            ),
        )
        await env.outcome(
            "activity",
            env.rpc.poll_activity_task_queue(
                service.PollActivityTaskQueueRequest(namespace=NAMESPACE, task_queue=queue), timeout=seconds(3)
            ),
        )
    short = service.PollWorkflowTaskQueueRequest(namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue))
    await env.outcome("deadline too short", env.rpc.poll_workflow_task_queue(short, timeout=seconds(1)))


TOKEN_REQUESTS: dict[str, Any] = {
    "respond_workflow_task_completed": service.RespondWorkflowTaskCompletedRequest,
    "respond_workflow_task_failed": service.RespondWorkflowTaskFailedRequest,
    "respond_query_task_completed": service.RespondQueryTaskCompletedRequest,
    "respond_activity_task_completed": service.RespondActivityTaskCompletedRequest,
    "respond_activity_task_failed": service.RespondActivityTaskFailedRequest,
    "respond_activity_task_canceled": service.RespondActivityTaskCanceledRequest,
    "record_activity_task_heartbeat": service.RecordActivityTaskHeartbeatRequest,
}


async def scenario_bad_task_tokens(env: Env) -> None:
    for name, request in TOKEN_REQUESTS.items():
        for token in (b"", b"bad"):
            call = getattr(env.rpc, name)(request(namespace=NAMESPACE, task_token=token))
            await env.outcome(f"{name} {token}", call)


BY_ID_REQUESTS: dict[str, Any] = {
    "respond_activity_task_completed_by_id": service.RespondActivityTaskCompletedByIdRequest,
    "respond_activity_task_failed_by_id": service.RespondActivityTaskFailedByIdRequest,
    "respond_activity_task_canceled_by_id": service.RespondActivityTaskCanceledByIdRequest,
    "record_activity_task_heartbeat_by_id": service.RecordActivityTaskHeartbeatByIdRequest,
}


async def scenario_bad_activity_ids(env: Env) -> None:
    open_id, closed_id = env.id("open"), env.id("closed")
    await env.start_raw(closed_id)
    await env.client.get_workflow_handle(closed_id).terminate()
    await env.start_raw(open_id)
    cases: dict[str, dict[str, str]] = {
        "nothing": {},
        "no activity": {"workflow_id": open_id},
        "no workflow": {"activity_id": "1"},
        "unknown workflow": {"workflow_id": env.id("nobody"), "activity_id": "1"},
        "unknown run": {"workflow_id": open_id, "run_id": str(uuid.uuid4()), "activity_id": "1"},
        "bad run": {"workflow_id": open_id, "run_id": "bad", "activity_id": "1"},
        "unknown activity": {"workflow_id": open_id, "activity_id": "1"},
        "closed": {"workflow_id": closed_id, "activity_id": "1"},
    }
    for name, request in BY_ID_REQUESTS.items():
        for case, fields in cases.items():
            call = getattr(env.rpc, name)(request(namespace=NAMESPACE, **fields))
            await env.outcome(f"{name}: {case}", call)


async def scenario_bad_signals_and_queries(env: Env) -> None:
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    execution = WorkflowExecution(workflow_id=workflow_id)
    for name in ("", LONG):
        request = service.SignalWorkflowExecutionRequest(
            namespace=NAMESPACE, workflow_execution=execution, signal_name=name
        )
        await env.outcome("signal", env.rpc.signal_workflow_execution(request))
    for query in (None, WorkflowQuery()):
        asked = service.QueryWorkflowRequest(namespace=NAMESPACE, execution=execution, query=query)
        await env.outcome("query", env.rpc.query_workflow(asked))
    await env.client.get_workflow_handle(workflow_id).terminate()
    never = service.QueryWorkflowRequest(namespace=NAMESPACE, execution=execution, query=WorkflowQuery(query_type="q"))
    await env.outcome("query of a run without a completed task", env.rpc.query_workflow(never))


async def scenario_bad_signal_with_start(env: Env) -> None:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_type": WorkflowType(name="Raw"),
        "task_queue": TaskQueue(name=env.queue),
        "signal_name": "s",
        "workflow_id": env.id(),
    }
    cases: dict[str, dict[str, Any]] = {
        "namespace": {"namespace": ""},
        "id": {"workflow_id": ""},
        "long id": {"workflow_id": LONG},
        "signal": {"signal_name": ""},
        "long signal": {"signal_name": LONG},
        "type": {"workflow_type": None},
        "long type": {"workflow_type": WorkflowType(name=LONG)},
        "queue": {"task_queue": None},
        "long request id": {"request_id": LONG},
        "run timeout": {"workflow_run_timeout": NEGATIVE},
        "cron": {"cron_schedule": "bad"},
        "delay": {"workflow_start_delay": NEGATIVE},
        "retry": {"retry_policy": RetryPolicy(maximum_attempts=-1)},
    }
    for name, fields in cases.items():
        request = service.SignalWithStartWorkflowExecutionRequest(**{**defaults, **fields})
        await env.outcome(name, env.rpc.signal_with_start_workflow_execution(request))


async def scenario_bad_listing(env: Env) -> None:
    for query in ("bad ~~", "NoSuchAttribute = 'x'", "WorkflowId = ", "WorkflowId LIKE 'x'"):
        request = service.ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
        await env.outcome(query, env.rpc.list_workflow_executions(request))
