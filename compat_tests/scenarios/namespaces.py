"""Namespaces: the registry, and that nothing crosses from one to another."""

from __future__ import annotations

import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import ArchivalState, NamespaceState
from temporalio.api.namespace.v1 import (
    BadBinaries,
    NamespaceConfig,
    NamespaceFilter,
    UpdateNamespaceInfo,
)
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Request, WaitPolicy
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker, command, complete_workflow, schedule_activity
from compat_tests.scenarios.core import Hello, greet

_DAY = Duration(seconds=86_400)
_NAMES = ("a b", "x.y", "UPPER")
"""Names that look odd. (The server takes every name, but fails later with most that have punctuation.)"""


def _register(name: str, **fields: Any) -> service.RegisterNamespaceRequest:
    defaults: dict[str, Any] = {"workflow_execution_retention_period": _DAY}
    return service.RegisterNamespaceRequest(namespace=name, **{**defaults, **fields})


def _described(response: Any) -> dict[str, Any]:
    """What this project answers as a Temporal server does: everything but the capabilities."""
    info = response.namespace_info
    return {
        "name": info.name,
        "state": info.state,
        "id": info.id,
        "description": info.description,
        "owner": info.owner_email,
        "data": dict(info.data),
        "limits": info.limits,
        "config": response.config,
        "replication": response.replication_config,
        "global": response.is_global_namespace,
    }


async def _describe(env: Env, label: str, name: str) -> None:
    response = await env.rpc.describe_namespace(service.DescribeNamespaceRequest(namespace=name))
    env.record(label, _described(response))


async def scenario_namespace_register(env: Env) -> None:
    name = env.unique("full")
    request = _register(
        name,
        description="what it is for",
        owner_email="me@example.com",
        data={"key": "value", "other": ""},
        workflow_execution_retention_period=Duration(seconds=100_000, nanos=5_000_000),
        security_token="token",
        clusters=[ClusterReplicationConfig(cluster_name="active")],
        active_cluster_name="active",
        history_archival_state=ArchivalState.ARCHIVAL_STATE_ENABLED,
        visibility_archival_uri="file:///nowhere",
    )
    await env.outcome("register", env.rpc.register_namespace(request))
    await _describe(env, "described", name)
    await env.outcome("again", env.rpc.register_namespace(request))
    await env.outcome("default", env.rpc.register_namespace(_register("default")))
    await env.outcome("system", env.rpc.register_namespace(_register("temporal-system")))


async def scenario_namespace_register_refused(env: Env) -> None:
    bad: dict[str, dict[str, Any]] = {
        "no name": {"namespace": ""},
        "long name": {"namespace": "x" * 1001},
        "no retention": {"workflow_execution_retention_period": None},
        "retention of 0": {"workflow_execution_retention_period": Duration()},
        "short retention": {"workflow_execution_retention_period": Duration(seconds=3599)},
        "negative retention": {"workflow_execution_retention_period": Duration(seconds=-1)},
        "global": {"is_global_namespace": True},
        "cluster": {"clusters": [ClusterReplicationConfig(cluster_name="nope")]},
        "active cluster": {"active_cluster_name": "nope"},
    }
    for label, fields in bad.items():
        given: dict[str, Any] = {"namespace": env.unique("bad"), "workflow_execution_retention_period": _DAY, **fields}
        await env.outcome(label, env.rpc.register_namespace(service.RegisterNamespaceRequest(**given)))
    name = env.unique("hour")
    hour = Duration(seconds=3600)
    await env.outcome("one hour", env.rpc.register_namespace(_register(name, workflow_execution_retention_period=hour)))


