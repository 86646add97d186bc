"""Update-with-start: an update that starts the workflow if it does not run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import ExecuteMultiOperationRequest
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from compat_tests.env import NAMESPACE, Env, seconds
from compat_tests.raw import RawWorker
from compat_tests.raw_updates import admitted, done, reject, update_request
from compat_tests.raw_updates import later as in_background
from compat_tests.scenarios.updates import ACCEPTED, Updated

FAIL = WorkflowIDConflictPolicy.FAIL
_FAIL = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL
USE = WorkflowIDConflictPolicy.USE_EXISTING
Operation = ExecuteMultiOperationRequest.Operation


async def execute(env: Env, update: Any, *args: Any, id: str, start_workflow_operation: Any) -> Any:
    """Update with start, wait for the result."""
    call = cast("Callable[..., Awaitable[Any]]", env.client.execute_update_with_start_workflow)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
    async with _failing_as_one(start_workflow_operation):
        return await call(update, args=args, id=id, start_workflow_operation=start_workflow_operation)


async def accepted(env: Env, update: Any, *args: Any, id: str, start_workflow_operation: Any) -> Any:
    """Update with start, wait until it is accepted."""
    call = cast("Callable[..., Awaitable[Any]]", env.client.start_update_with_start_workflow)  # pyright: ignore[reportUnknownMemberType]  (the SDK)
    async with _failing_as_one(start_workflow_operation):
        return await call(
            update, args=args, id=id, wait_for_stage=ACCEPTED, start_workflow_operation=start_workflow_operation
        )


@contextlib.asynccontextmanager
async def _failing_as_one(operation: Any) -> AsyncGenerator[None, None]:
    """The SDK gives an error of the request to the operation's handle too, where it has to be taken note of."""
    try:
        yield
    except (RPCError, WorkflowAlreadyStartedError):
        with contextlib.suppress(RPCError, WorkflowAlreadyStartedError):
            await operation.workflow_handle()
        raise


def _start(
    env: Env, workflow_id: str, policy: WorkflowIDConflictPolicy = USE, **fields: Any
) -> WithStartWorkflowOperation[Updated, list[str]]:
    return WithStartWorkflowOperation(
        Updated.run, True, id=workflow_id, task_queue=env.queue, id_conflict_policy=policy, **fields
    )


async def scenario_update_with_start(env: Env) -> None:
    workflow_id = env.id()
    async with env.worker(Updated):
        operation = _start(env, workflow_id)
        await env.outcome(
            "new",
            execute(env, Updated.add, "a", id="one", start_workflow_operation=operation),
        )
        handle = await operation.workflow_handle()
        operation = _start(env, workflow_id)
        await env.outcome(
            "existing",
            execute(env, Updated.add, "b", id="two", start_workflow_operation=operation),
        )
        env.record(
            "same run", (await operation.workflow_handle()).first_execution_run_id == handle.first_execution_run_id
        )
        await env.outcome(
            "rejected",
            execute(env, Updated.add, "bad", id="three", start_workflow_operation=_start(env, workflow_id)),
        )
        update = await accepted(env, Updated.add, "sleep", id="four", start_workflow_operation=_start(env, workflow_id))
        await env.outcome("accepted", update.result())
        await env.outcome(
            "conflict",
            execute(env, Updated.add, "c", id="five", start_workflow_operation=_start(env, workflow_id, FAIL)),
        )
        await env.outcome(
            "conflict, known update",
            execute(env, Updated.add, "c", id="one", start_workflow_operation=_start(env, workflow_id, FAIL)),
        )
        await handle.signal(Updated.end, "ok")
        await env.outcome("result", handle.result())
        await env.history(handle)


async def scenario_update_with_start_closed(env: Env) -> None:
    workflow_id = env.id()
    async with env.worker(Updated):
        operation = _start(env, workflow_id, FAIL)
        await env.outcome(
            "first run",
            execute(env, Updated.finish, id="one", start_workflow_operation=operation),
        )
        handle = await operation.workflow_handle()
        await handle.result()
        await env.outcome(
            "known update",
            execute(env, Updated.finish, id="one", start_workflow_operation=_start(env, workflow_id)),
        )
        reject_duplicate = WorkflowIDReusePolicy.REJECT_DUPLICATE
        await env.outcome(
            "may not start",
            execute(
                env,
                Updated.finish,
                id="two",
                start_workflow_operation=_start(env, workflow_id, id_reuse_policy=reject_duplicate),
            ),
        )
        operation = _start(env, workflow_id)
        await env.outcome(
            "second run",
            execute(env, Updated.finish, id="three", start_workflow_operation=operation),
        )
        await env.history(handle, "first history")
        await env.history(await operation.workflow_handle(), "second history")


