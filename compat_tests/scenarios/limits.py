"""What a run, a request and a payload may be at most: refused, failed or terminated beyond that."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    CancelWorkflowExecutionCommandAttributes,
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ContinueAsNewWorkflowExecutionCommandAttributes,
    FailWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
    RecordMarkerCommandAttributes,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
    UpsertWorkflowSearchAttributesCommandAttributes,
)
from temporalio.api.common.v1 import (
    Header,
    Link,
    Memo,
    Payload,
    Payloads,
    SearchAttributes,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, command, schedule_activity, start_timer
from compat_tests.raw_updates import terminate, update_request
from compat_tests.targets import IDENTITY, small_limits

PLAIN = {"encoding": b"json/plain"}


def _payload(size: int) -> Payload:
    return Payload(metadata=PLAIN, data=b'"' + b"x" * size + b'"')


LARGE = Payloads(payloads=[_payload(1100)])
MEDIUM = Payloads(payloads=[_payload(900)])


def _signal(workflow_id: str, given: Payloads | None = None) -> service.SignalWorkflowExecutionRequest:
    execution = WorkflowExecution(workflow_id=workflow_id)
    return service.SignalWorkflowExecutionRequest(
        namespace=NAMESPACE, workflow_execution=execution, signal_name="s", input=given, identity=IDENTITY
    )


@small_limits
async def scenario_limit_blobs_of_requests(env: Env) -> None:
    await env.outcome("start", env.start_raw(env.id("a"), input=LARGE))
    await env.outcome("header", env.start_raw(env.id("c"), header=Header(fields={"a": _payload(1100)})))
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await env.outcome("signal", env.rpc.signal_workflow_execution(_signal(workflow_id, LARGE)))
    query = service.QueryWorkflowRequest(
        namespace=NAMESPACE,
        execution=WorkflowExecution(workflow_id=workflow_id),
        query=WorkflowQuery(query_type="q", query_args=LARGE),
    )
    await env.outcome("query", env.rpc.query_workflow(query, timeout=seconds(5)))
    fields: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_type": WorkflowType(name="Raw"),
        "task_queue": TaskQueue(name=env.queue),
        "signal_name": "s",
        "workflow_id": workflow_id,
    }
    for name in ("signal_input", "input"):
        given: dict[str, Any] = {**fields, name: LARGE}
        request = service.SignalWithStartWorkflowExecutionRequest(**given)
        await env.outcome(f"signal with start: {name}", env.rpc.signal_with_start_workflow_execution(request))
    await env.history(workflow_id)


async def _activity(env: Env, name: str, rpc: Any, request: Any, **fields: Any) -> None:
    """Answer an activity with something large; record the answer, what is pending, and the history."""
    workflow_id, worker = env.id(name.replace(" ", "-")), RawWorker(env, env.unique(f"queue of {name}"))
    await env.start_raw(workflow_id, task_queue=worker.task_queue)
    await worker.run_task(schedule_activity(env, task_queue=worker.task_queue))
    task = await worker.poll_activity()
    await env.outcome(name, rpc(request(namespace=NAMESPACE, task_token=task.task_token, identity=IDENTITY, **fields)))
    described = await env.client.get_workflow_handle(workflow_id).describe()
    pending = described.raw_description.pending_activities
    env.record(f"{name}: pending", [[each.last_failure, each.heartbeat_details] for each in pending])
    await env.history(workflow_id, f"{name}: history")
    await terminate(env, workflow_id)


def _failure(size: int, *, non_retryable: bool = True, **fields: Any) -> Failure:
    info = ApplicationFailureInfo(type="T", non_retryable=non_retryable, details=LARGE)
    return Failure(message="y" * size, application_failure_info=info, **fields)


@small_limits
async def scenario_limit_blobs_of_activities(env: Env) -> None:
    rpc, complete = env.rpc, service.RespondActivityTaskCompletedRequest
    fail = service.RespondActivityTaskFailedRequest
    await _activity(env, "result", rpc.respond_activity_task_completed, complete, result=LARGE)
    failing = rpc.respond_activity_task_failed
    await _activity(env, "failure", failing, fail, failure=_failure(1100))
    await _activity(env, "details", failing, fail, failure=_failure(5, source="src", stack_trace="t" * 1100))
    await _activity(env, "cause", failing, fail, failure=_failure(5, cause=Failure(message="z" * 1100)))
    await _activity(env, "no retry", failing, fail, failure=_failure(5, non_retryable=False))
    retried = Failure(message="x", application_failure_info=ApplicationFailureInfo(type="T"))
    await _activity(env, "last details", failing, fail, failure=retried, last_heartbeat_details=LARGE)
    canceled = service.RespondActivityTaskCanceledRequest
    await _activity(env, "canceled", rpc.respond_activity_task_canceled, canceled, details=LARGE)
    beat = service.RecordActivityTaskHeartbeatRequest
    await _activity(env, "heartbeat", rpc.record_activity_task_heartbeat, beat, details=LARGE)


async def scenario_limit_failure_of_an_attempt(env: Env) -> None:
    """Of a failure that is tried again only a part is kept."""
    for name, size, trace in (("message", 5000, 0), ("both", 3000, 3000), ("small", 100, 100)):
        info = ApplicationFailureInfo(type="T")
        failure = Failure(message="y" * size, source="s", stack_trace="t" * trace, application_failure_info=info)
        fail = service.RespondActivityTaskFailedRequest
        await _activity(env, name, env.rpc.respond_activity_task_failed, fail, failure=failure)


async def _answers(env: Env, commands: dict[str, list[Command]]) -> None:
    """Give each list of commands to a fresh workflow; record the answer and the history."""
    for name, answers in commands.items():
        workflow_id, worker = env.id(name.replace(" ", "-")), RawWorker(env, env.unique(f"queue of {name}"))
        await env.start_raw(workflow_id, task_queue=worker.task_queue)
        await env.outcome(name, worker.complete(await worker.poll(), *answers))
        await env.history(workflow_id, f"{name}: history")


def _command(kind: str, attributes: Message) -> Command:
    fields: dict[str, Message] = {f"{kind.lower()}_command_attributes": attributes}
    return command(kind, **fields)


@small_limits
async def scenario_limit_blobs_of_commands(env: Env) -> None:
    nobody = WorkflowExecution(workflow_id=env.id("nobody"))
    child = StartChildWorkflowExecutionCommandAttributes(
        workflow_id="c", workflow_type=WorkflowType(name="C"), input=LARGE
    )
    signal = SignalExternalWorkflowExecutionCommandAttributes(execution=nobody, signal_name="s", input=LARGE)
    two = {"a": Payloads(payloads=[_payload(600)]), "b": Payloads(payloads=[_payload(600)])}
    attributes = SearchAttributes(indexed_fields={"BatcherUser": _payload(1100)})
    large: dict[str, Message] = {
        "COMPLETE_WORKFLOW_EXECUTION": CompleteWorkflowExecutionCommandAttributes(result=LARGE),
        "FAIL_WORKFLOW_EXECUTION": FailWorkflowExecutionCommandAttributes(failure=Failure(message="x" * 1100)),
        "CANCEL_WORKFLOW_EXECUTION": CancelWorkflowExecutionCommandAttributes(details=LARGE),
        "RECORD_MARKER": RecordMarkerCommandAttributes(marker_name="m", details=two),
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION": ContinueAsNewWorkflowExecutionCommandAttributes(input=LARGE),
        "START_CHILD_WORKFLOW_EXECUTION": child,
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION": signal,
        "MODIFY_WORKFLOW_PROPERTIES": ModifyWorkflowPropertiesCommandAttributes(
            upserted_memo=Memo(fields={"a": _payload(1100)})
        ),
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": UpsertWorkflowSearchAttributesCommandAttributes(
            search_attributes=attributes
        ),
    }
    commands = {kind: [_command(kind, given)] for kind, given in large.items()}
    await _answers(env, {**commands, "activity": [schedule_activity(env, input=LARGE)]})


@small_limits
async def scenario_limit_failures_of_workflow_tasks(env: Env) -> None:
    for name, cause, failure in (
        ("large", "WORKFLOW_WORKER_UNHANDLED_FAILURE", "x" * 1100),
        ("payloads", "PAYLOADS_TOO_LARGE", "x"),
        ("message", "GRPC_MESSAGE_TOO_LARGE", "x"),
    ):
        workflow_id, worker = env.id(name), RawWorker(env, env.unique(f"queue of {name}"))
        await env.start_raw(workflow_id, task_queue=worker.task_queue)
        await env.outcome(name, worker.fail(await worker.poll(), failure, cause))
        await env.history(workflow_id, f"{name}: history")


@small_limits
async def scenario_limit_of_what_is_pending(env: Env) -> None:
    nobody, queue = WorkflowExecution(workflow_id=env.id("nobody")), TaskQueue(name=env.unique("other queue"))
    signal = SignalExternalWorkflowExecutionCommandAttributes(execution=nobody, signal_name="s")
    cancel = RequestCancelExternalWorkflowExecutionCommandAttributes(workflow_id=nobody.workflow_id)

    def child(number: int) -> Command:
        attributes = StartChildWorkflowExecutionCommandAttributes(
            workflow_id=env.id(f"child{number}"), workflow_type=WorkflowType(name="C"), task_queue=queue
        )
        return _command("START_CHILD_WORKFLOW_EXECUTION", attributes)

    commands = {
        "activities": [schedule_activity(env, str(number), task_queue=queue) for number in range(4)],
        "children": [child(number) for number in range(4)],
        "signals": [_command("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", signal)] * 4,
        "cancels": [_command("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", cancel)] * 4,
    }
    await _answers(env, commands)


@small_limits
async def scenario_limit_history_count_by_commands(env: Env) -> None:
    await _answers(env, {"many": [start_timer(str(number), 100) for number in range(70)]})


@small_limits
async def scenario_limit_history_count_by_signals(env: Env) -> None:
    """The last event that comes from outside is not counted yet."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(*[start_timer(str(number), 100) for number in range(54)])
    for number in range(4):
        await env.outcome(f"signal {number}", env.rpc.signal_workflow_execution(_signal(workflow_id)))
    await env.history(workflow_id)