async def scenario_namespace_odd_names(env: Env) -> None:
    """Runs in namespaces whose names could be mistaken for something else in a key."""
    for odd in _NAMES:
        name = await env.new_namespace(f"{odd}x")
        request = env.start_request(env.id("w"), namespace=name)
        await env.outcome(f"start in {odd}", _started(env, request))
        execution = WorkflowExecution(workflow_id=request.workflow_id)
        described = await env.rpc.describe_workflow_execution(
            service.DescribeWorkflowExecutionRequest(namespace=name, execution=execution)
        )
        env.record(f"status in {odd}", described.workflow_execution_info.status)
        poll = service.PollWorkflowTaskQueueRequest(namespace=name, task_queue=TaskQueue(name=env.queue))
        task = await env.rpc.poll_workflow_task_queue(poll, timeout=seconds(30))
        answer = service.RespondWorkflowTaskCompletedRequest(
            namespace=name, task_token=task.task_token, commands=[complete_workflow()]
        )
        await env.outcome(f"complete in {odd}", env.rpc.respond_workflow_task_completed(answer))


async def _started(env: Env, request: service.StartWorkflowExecutionRequest) -> bool:
    return (await env.rpc.start_workflow_execution(request)).started


async def scenario_namespace_describe(env: Env) -> None:
    name = await env.new_namespace()
    found = await env.rpc.describe_namespace(service.DescribeNamespaceRequest(namespace=name))
    namespace_id = found.namespace_info.id
    by_id = await env.rpc.describe_namespace(service.DescribeNamespaceRequest(id=namespace_id))
    env.record("by id", _described(by_id))
    for label, request in {
        "neither": service.DescribeNamespaceRequest(),
        "both": service.DescribeNamespaceRequest(id=namespace_id, namespace=name),
        "unknown": service.DescribeNamespaceRequest(namespace=env.unique("unknown")),
        "unknown id": service.DescribeNamespaceRequest(id=str(uuid.UUID(int=7))),
        "short id": service.DescribeNamespaceRequest(id="nope"),
        "odd id": service.DescribeNamespaceRequest(id="0" * 35 + "x"),
    }.items():
        await env.outcome(label, env.rpc.describe_namespace(request))
    await _describe(env, "default", "default")


async def scenario_namespace_list(env: Env) -> None:
    """All pages together have every namespace once; those of other scenarios are left out."""
    mine = sorted([await env.new_namespace(f"listed{number}") for number in range(3)])
    seen: list[str] = []
    token = b""
    while True:
        request = service.ListNamespacesRequest(page_size=2, next_page_token=token)
        response = await env.rpc.list_namespaces(request)
        seen += [each.namespace_info.name for each in response.namespaces]
        token = response.next_page_token
        if not token:
            break
    env.record("mine", sorted(name for name in seen if name in mine))
    env.record("from the start", [seen.count("default"), seen.count("temporal-system")])
    env.record("each once", len(seen) == len(set(seen)))
    whole = await env.rpc.list_namespaces(service.ListNamespacesRequest())
    env.record("described", [_described(each) for each in whole.namespaces if each.namespace_info.name == mine[0]])
    await env.outcome("negative", env.rpc.list_namespaces(service.ListNamespacesRequest(page_size=-1)))


def _change(name: str, **fields: Any) -> service.UpdateNamespaceRequest:
    return service.UpdateNamespaceRequest(namespace=name, **fields)


async def scenario_namespace_update(env: Env) -> None:
    name = await env.new_namespace()
    changes: dict[str, dict[str, Any]] = {
        "nothing": {},
        "description": {"update_info": UpdateNamespaceInfo(description="second")},
        "owner": {"update_info": UpdateNamespaceInfo(owner_email="you")},
        "data": {"update_info": UpdateNamespaceInfo(data={"a": "1", "b": "2"})},
        "more data": {"update_info": UpdateNamespaceInfo(data={"b": "", "c": "3"})},
        "retention": {"config": NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=7200))},
        "archive": {"config": NamespaceConfig(history_archival_uri="file:///x")},
        "no bad binaries": {"config": NamespaceConfig(bad_binaries=BadBinaries())},
        "cluster": {"replication_config": NamespaceReplicationConfig(active_cluster_name="active")},
        "state": {"update_info": UpdateNamespaceInfo(state=NamespaceState.NAMESPACE_STATE_REGISTERED)},
    }
    for label, fields in changes.items():
        env.record(label, _described(await env.rpc.update_namespace(_change(name, **fields))))
    await _describe(env, "afterwards", name)


