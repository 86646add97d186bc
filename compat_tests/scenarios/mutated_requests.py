"""Every request of clients with one field spoiled, field by field."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Link, Priority, RetryPolicy, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import UpdateRef, WaitPolicy
from temporalio.api.workflowservice import v1 as service

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.mutations import send_each
from compat_tests.raw import payloads
from compat_tests.raw_updates import ADMITTED, COMPLETED, update_request
from compat_tests.targets import IDENTITY

_REQUEST_ID = "5e7b9a52-7a5c-4f0e-9a53-60a3b9b5d1c7"


class _Subject:
    """The workflow that a request is about: a new one for each request that was accepted."""

    def __init__(self, env: Env, *, closed: bool = False) -> None:
        self.env, self.closed, self.number, self.workflow_id = env, closed, 0, ""

    async def new(self) -> WorkflowExecution:
        """A new workflow."""
        self.number += 1
        self.workflow_id = self.env.id(f"w{self.number}")
        started = await self.env.start_raw(self.workflow_id)
        if self.closed:
            await self.end()
        return WorkflowExecution(workflow_id=self.workflow_id, run_id=started.run_id)

    async def end(self) -> None:
        """Terminate it."""
        await self.env.client.get_workflow_handle(self.workflow_id).terminate()

    async def finish(self, request: Any) -> None:
        """Record what was done to it."""
        del request
        await self.env.history(self.workflow_id)


async def _sent(env: Env, subject: _Subject, rpc: Any, make: Any, *, finish: bool = True) -> None:
    async def prepare() -> Any:
        return make(await subject.new())

    async def call(request: Any) -> Any:
        return await rpc(request, timeout=seconds(10))

    await send_each(env, prepare, call, finish=subject.finish if finish else None)


def _start_fields(env: Env, number: int) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "workflow_id": env.id(f"w{number}"),
        "workflow_type": WorkflowType(name="Raw"),
        "task_queue": TaskQueue(name=env.queue),
        "identity": IDENTITY,
        "input": payloads('"x"'),
        "workflow_run_timeout": Duration(seconds=100),
        "retry_policy": RetryPolicy(initial_interval=Duration(seconds=1), maximum_attempts=3),
        "priority": Priority(priority_key=2),
        "links": [_link()],
    }


def _link() -> Link:
    reference = Link.WorkflowEvent.EventReference(
        event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    )
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=NAMESPACE, workflow_id="other", run_id=_REQUEST_ID, event_ref=reference
        )
    )


class _Starts:
    """Makes a valid start with another id each time; records and ends what was started."""

    def __init__(self, env: Env, request: Any, **fields: Any) -> None:
        self.env, self.request, self.fields, self.number = env, request, fields, 0

    async def prepare(self) -> Any:
        self.number += 1
        return self.request(**{**_start_fields(self.env, self.number), **self.fields})

    async def finish(self, request: Any) -> None:
        event = (await self.env.fetch_history(request.workflow_id)).events[0]
        self.env.record("started", event)
        await self.env.client.get_workflow_handle(request.workflow_id).terminate()


async def scenario_mutated_start(env: Env) -> None:
    starts = _Starts(env, service.StartWorkflowExecutionRequest)
    await send_each(env, starts.prepare, env.rpc.start_workflow_execution, finish=starts.finish)


async def scenario_mutated_signal_with_start(env: Env) -> None:
    starts = _Starts(env, service.SignalWithStartWorkflowExecutionRequest, signal_name="s", signal_input=payloads("1"))
    await send_each(env, starts.prepare, env.rpc.signal_with_start_workflow_execution, finish=starts.finish)


async def scenario_mutated_signal(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.SignalWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=execution,
            signal_name="s",
            input=payloads("1"),
            identity=IDENTITY,
            links=[_link()],
        )

    await _sent(env, _Subject(env), env.rpc.signal_workflow_execution, make)


async def scenario_mutated_cancel(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.RequestCancelWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=execution,
            identity=IDENTITY,
            request_id=_REQUEST_ID,
            reason="enough",
            first_execution_run_id=execution.run_id,
            links=[_link()],
        )

    await _sent(env, _Subject(env), env.rpc.request_cancel_workflow_execution, make)


async def scenario_mutated_terminate(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.TerminateWorkflowExecutionRequest(
            namespace=NAMESPACE,
            workflow_execution=execution,
            identity=IDENTITY,
            reason="enough",
            details=payloads("1"),
            first_execution_run_id=execution.run_id,
            links=[_link()],
        )

    await _sent(env, _Subject(env), env.rpc.terminate_workflow_execution, make)


async def scenario_mutated_describe(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.DescribeWorkflowExecutionRequest(namespace=NAMESPACE, execution=execution)

    await _sent(env, _Subject(env), env.rpc.describe_workflow_execution, make, finish=False)


async def scenario_mutated_history(env: Env) -> None:
    """Of a closed workflow, so that no request waits."""

    def make(execution: WorkflowExecution) -> Any:
        return service.GetWorkflowExecutionHistoryRequest(
            namespace=NAMESPACE, execution=execution, maximum_page_size=10
        )

    await _sent(env, _Subject(env, closed=True), env.rpc.get_workflow_execution_history, make, finish=False)


async def scenario_mutated_reverse_history(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.GetWorkflowExecutionHistoryReverseRequest(
            namespace=NAMESPACE, execution=execution, maximum_page_size=10
        )

    await _sent(env, _Subject(env), env.rpc.get_workflow_execution_history_reverse, make, finish=False)


async def scenario_mutated_query(env: Env) -> None:
    """Of a workflow that closed before its first task: it is refused in the end, so that nobody has to answer."""

    def make(execution: WorkflowExecution) -> Any:
        return service.QueryWorkflowRequest(
            namespace=NAMESPACE, execution=execution, query=WorkflowQuery(query_type="q", query_args=payloads("1"))
        )

    await _sent(env, _Subject(env, closed=True), env.rpc.query_workflow, make, finish=False)


async def scenario_mutated_update(env: Env) -> None:
    """Of a closed workflow: it is refused in the end, so that nobody has to answer."""

    def make(execution: WorkflowExecution) -> Any:
        return update_request(execution.workflow_id, workflow_execution=execution)

    await _sent(env, _Subject(env, closed=True), env.rpc.update_workflow_execution, make, finish=False)


async def scenario_mutated_poll_of_update(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.PollWorkflowExecutionUpdateRequest(
            namespace=NAMESPACE,
            update_ref=UpdateRef(workflow_execution=execution, update_id="u1"),
            identity=IDENTITY,
            wait_policy=WaitPolicy(lifecycle_stage=COMPLETED),
        )

    await _sent(env, _Subject(env, closed=True), env.rpc.poll_workflow_execution_update, make, finish=False)


async def scenario_mutated_reset_sticky(env: Env) -> None:
    def make(execution: WorkflowExecution) -> Any:
        return service.ResetStickyTaskQueueRequest(namespace=NAMESPACE, execution=execution)

    await _sent(env, _Subject(env), env.rpc.reset_sticky_task_queue, make, finish=False)


async def _simple(env: Env, rpc: Any, valid: Any, skip: frozenset[str] = frozenset()) -> None:
    async def prepare() -> Any:
        return valid

    async def call(request: Any) -> Any:
        return await rpc(request, timeout=seconds(10))

    await send_each(env, prepare, call, skip=skip)


async def scenario_mutated_listing(env: Env) -> None:
    query = f"WorkflowId = '{env.id()}'"
    # The real server answers page tokens of others with an internal error, and names another part of a bad query.
    skip = frozenset({"next_page_token: bytes", "query: long"})
    listing = service.ListWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
    await _simple(env, env.rpc.list_workflow_executions, listing, skip)
    count = service.CountWorkflowExecutionsRequest(namespace=NAMESPACE, query=query)
    await _simple(env, env.rpc.count_workflow_executions, count, skip)


async def scenario_mutated_namespaces(env: Env) -> None:
    # Both are internal errors of the real server (of its SQLite store).
    skip = frozenset({"id: long", "page_size: negative"})
    await _simple(env, env.rpc.describe_namespace, service.DescribeNamespaceRequest(namespace=NAMESPACE), skip)
    await _simple(env, env.rpc.list_namespaces, service.ListNamespacesRequest(page_size=10), skip)
    await _simple(env, env.rpc.get_system_info, service.GetSystemInfoRequest())
    await _simple(env, env.rpc.get_cluster_info, service.GetClusterInfoRequest())


async def scenario_mutated_task_queue(env: Env) -> None:
    request = service.DescribeTaskQueueRequest(namespace=NAMESPACE, task_queue=TaskQueue(name=env.queue))
    await _simple(env, env.rpc.describe_task_queue, request)


async def scenario_mutated_worker_life(env: Env) -> None:
    heartbeat = service.RecordWorkerHeartbeatRequest(namespace=NAMESPACE, identity=IDENTITY)
    await _simple(env, env.rpc.record_worker_heartbeat, heartbeat)
    shutdown = service.ShutdownWorkerRequest(namespace=NAMESPACE, sticky_task_queue=env.queue, identity=IDENTITY)
    await _simple(env, env.rpc.shutdown_worker, shutdown)


_ADMITTED_TOO = WaitPolicy(lifecycle_stage=ADMITTED)
"""What the server refuses last: so no update waits for a worker."""


def _together(start: service.StartWorkflowExecutionRequest, update: service.UpdateWorkflowExecutionRequest) -> Any:
    operation = service.ExecuteMultiOperationRequest.Operation
    operations = [operation(start_workflow=start), operation(update_workflow=update)]
    return service.ExecuteMultiOperationRequest(namespace=NAMESPACE, operations=operations)


async def scenario_mutated_start_with_update(env: Env) -> None:
    valid = service.StartWorkflowExecutionRequest(**_start_fields(env, 0))

    async def prepare() -> Any:
        return valid

    async def call(start: service.StartWorkflowExecutionRequest) -> Any:
        update = update_request(start.workflow_id, wait_policy=_ADMITTED_TOO)
        return await env.rpc.execute_multi_operation(_together(start, update), timeout=seconds(10))

    await send_each(env, prepare, call)


async def scenario_mutated_update_with_start(env: Env) -> None:
    start = service.StartWorkflowExecutionRequest(**_start_fields(env, 0))
    valid = update_request(start.workflow_id, wait_policy=_ADMITTED_TOO)

    async def prepare() -> Any:
        return valid

    async def call(update: service.UpdateWorkflowExecutionRequest) -> Any:
        return await env.rpc.execute_multi_operation(_together(start, update), timeout=seconds(10))

    await send_each(env, prepare, call, skip=frozenset({"wait_policy"}))