@small_limits
async def scenario_limit_history_count_with_a_task_in_flight(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    for _ in range(19):
        await env.rpc.signal_workflow_execution(_signal(workflow_id))
    task = await worker.poll()
    env.record("suggested", task.history.events[-1])
    for _ in range(19):
        await env.rpc.signal_workflow_execution(_signal(workflow_id))
    await env.outcome("answer", worker.complete(task, *[start_timer(str(number), 100) for number in range(30)]))
    await env.history(workflow_id)


@small_limits
async def scenario_limit_history_size(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    marker = RecordMarkerCommandAttributes(marker_name="m", details={"a": MEDIUM})
    await worker.run_task(*[_command("RECORD_MARKER", marker)] * 10)
    await env.rpc.signal_workflow_execution(_signal(workflow_id))
    task = await worker.poll()
    env.record("suggested", task.history.events[-1])
    await env.outcome("more", worker.complete(task, *[_command("RECORD_MARKER", marker)] * 30))
    await env.outcome("signal", env.rpc.signal_workflow_execution(_signal(workflow_id)))
    await env.outcome("another", env.rpc.signal_workflow_execution(_signal(workflow_id)))
    await env.history(workflow_id)


@small_limits
async def scenario_limit_payloads_of_updates(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    request = update_request(workflow_id)
    request.request.input.args.CopyFrom(LARGE)
    await env.outcome("large", env.rpc.update_workflow_execution(request, timeout=seconds(5)))
    await env.history(workflow_id)


def _link(size: int = 1) -> Link:
    return Link(workflow_event=Link.WorkflowEvent(namespace=NAMESPACE, workflow_id="w" * size, run_id="r"))


async def scenario_limit_links(env: Env) -> None:
    await env.outcome("eleven", env.start_raw(env.id("a"), links=[_link()] * 11))
    await env.outcome("ten", env.start_raw(env.id("b"), links=[_link()] * 10))
    await env.outcome("large", env.start_raw(env.id("c"), links=[_link(4000)]))


async def scenario_limit_request_of_five_megabytes(env: Env) -> None:
    large = Payloads(payloads=[_payload(5 * 1024 * 1024)])
    await env.outcome("start", env.start_raw(env.id(), input=large))
    memo = Memo(fields={"a": _payload(2 * 1024 * 1024)})
    await env.outcome("memo", env.start_raw(env.id("memo"), memo=memo))


async def scenario_limit_search_attributes(env: Env) -> None:
    values = {
        "size": {"BatcherUser": _payload(2100)},
        "type": {"BatcherUser": Payload(metadata=PLAIN, data=b"5")},
        "list": {"BatcherUser": Payload(metadata=PLAIN, data=b'["a", "b"]')},
        "one": {"BatcherUser": Payload(metadata=PLAIN, data=b'["a"]')},
        "no list": {"BuildIds": Payload(metadata=PLAIN, data=b'"a"')},
        "number in list": {"BuildIds": Payload(metadata=PLAIN, data=b"[5, 1.5]")},
        "object": {"BuildIds": Payload(metadata=PLAIN, data=b'{"b": true, "a": null}')},
        "time": {"TemporalScheduledStartTime": _payload(3)},
        "good time": {"TemporalScheduledStartTime": Payload(metadata=PLAIN, data=b'"2020-01-01T00:00:00Z"')},
        "boolean": {"TemporalSchedulePaused": _payload(3)},
        "no JSON": {"BatcherUser": Payload(metadata=PLAIN, data=b"bad")},
        "no encoding": {"BatcherUser": Payload(data=b'"x"')},
        "null": {"BatcherUser": Payload(metadata=PLAIN, data=b"null")},
        "system": {"WorkflowType": _payload(3)},
    }
    for name, fields in values.items():
        workflow_id = env.id(name.replace(" ", "-"))
        started = await env.outcome(
            name, env.start_raw(workflow_id, search_attributes=SearchAttributes(indexed_fields=fields))
        )
        if isinstance(started, service.StartWorkflowExecutionResponse):
            env.record("event", (await env.fetch_history(workflow_id)).events[0])


async def scenario_memo_entries_that_stand_for_nothing(env: Env) -> None:
    nothing = {"null": b"null", "list": b"[]", "empty": b"", "space": b" null", "object": b"{}"}
    fields = {name: Payload(metadata=PLAIN, data=data) for name, data in nothing.items()}
    fields["by encoding"] = Payload(metadata={"encoding": b"binary/null"}, data=b"x")
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, memo=Memo(fields=fields))
    attributes = ModifyWorkflowPropertiesCommandAttributes(
        upserted_memo=Memo(fields={"space": fields["list"], "object": fields["null"], "new": _payload(3)})
    )
    await worker.run_task(_command("MODIFY_WORKFLOW_PROPERTIES", attributes))
    described = await env.client.get_workflow_handle(workflow_id).describe()
    env.record("memo", described.raw_description.workflow_execution_info.memo)
    await env.history(workflow_id)