async def scenario_namespace_update_refused(env: Env) -> None:
    name = await env.new_namespace()
    bad: dict[str, service.UpdateNamespaceRequest] = {
        "no name": _change(""),
        "unknown": _change(env.unique("unknown")),
        "retention": _change(name, config=NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=10))),
        "no retention": _change(name, config=NamespaceConfig(workflow_execution_retention_ttl=Duration())),
        "state": _change(name, update_info=UpdateNamespaceInfo(state=7)),  # pyright: ignore[reportArgumentType]
        "promote": _change(name, promote_namespace=True),
        "active": _change(name, replication_config=NamespaceReplicationConfig(active_cluster_name="nope")),
        "binary": _change(name, delete_bad_binary="nope"),
    }
    for label, request in bad.items():
        await env.outcome(label, env.rpc.update_namespace(request))
    await _describe(env, "afterwards", name)


async def scenario_namespace_deprecate(env: Env) -> None:
    name = await env.new_namespace()
    old = env.start_request(env.id("old"), namespace=name)
    await env.rpc.start_workflow_execution(old)
    deprecate = service.DeprecateNamespaceRequest(namespace=name)
    await env.outcome("deprecate", env.rpc.deprecate_namespace(deprecate))
    await env.outcome("again", env.rpc.deprecate_namespace(deprecate))
    await env.outcome("none", env.rpc.deprecate_namespace(service.DeprecateNamespaceRequest()))
    unknown = service.DeprecateNamespaceRequest(namespace=env.unique("unknown"))
    await env.outcome("unknown", env.rpc.deprecate_namespace(unknown))
    await _describe(env, "described", name)

    async def refuses() -> bool:
        try:
            await env.rpc.start_workflow_execution(env.start_request(env.id(uuid.uuid4().hex), namespace=name))
        except Exception:
            return True
        return False

    await env.until(refuses, "the namespace to be known as deprecated")
    await env.outcome("start", env.rpc.start_workflow_execution(env.start_request(env.id("new"), namespace=name)))
    signal_with_start = service.SignalWithStartWorkflowExecutionRequest(
        namespace=name,
        workflow_id=env.id("new"),
        workflow_type=WorkflowType(name="Raw"),
        task_queue=TaskQueue(name=env.queue),
        signal_name="s",
    )
    await env.outcome("signal with start", env.rpc.signal_with_start_workflow_execution(signal_with_start))
    signal = service.SignalWorkflowExecutionRequest(
        namespace=name, workflow_execution=WorkflowExecution(workflow_id=old.workflow_id), signal_name="s"
    )
    await env.outcome("signal the one that runs", env.rpc.signal_workflow_execution(signal))
    info = UpdateNamespaceInfo(state=NamespaceState.NAMESPACE_STATE_REGISTERED)
    await env.outcome("back", env.rpc.update_namespace(_change(name, update_info=info)))


async def scenario_namespace_marked_deleted(env: Env) -> None:
    name = await env.new_namespace()
    info = UpdateNamespaceInfo(state=NamespaceState.NAMESPACE_STATE_DELETED)
    env.record("mark", _described(await env.rpc.update_namespace(_change(name, update_info=info))))
    listing = service.ListWorkflowExecutionsRequest(namespace=name)

    async def refuses() -> bool:
        try:
            await env.rpc.list_workflow_executions(listing)
        except Exception:
            return True
        return False

    await env.until(refuses, "the namespace to be known as deleted")
    await env.outcome("list", env.rpc.list_workflow_executions(listing))
    await env.outcome("start", env.rpc.start_workflow_execution(env.start_request(env.id(), namespace=name)))
    await env.outcome("update", env.rpc.update_namespace(_change(name)))
    operator = env.client.operator_service
    attributes = ListSearchAttributesRequest(namespace=name)
    await env.outcome("attributes", operator.list_search_attributes(attributes))
    await _describe(env, "described", name)
    for label, request in {
        "listed": service.ListNamespacesRequest(page_size=1000),
        "listed with deleted": service.ListNamespacesRequest(
            page_size=1000, namespace_filter=NamespaceFilter(include_deleted=True)
        ),
    }.items():
        response = await env.rpc.list_namespaces(request)
        env.record(label, [each.namespace_info.name for each in response.namespaces].count(name))


