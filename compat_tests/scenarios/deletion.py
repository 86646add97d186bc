"""Deletion of executions and namespaces: what is left, what others get to know, and that the id is free again."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.namespace.v1 import NamespaceFilter
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest, DeleteNamespaceResponse
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.update.v1 import Input, Meta, Request
from temporalio.api.workflowservice import v1 as service
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import ParentClosePolicy

from compat_tests.env import Env, seconds
from compat_tests.raw import RawWorker, complete_workflow, schedule_activity
from compat_tests.scenarios.core import Hello, greet


@workflow.defn
class Waits:
    """Waits for ever, after so many runs of its chain."""

    @workflow.run
    async def run(self, runs: int = 0) -> str:
        if runs:
            workflow.continue_as_new(runs - 1)
        await workflow.wait_condition(lambda: False)
        return "never"


@workflow.defn
class Guardian:
    """Starts a child and tells how it ended."""

    @workflow.run
    async def run(self, child_id: str, policy: int) -> str:
        child = await workflow.start_child_workflow(
            Waits.run, 0, id=child_id, parent_close_policy=ParentClosePolicy(policy)
        )
        try:
            return await child
        except Exception as error:
            return f"{error!r} because of {error.__cause__!r}"


async def _delete(env: Env, workflow_id: str, run_id: str = "", **fields: Any) -> None:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    given: dict[str, Any] = {"namespace": env.namespace, "workflow_execution": execution, **fields}
    await env.rpc.delete_workflow_execution(service.DeleteWorkflowExecutionRequest(**given))


async def _describe(env: Env, workflow_id: str, run_id: str = "") -> Any:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    request = service.DescribeWorkflowExecutionRequest(namespace=env.namespace, execution=execution)
    return await env.rpc.describe_workflow_execution(request)


async def _listed(env: Env, workflow_id: str) -> list[Any]:
    request = service.ListWorkflowExecutionsRequest(namespace=env.namespace, query=f"WorkflowId = '{workflow_id}'")
    return [each.execution for each in (await env.rpc.list_workflow_executions(request)).executions]


async def _gone(env: Env, workflow_id: str, run_id: str) -> None:
    """Wait until a run is neither found nor listed: it is deleted in the background."""

    async def is_gone() -> bool:
        try:
            await _describe(env, workflow_id, run_id)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return all(each.run_id != run_id for each in await _listed(env, workflow_id))
        return False

    await env.until(is_gone, f"{workflow_id} is deleted")


async def _after(env: Env, workflow_id: str, run_id: str) -> None:
    """Everything that can be asked of a run that was deleted."""
    await _gone(env, workflow_id, run_id)
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    named = WorkflowExecution(workflow_id=workflow_id)
    for label, meant in {"run": execution, "id": named}.items():
        asked: dict[str, Any] = {"namespace": env.namespace, "workflow_execution": meant}
        await env.outcome(f"describe {label}", _describe(env, meant.workflow_id, meant.run_id))
        await env.outcome(
            f"history {label}",
            env.rpc.get_workflow_execution_history(
                service.GetWorkflowExecutionHistoryRequest(namespace=env.namespace, execution=meant)
            ),
        )
        await env.outcome(f"delete {label}", _delete(env, meant.workflow_id, meant.run_id))
        signal = service.SignalWorkflowExecutionRequest(signal_name="go", **asked)
        await env.outcome(f"signal {label}", env.rpc.signal_workflow_execution(signal))
        cancel = service.RequestCancelWorkflowExecutionRequest(**asked)
        await env.outcome(f"cancel {label}", env.rpc.request_cancel_workflow_execution(cancel))
        terminate = service.TerminateWorkflowExecutionRequest(**asked)
        await env.outcome(f"terminate {label}", env.rpc.terminate_workflow_execution(terminate))
        reset = service.ResetWorkflowExecutionRequest(
            workflow_task_finish_event_id=3, request_id=str(uuid.uuid4()), **asked
        )
        await env.outcome(f"reset {label}", env.rpc.reset_workflow_execution(reset))
        query = service.QueryWorkflowRequest(
            namespace=env.namespace, execution=meant, query=WorkflowQuery(query_type="__stack_trace")
        )
        await env.outcome(f"query {label}", env.rpc.query_workflow(query))
        update = service.UpdateWorkflowExecutionRequest(
            request=Request(meta=Meta(update_id="u"), input=Input(name="u")), **asked
        )
        await env.outcome(f"update {label}", env.rpc.update_workflow_execution(update))


async def scenario_delete_refused(env: Env) -> None:
    run_id = str(uuid.uuid4())
    bad: dict[str, dict[str, Any]] = {
        "nothing": {"workflow_execution": None},
        "no id": {"workflow_execution": WorkflowExecution()},
        "odd run id": {"workflow_execution": WorkflowExecution(workflow_id="x", run_id="x")},
        "unknown id": {"workflow_execution": WorkflowExecution(workflow_id=env.id("unknown"))},
        "unknown run": {"workflow_execution": WorkflowExecution(workflow_id=env.id("unknown"), run_id=run_id)},
        "long id": {"workflow_execution": WorkflowExecution(workflow_id="x" * 1001)},
        "no namespace": {"namespace": ""},
        "unknown namespace": {"namespace": env.unique("nowhere")},
    }
    for label, fields in bad.items():
        await env.outcome(label, _delete(env, env.id("any"), **fields))


async def scenario_delete_running(env: Env) -> None:
    """Nobody has ever taken its first task; the message of it is still in the queue."""
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    await env.outcome("delete", _delete(env, workflow_id))
    await _after(env, workflow_id, run_id)
    worker = RawWorker(env)
    again = await env.start_raw(workflow_id, workflow_id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE)
    env.record("again", again)
    task = await worker.run_task(complete_workflow())
    env.record("task of the new run", [task.workflow_execution.run_id == again.run_id, task.attempt])
    await env.history(workflow_id)


async def scenario_delete_running_by_run_id(env: Env) -> None:
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    await env.outcome("delete", _delete(env, workflow_id, run_id))
    await _after(env, workflow_id, run_id)


async def scenario_delete_completed(env: Env) -> None:
    async with env.worker(Hello, activities=[greet]):
        handle = await env.client.start_workflow(Hello.run, "x", id=env.id(), task_queue=env.queue)
        await handle.result()
    run_id = handle.first_execution_run_id or ""
    await env.outcome("delete", _delete(env, handle.id))
    await _after(env, handle.id, run_id)
    await env.outcome("result", env.client.get_workflow_handle(handle.id).result())


async def scenario_delete_in_the_hands_of_workers(env: Env) -> None:
    """Answers to tasks of a run that is gone."""
    worker = RawWorker(env)
    first, second = env.id("first"), env.id("second")
    run_id = (await env.start_raw(first)).run_id
    task = await worker.poll()
    await _delete(env, first)
    await _gone(env, first, run_id)
    await env.outcome("complete", worker.complete(task))
    await env.outcome("fail", worker.fail(task))

    run_id = (await env.start_raw(second)).run_id
    await worker.run_task(schedule_activity(env))
    activity = await worker.poll_activity()
    await _delete(env, second)
    await _gone(env, second, run_id)
    await env.outcome("complete activity", worker.complete_activity(activity))
    beat = service.RecordActivityTaskHeartbeatRequest(namespace=env.namespace, task_token=activity.task_token)
    await env.outcome("heartbeat", env.rpc.record_activity_task_heartbeat(beat))
    by_id = service.RespondActivityTaskCompletedByIdRequest(
        namespace=env.namespace, workflow_id=second, run_id=run_id, activity_id="1"
    )
    await env.outcome("complete by id", env.rpc.respond_activity_task_completed_by_id(by_id))


async def scenario_delete_waiting_tasks(env: Env) -> None:
    """What lies in the task queues for a deleted run is given to nobody."""
    worker = RawWorker(env)
    first, second = env.id("first"), env.id("second")
    run_id = (await env.start_raw(first)).run_id
    await worker.run_task(schedule_activity(env))
    await _delete(env, first)
    await _gone(env, first, run_id)
    await env.start_raw(second)
    await worker.run_task(schedule_activity(env, "mine"))
    activity = await worker.poll_activity()
    env.record("activity", [activity.workflow_execution.workflow_id, activity.activity_id])
    await worker.complete_activity(activity)
    await worker.run_task(complete_workflow())
    await env.history(second)


async def scenario_delete_older_run(env: Env) -> None:
    """The current run of the id stays, and stays the current one."""
    workflow_id = env.id()
    first = (await env.start_raw(workflow_id)).run_id
    await env.client.get_workflow_handle(workflow_id).terminate()
    second = (await env.start_raw(workflow_id)).run_id
    await env.outcome("delete", _delete(env, workflow_id, first))
    await _gone(env, workflow_id, first)
    described = await _describe(env, workflow_id)
    env.record("current", described.workflow_execution_info.execution.run_id == second)
    env.record("status", described.workflow_execution_info.status)
    env.record("listed", len(await _listed(env, workflow_id)))
    await env.history(workflow_id)


async def scenario_delete_current_run_of_a_chain(env: Env) -> None:
    """The runs before stay, but the id has no current run any more."""
    workflow_id = env.id()
    async with env.worker(Waits):
        handle = await env.client.start_workflow(Waits.run, 1, id=workflow_id, task_queue=env.queue)
        first = handle.first_execution_run_id or ""
        await env.wait_event(
            env.client.get_workflow_handle(workflow_id, run_id=first), "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
        )
        await env.settled(workflow_id)
        last = (await _describe(env, workflow_id)).workflow_execution_info.execution.run_id
        await env.outcome("delete", _delete(env, workflow_id))
        await _gone(env, workflow_id, last)
    await env.outcome("describe id", _describe(env, workflow_id))
    env.record("describe first", (await _describe(env, workflow_id, first)).workflow_execution_info.status)
    env.record("listed", len(await _listed(env, workflow_id)))
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=first))
    signal = service.SignalWorkflowExecutionRequest(
        namespace=env.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id), signal_name="go"
    )
    await env.outcome("signal", env.rpc.signal_workflow_execution(signal))
    await env.outcome(
        "start", env.start_raw(workflow_id, workflow_id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE)
    )


async def scenario_delete_first_run_of_a_chain(env: Env) -> None:
    """The chain goes on."""
    workflow_id = env.id()
    async with env.worker(Waits):
        handle = await env.client.start_workflow(Waits.run, 2, id=workflow_id, task_queue=env.queue)
        first = handle.first_execution_run_id or ""
        await env.wait_event(
            env.client.get_workflow_handle(workflow_id, run_id=first), "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
        )

        async def goes_on() -> bool:
            return len(await _listed(env, workflow_id)) == 3

        await env.until(goes_on, "three runs")
        await env.settled(workflow_id)
        await env.outcome("delete", _delete(env, workflow_id, first))
        await _gone(env, workflow_id, first)
        env.record("listed", len(await _listed(env, workflow_id)))
        await env.history(workflow_id)
        # Requests that name the first run of the chain still mean the current one.
        terminate = service.TerminateWorkflowExecutionRequest(
            namespace=env.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            first_execution_run_id=first,
        )
        await env.outcome("terminate", env.rpc.terminate_workflow_execution(terminate))


async def scenario_delete_cron(env: Env) -> None:
    """A deleted run has no next tick."""
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id, cron_schedule="@every 1s")).run_id
    await env.outcome("delete", _delete(env, workflow_id))
    await _gone(env, workflow_id, run_id)
    other = env.id("other")
    start = await env.client.start_workflow("Raw", id=other, task_queue=env.queue, start_delay=timedelta(seconds=1.5))
    await RawWorker(env).run_task(complete_workflow())
    await start.result()
    await env.outcome("no next tick", _describe(env, workflow_id))
    env.record("listed", await _listed(env, workflow_id))


async def _family(env: Env, policy: ParentClosePolicy) -> tuple[str, str]:
    parent, child = env.id(f"parent {policy.name}"), env.id(f"child {policy.name}")
    await env.client.start_workflow(Guardian.run, args=[child, int(policy)], id=parent, task_queue=env.queue)
    await env.wait_event(parent, "CHILD_WORKFLOW_EXECUTION_STARTED")
    await env.settled(parent)
    await env.settled(child)
    return parent, child


async def scenario_delete_child(env: Env) -> None:
    """The parent hears that its child was terminated."""
    async with env.worker(Guardian, Waits):
        parent, child = await _family(env, ParentClosePolicy.TERMINATE)
        run_id = (await _describe(env, child)).workflow_execution_info.execution.run_id
        await _delete(env, child)
        await env.outcome("result", env.client.get_workflow_handle(parent).result())
        await _gone(env, child, run_id)
        await env.history(parent)
        await env.outcome("child", _describe(env, child))


async def scenario_delete_parent(env: Env) -> None:
    """The parent close policy holds."""
    async with env.worker(Guardian, Waits):
        for policy in (ParentClosePolicy.TERMINATE, ParentClosePolicy.ABANDON, ParentClosePolicy.REQUEST_CANCEL):
            parent, child = await _family(env, policy)
            run_id = (await _describe(env, parent)).workflow_execution_info.execution.run_id
            await _delete(env, parent)
            await _gone(env, parent, run_id)
            if policy is not ParentClosePolicy.ABANDON:
                await env.outcome(f"child {policy.name}", env.client.get_workflow_handle(child).result())
            await env.history(child, f"history {policy.name}")
            if policy is ParentClosePolicy.ABANDON:
                await env.client.get_workflow_handle(child).terminate()


async def scenario_delete_completed_parent(env: Env) -> None:
    """A child that was abandoned goes on, and ends without anybody to tell."""
    async with env.worker(Guardian, Waits):
        parent, child = await _family(env, ParentClosePolicy.ABANDON)
        handle = env.client.get_workflow_handle(parent)
        run_id = (await _describe(env, parent)).workflow_execution_info.execution.run_id
        await handle.terminate()
        await _delete(env, parent)
        await _gone(env, parent, run_id)
        await env.client.get_workflow_handle(child).terminate("enough")
        await env.outcome("child", env.client.get_workflow_handle(child).result())
        await env.history(child)
        described = (await _describe(env, child)).workflow_execution_info
        env.record("parent", described.parent_execution)


async def scenario_delete_stays_in_its_namespace(env: Env) -> None:
    """A run of another namespace with the same ids is out of reach."""
    workflow_id = env.id()
    run_id = (await env.start_raw(workflow_id)).run_id
    other = await env.new_namespace()
    await env.outcome("by id", _delete(env, workflow_id, namespace=other))
    await env.outcome("by run", _delete(env, workflow_id, run_id, namespace=other))
    env.record("status", (await _describe(env, workflow_id)).workflow_execution_info.status)


async def scenario_delete_reset_run(env: Env) -> None:
    """The run that a reset has made does not need the one that it was made of."""
    workflow_id = env.id()
    worker = RawWorker(env)
    first = (await env.start_raw(workflow_id)).run_id
    await worker.run_task(complete_workflow())
    reset = service.ResetWorkflowExecutionRequest(
        namespace=env.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        workflow_task_finish_event_id=4,
        request_id=str(uuid.uuid4()),
    )
    second = (await env.rpc.reset_workflow_execution(reset)).run_id
    await _delete(env, workflow_id, first)
    await _gone(env, workflow_id, first)
    await worker.run_task(complete_workflow())
    await env.history(workflow_id)
    await _delete(env, workflow_id)
    await _after(env, workflow_id, second)


# Namespaces.


async def _delete_namespace(env: Env, **fields: Any) -> DeleteNamespaceResponse:
    return await env.client.operator_service.delete_namespace(DeleteNamespaceRequest(**fields), timeout=seconds(20))


async def _namespace_id(env: Env, name: str) -> str:
    found = await env.rpc.describe_namespace(service.DescribeNamespaceRequest(namespace=name))
    return found.namespace_info.id


async def _namespace_gone(env: Env, name: str) -> None:
    async def is_gone() -> bool:
        try:
            await _namespace_id(env, name)
        except RPCError as error:
            return error.status == RPCStatusCode.NOT_FOUND
        return False

    await env.until(is_gone, f"namespace {name} is gone", timeout=60)


def _called(env: Env, name: str, namespace_id: str, deleted: str) -> str:
    """The name that a deleted namespace has got: part of its id makes it another one."""
    env.record("called", deleted == f"{name}-deleted-{namespace_id[:5]}")
    return env.call(deleted, "as deleted")


async def scenario_delete_namespace_refused(env: Env) -> None:
    name = await env.new_namespace()
    bad: dict[str, dict[str, Any]] = {
        "nothing": {},
        "unknown": {"namespace": env.unique("unknown")},
        "unknown id": {"namespace_id": str(uuid.UUID(int=7))},
        "odd id": {"namespace_id": "x"},
        "both": {"namespace": name, "namespace_id": str(uuid.UUID(int=7))},
        "system": {"namespace": "temporal-system"},
        "long": {"namespace": "x" * 1001},
    }
    for label, fields in bad.items():
        await env.outcome(label, _delete_namespace(env, **fields))
    await env.outcome("still there", env.start_raw(env.id(), namespace=name))


async def scenario_delete_namespace(env: Env) -> None:
    """Its name is no longer known, and free again in the end; nothing of what was there comes back."""
    name = await env.new_namespace()
    namespace_id = await _namespace_id(env, name)
    running, closed = env.id("running"), env.id("closed")
    for workflow_id in (running, closed):
        await env.start_raw(workflow_id, namespace=name)
    execution = WorkflowExecution(workflow_id=closed)
    await env.rpc.terminate_workflow_execution(
        service.TerminateWorkflowExecutionRequest(namespace=name, workflow_execution=execution)
    )
    deleted = _called(env, name, namespace_id, (await _delete_namespace(env, namespace=name)).deleted_namespace)
    await _namespace_gone(env, name)
    await env.outcome("describe", env.rpc.describe_namespace(service.DescribeNamespaceRequest(namespace=name)))
    env.record("listed", await _states(env, namespace_id, deleted=False))
    await _namespace_gone(env, deleted)
    await env.outcome("describe id", env.rpc.describe_namespace(service.DescribeNamespaceRequest(id=namespace_id)))
    register = service.RegisterNamespaceRequest(
        namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
    )
    await env.outcome("register", env.rpc.register_namespace(register))
    await env.move_to_namespace(name)

    async def is_known() -> bool:
        try:
            await _listed(env, running)
        except RPCError:
            return False
        return True

    await env.until(is_known, "the new namespace")
    env.record("another one", await _namespace_id(env, name) != namespace_id)
    counted = await env.rpc.count_workflow_executions(service.CountWorkflowExecutionsRequest(namespace=name))
    env.record("empty", counted.count)
    await env.outcome("run", _describe(env, running))
    again = await env.start_raw(running, workflow_id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE)
    env.record("again", again.started)


async def _states(env: Env, namespace_id: str, *, deleted: bool) -> list[int]:
    """As what lists show a namespace."""
    request = service.ListNamespacesRequest(page_size=1000, namespace_filter=NamespaceFilter(include_deleted=deleted))
    listed = await env.rpc.list_namespaces(request)
    return [each.namespace_info.state for each in listed.namespaces if each.namespace_info.id == namespace_id]


async def scenario_delete_namespace_later(env: Env) -> None:
    """With a delay its record is still there, under its new name; nothing can be done in it."""
    name = await env.new_namespace()
    namespace_id = await _namespace_id(env, name)
    hour = Duration(seconds=3600)
    answer = await _delete_namespace(env, namespace_id=namespace_id, namespace_delete_delay=hour)
    deleted = _called(env, name, namespace_id, answer.deleted_namespace)
    await _namespace_gone(env, name)
    for label, request in {
        "by name": service.DescribeNamespaceRequest(namespace=deleted),
        "by id": service.DescribeNamespaceRequest(id=namespace_id),
    }.items():
        found = (await env.rpc.describe_namespace(request)).namespace_info
        env.record(label, [found.state, found.id == namespace_id, found.name == deleted])
    for filtered in (False, True):
        env.record(f"listed {filtered}", await _states(env, namespace_id, deleted=filtered))
    listing = service.ListWorkflowExecutionsRequest(namespace=deleted)
    await env.outcome("list", env.rpc.list_workflow_executions(listing))
    await env.outcome("start", env.start_raw(env.id(), namespace=deleted))
    again = await _delete_namespace(env, namespace=deleted, namespace_delete_delay=hour)
    env.record("again", again.deleted_namespace)