def _request(env: Env, workflow_id: str, *, update: dict[str, Any] | None = None, **start: Any) -> Any:
    policy = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
    started = env.start_request(workflow_id, **{"workflow_id_conflict_policy": policy, **start})
    return ExecuteMultiOperationRequest(
        namespace=NAMESPACE,
        operations=[
            Operation(start_workflow=started),
            Operation(update_workflow=update_request(workflow_id, **(update or {}))),
        ],
    )


async def scenario_raw_update_with_start(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    request = _request(env, workflow_id)
    waiting = in_background(env.rpc.execute_multi_operation(request, timeout=seconds(25)))
    await admitted(env, workflow_id)
    again = in_background(env.rpc.execute_multi_operation(request, timeout=seconds(25)))
    await asyncio.sleep(0.3)  # that it waits, too, cannot be seen
    task = await worker.poll()
    env.record("task", task)
    await done(worker, task)
    await env.outcome("answer", waiting)
    await env.outcome("sent twice", again)
    await env.outcome("sent again", env.rpc.execute_multi_operation(request, timeout=seconds(5)))
    other = _request(env, workflow_id, update={"update_id": "u2"}, workflow_id_conflict_policy=_FAIL)
    await env.outcome("conflict", env.rpc.execute_multi_operation(other, timeout=seconds(5)))
    await env.history(workflow_id)


async def scenario_raw_update_with_start_rejected(env: Env) -> None:
    workflow_id, worker = env.id(), RawWorker(env)
    waiting = in_background(env.rpc.execute_multi_operation(_request(env, workflow_id), timeout=seconds(25)))
    task = await worker.poll()
    await worker.complete(task, messages=[reject(each) for each in task.messages])
    await env.outcome("answer", waiting)
    await env.history(workflow_id)


async def scenario_raw_update_with_start_bad_requests(env: Env) -> None:
    workflow_id = env.id()

    async def refused(label: str, request: ExecuteMultiOperationRequest) -> None:
        await env.outcome(label, env.rpc.execute_multi_operation(request, timeout=seconds(5)))

    good = _request(env, workflow_id)
    start, update = good.operations
    for label, operations in (
        ("none", []),
        ("only start", [start]),
        ("only update", [update]),
        ("wrong order", [update, start]),
        ("two starts", [start, start]),
        ("two updates", [update, update]),
        ("three", [start, update, update]),
        ("empty", [Operation(), Operation()]),
    ):
        await refused(label, ExecuteMultiOperationRequest(namespace=NAMESPACE, operations=operations))
    await refused("namespace", ExecuteMultiOperationRequest(namespace="nope", operations=good.operations))
    await refused("no namespace", ExecuteMultiOperationRequest(operations=good.operations))
    await refused("cron", _request(env, workflow_id, cron_schedule="* * * * *"))
    await refused("eager", _request(env, workflow_id, request_eager_execution=True))
    await refused("delay", _request(env, workflow_id, workflow_start_delay={"seconds": 5}))
    other = WorkflowExecution(workflow_id="other")
    await refused("other workflow", _request(env, workflow_id, update={"workflow_execution": other}))
    run = WorkflowExecution(workflow_id=workflow_id, run_id="8b2d2e5f-8b0c-4d8f-a8a5-1d8f0f1a2b3c")
    await refused("with run id", _request(env, workflow_id, update={"workflow_execution": run}))
    await refused("first run", _request(env, workflow_id, update={"first_execution_run_id": run.run_id}))
    await refused("bad start", _request(env, workflow_id, task_queue=None))
    await refused("bad update", _request(env, workflow_id, update={"request": None}))
    reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    await refused("policies", _request(env, workflow_id, workflow_id_reuse_policy=reuse))
    await env.outcome("nothing was started", env.client.get_workflow_handle(workflow_id).describe())