async def scenario_namespace_same_ids(env: Env) -> None:
    """The same workflow id and task queue in two namespaces are two workflows and two queues."""
    first, second = await env.new_namespace("first"), await env.new_namespace("second")
    workflow_id = env.id("same")
    clients = [await env.client_of(first), await env.client_of(second)]
    async with env.worker(Hello, activities=[greet], client=clients[0]):
        result = await clients[0].execute_workflow(Hello.run, "one", id=workflow_id, task_queue=env.queue)
        env.record("result in the first", result)
        handle = await clients[1].start_workflow(Hello.run, "two", id=workflow_id, task_queue=env.queue)
        async with env.worker(Hello, activities=[greet], client=clients[1]):
            await env.outcome("result in the second", handle.result())

    async def both_listed() -> bool:
        return all([(await client.count_workflows("ExecutionStatus = 'Completed'")).count == 1 for client in clients])

    await env.until(both_listed, "both to be listed as completed")
    for client, name in zip(clients, ("first", "second"), strict=True):
        listed = [each async for each in client.list_workflows(f"WorkflowId = '{workflow_id}'")]
        env.record(f"listed in the {name}", [[each.status, each.namespace] for each in listed])
        count = await client.count_workflows("ExecutionStatus = 'Completed'")
        env.record(f"counted in the {name}", count.count)
    default = [each.id async for each in env.client.list_workflows(f"WorkflowId = '{workflow_id}'")]
    env.record("listed in the default one", default)
    for number, client in enumerate(clients):
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        env.record(f"history {number + 1}", list(history.events))


async def scenario_namespace_all_requests(env: Env) -> None:
    """A workflow of one namespace is not there in another one."""
    await env.move_to_namespace(await env.new_namespace("home"))
    other = await env.new_namespace("other")
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    by_id, exactly = (
        WorkflowExecution(workflow_id=workflow_id),
        WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
    )
    rpc = env.rpc
    for label, execution in {"by id": by_id, "exactly": exactly}.items():
        named: dict[str, Any] = {"namespace": other, "workflow_execution": execution}
        requests: dict[str, tuple[Any, Message]] = {
            "describe": (
                rpc.describe_workflow_execution,
                service.DescribeWorkflowExecutionRequest(namespace=other, execution=execution),
            ),
            "history": (
                rpc.get_workflow_execution_history,
                service.GetWorkflowExecutionHistoryRequest(namespace=other, execution=execution),
            ),
            "signal": (rpc.signal_workflow_execution, service.SignalWorkflowExecutionRequest(signal_name="s", **named)),
            "cancel": (
                rpc.request_cancel_workflow_execution,
                service.RequestCancelWorkflowExecutionRequest(**named),
            ),
            "terminate": (rpc.terminate_workflow_execution, service.TerminateWorkflowExecutionRequest(**named)),
            "query": (
                rpc.query_workflow,
                service.QueryWorkflowRequest(namespace=other, execution=execution, query=WorkflowQuery(query_type="q")),
            ),
            "update": (
                rpc.update_workflow_execution,
                service.UpdateWorkflowExecutionRequest(
                    request=Request(meta=Meta(update_id="u"), input=Input(name="u")),
                    wait_policy=WaitPolicy(lifecycle_stage=2),  # pyright: ignore[reportArgumentType]
                    **named,
                ),
            ),
        }
        for name, (call, request) in requests.items():
            await env.outcome(f"{name} {label}", call(request))
    await env.history(workflow_id)


async def scenario_namespace_task_tokens(env: Env) -> None:
    """A token of one namespace is refused with a request of another."""
    await env.move_to_namespace(await env.new_namespace("home"))
    other = await env.new_namespace("other")
    await env.start_raw(env.id())
    raw = RawWorker(env)
    task = await raw.poll()
    for name in (other, env.unique("unknown")):
        await env.outcome(
            f"complete in {name}",
            env.rpc.respond_workflow_task_completed(
                service.RespondWorkflowTaskCompletedRequest(namespace=name, task_token=task.task_token)
            ),
        )
        await env.outcome(
            f"fail in {name}",
            env.rpc.respond_workflow_task_failed(
                service.RespondWorkflowTaskFailedRequest(namespace=name, task_token=task.task_token)
            ),
        )
    await raw.complete(task, schedule_activity(env))
    activity = await raw.poll_activity()
    env.record("namespace of the activity", activity.workflow_namespace)
    token = activity.task_token
    for name in (other, env.unique("unknown")):
        for label, call, kind in (
            ("heartbeat", env.rpc.record_activity_task_heartbeat, service.RecordActivityTaskHeartbeatRequest),
            ("complete", env.rpc.respond_activity_task_completed, service.RespondActivityTaskCompletedRequest),
            ("fail", env.rpc.respond_activity_task_failed, service.RespondActivityTaskFailedRequest),
            ("cancel", env.rpc.respond_activity_task_canceled, service.RespondActivityTaskCanceledRequest),
        ):
            given: Any = kind(namespace=name, task_token=token)
            await env.outcome(f"{label} activity in {name}", call(given))  # pyright: ignore[reportUnknownArgumentType]
    without = service.RespondActivityTaskCompletedRequest(task_token=token)
    await env.outcome("complete activity without a namespace", env.rpc.respond_activity_task_completed(without))


async def scenario_namespace_page_tokens(env: Env) -> None:
    """A page token of a history is of no use in another namespace, even for the same workflow id."""
    await env.move_to_namespace(await env.new_namespace("home"))
    other = await env.new_namespace("other")
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await env.start_raw(workflow_id, namespace=other)
    await RawWorker(env).run_task(complete_workflow())
    execution = WorkflowExecution(workflow_id=workflow_id)
    fields: dict[str, Any] = {"execution": execution, "maximum_page_size": 1}
    page = await env.rpc.get_workflow_execution_history(
        service.GetWorkflowExecutionHistoryRequest(namespace=env.namespace, **fields)
    )
    foreign = service.GetWorkflowExecutionHistoryRequest(
        namespace=other, next_page_token=page.next_page_token, **fields
    )
    await env.outcome("history", env.rpc.get_workflow_execution_history(foreign))
    reverse = await env.rpc.get_workflow_execution_history_reverse(
        service.GetWorkflowExecutionHistoryReverseRequest(namespace=env.namespace, **fields)
    )
    foreign_reverse = service.GetWorkflowExecutionHistoryReverseRequest(
        namespace=other, next_page_token=reverse.next_page_token, **fields
    )
    await env.outcome("reverse", env.rpc.get_workflow_execution_history_reverse(foreign_reverse))


def _child(namespace: str, workflow_id: str) -> Command:
    attributes = StartChildWorkflowExecutionCommandAttributes(
        namespace=namespace, workflow_id=workflow_id, workflow_type=WorkflowType(name="Raw")
    )
    return command("START_CHILD_WORKFLOW_EXECUTION", start_child_workflow_execution_command_attributes=attributes)


def _signal(namespace: str, workflow_id: str) -> Command:
    attributes = SignalExternalWorkflowExecutionCommandAttributes(
        namespace=namespace, execution=WorkflowExecution(workflow_id=workflow_id), signal_name="s"
    )
    return command(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", signal_external_workflow_execution_command_attributes=attributes
    )


def _cancel(namespace: str, workflow_id: str) -> Command:
    attributes = RequestCancelExternalWorkflowExecutionCommandAttributes(namespace=namespace, workflow_id=workflow_id)
    return command(
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION",
        request_cancel_external_workflow_execution_command_attributes=attributes,
    )


async def scenario_namespace_commands(env: Env) -> None:
    """Commands reach their own namespace only."""
    await env.move_to_namespace(await env.new_namespace("home"))
    other = await env.new_namespace("other")
    target = env.id("target")
    await env.start_raw(target, namespace=other)
    for label, make in {"child": _child, "signal": _signal, "cancel": _cancel}.items():
        for where, namespace in {"other": other, "unknown": env.unique("unknown")}.items():
            workflow_id, queue = env.id(f"{label}-{where}"), env.unique(f"queue-{label}-{where}")
            await env.start_raw(workflow_id, task_queue=TaskQueue(name=queue))
            raw = RawWorker(env, queue)
            task = await raw.poll()
            await env.outcome(f"{label} to the {where} one", raw.complete(task, make(namespace, target)))
            await env.history(workflow_id)


async def scenario_namespace_own_commands(env: Env) -> None:
    """A child, a signal and a cancellation in the workflow's own namespace, which the commands name."""
    await env.move_to_namespace(await env.new_namespace("home"))
    parent, child = env.id("parent"), env.id("child")
    await env.start_raw(parent)
    raw = RawWorker(env)
    queue = env.unique("child queue")
    start = _child(env.namespace, child)
    start.start_child_workflow_execution_command_attributes.task_queue.name = queue
    await raw.run_task(start)
    await env.wait_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await RawWorker(env, queue).run_task()
    await raw.run_task(_signal(env.namespace, child), _cancel(env.namespace, child))
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await env.wait_event(parent, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED")
    await env.wait_event(child, "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await env.wait_event(child, "WORKFLOW_EXECUTION_SIGNALED")
    events = (await env.fetch_history(child)).events
    env.record("child", sorted(each.event_type for each in events))
    env.record("started", events[0])
    mine = (await env.fetch_history(parent)).events
    env.record("parent", [each for each in mine if each.event_id <= 6])


async def scenario_namespace_multi_operation(env: Env) -> None:
    """Both operations must be for the namespace of the request."""
    home, other = await env.new_namespace("home"), await env.new_namespace("other")
    operation = service.ExecuteMultiOperationRequest.Operation
    for label, start, update in (
        ("start in another", other, home),
        ("update in another", home, other),
        ("start in none", "", home),
        ("start in an unknown one", env.unique("unknown"), home),
    ):
        update_request = service.UpdateWorkflowExecutionRequest(
            namespace=update,
            workflow_execution=WorkflowExecution(workflow_id=env.id("w")),
            request=Request(meta=Meta(update_id="u"), input=Input(name="u")),
            wait_policy=WaitPolicy(lifecycle_stage=2),  # pyright: ignore[reportArgumentType]
        )
        request = service.ExecuteMultiOperationRequest(
            namespace=home,
            operations=[
                operation(start_workflow=env.start_request(env.id("w"), namespace=start)),
                operation(update_workflow=update_request),
            ],
        )
        await env.outcome(label, env.rpc.execute_multi_operation(request))


async def scenario_namespace_long_and_unknown(env: Env) -> None:
    """Names that are no namespace, in requests of several families."""
    for label, name in {"long": "x" * 1001, "unknown": env.unique("unknown")}.items():
        await env.outcome(f"start {label}", env.rpc.start_workflow_execution(env.start_request("w", namespace=name)))
        listing = service.ListWorkflowExecutionsRequest(namespace=name)
        await env.outcome(f"list {label}", env.rpc.list_workflow_executions(listing))
        queue = service.DescribeTaskQueueRequest(namespace=name, task_queue=TaskQueue(name="q"))
        await env.outcome(f"task queue {label}", env.rpc.describe_task_queue(queue))
        operator = env.client.operator_service
        attributes = AddSearchAttributesRequest(namespace=name, search_attributes={"A": 2})  # pyright: ignore[reportArgumentType]
        await env.outcome(f"attributes {label}", operator.add_search_attributes(attributes))
    env.record("default", NAMESPACE)
