"""Batch operations: what may be asked, what each does to the executions it is for, how it ends and is shown."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.batch.v1 import (
    BatchOperationCancellation,
    BatchOperationDeletion,
    BatchOperationReset,
    BatchOperationResetActivities,
    BatchOperationSignal,
    BatchOperationTermination,
    BatchOperationUnpauseActivities,
    BatchOperationUpdateActivityOptions,
    BatchOperationUpdateWorkflowExecutionOptions,
)
from temporalio.api.common.v1 import Execution, Priority, ResetOptions, WorkflowExecution
from temporalio.api.enums.v1 import ExecutionType, ResetReapplyExcludeType, ResetReapplyType, ResetType
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    ListBatchOperationsRequest,
    StartBatchOperationRequest,
    StopBatchOperationRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from compat_tests.batches import SIGNAL, TERMINATE, describe, finish, given, listed, open_workflows, run, start, stop
from compat_tests.env import Env
from compat_tests.raw import RawWorker, complete_workflow, payloads
from compat_tests.targets import IDENTITY

FIRST = ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK
LAST = ResetType.RESET_TYPE_LAST_WORKFLOW_TASK
NONE = ResetReapplyType.RESET_REAPPLY_TYPE_NONE
WORKFLOW, ACTIVITY = ExecutionType.EXECUTION_TYPE_WORKFLOW, ExecutionType.EXECUTION_TYPE_ACTIVITY

CANCEL: dict[str, Any] = {"cancellation_operation": BatchOperationCancellation(identity=IDENTITY)}


async def _refused(env: Env, cases: dict[str, dict[str, Any]]) -> None:
    """Record what is said to requests that are not even begun."""
    for label, fields in cases.items():
        defaults: dict[str, Any] = {"namespace": env.namespace, "job_id": env.unique("job"), "reason": "r"}
        if "visibility_query" not in fields:
            defaults["executions"] = given("x")
        if not any(name.endswith("_operation") for name in fields):
            defaults |= TERMINATE
        request = StartBatchOperationRequest(**{**defaults, **fields})
        await env.outcome(label, env.rpc.start_batch_operation(request))


async def _history(env: Env, workflow_id: str) -> None:
    """Record a history, but for who asked: the real server names the process that works on the batch."""
    history = await env.fetch_history(workflow_id)
    for event in history.events:
        for name in ("terminated", "cancel_requested"):
            field = f"workflow_execution_{name}_event_attributes"
            if event.HasField(field):  # pyright: ignore[reportArgumentType]  (a field by its name)
                getattr(event, field).ClearField("identity")
    env.record("history", list(history.events))


# -- requests ----------------------------------------------------------------------------------------------------------


async def scenario_batch_requests(env: Env) -> None:
    """What every request must name."""
    await _refused(
        env,
        {
            "no reason": {"reason": ""},
            "no job id": {"job_id": ""},
            "no executions": {"executions": []},
            "query and executions": {"visibility_query": "WorkflowId = 'x'", "executions": given("x")},
            "two ways to name them": {"target_executions": [Execution(type=WORKFLOW, business_id="x")]},
            "no namespace": {"namespace": ""},
            "unknown namespace": {"namespace": env.unique("nowhere")},
        },
    )
    nothing = StartBatchOperationRequest(
        namespace=env.namespace, job_id=env.unique("job"), reason="r", executions=given("x")
    )
    await env.outcome("no operation", env.rpc.start_batch_operation(nothing))


async def scenario_batch_kinds_of_executions(env: Env) -> None:
    """An operation on workflows is not for activities."""
    targets: dict[str, list[Execution]] = {
        "no kind": [Execution(business_id="x")],
        "an activity": [Execution(type=ACTIVITY, business_id="x")],
        "a workflow and an activity": [
            Execution(type=WORKFLOW, business_id="x"),
            Execution(type=ACTIVITY, business_id="x"),
        ],
    }
    await _refused(env, {label: {"executions": [], "target_executions": each} for label, each in targets.items()})


async def scenario_batch_operations_incomplete(env: Env) -> None:
    """What the operations themselves must name."""
    some = WorkflowExecutionOptions(priority=Priority(priority_key=2))
    options = BatchOperationUpdateWorkflowExecutionOptions
    await _refused(
        env,
        {
            "signal without a name": {"signal_operation": BatchOperationSignal()},
            "no options": {"update_workflow_options_operation": options()},
            "no mask": {"update_workflow_options_operation": options(workflow_execution_options=some)},
            "reset to nothing": {"reset_operation": BatchOperationReset()},
            "unknown kind of reset": {"reset_operation": BatchOperationReset(reset_type=99)},  # pyright: ignore[reportArgumentType]  (unknown on purpose)
            "reset options without target": {"reset_operation": BatchOperationReset(options=ResetOptions())},
        },
    )


async def scenario_batch_activity_operations_incomplete(env: Env) -> None:
    """Which activities, and what to do to them."""
    some, update = ActivityOptions(), BatchOperationUpdateActivityOptions
    both = update(match_all=True, activity_options=some, restore_original=True)
    cases: dict[str, dict[str, Any]] = {
        "options and restore": {"update_activity_options_operation": both},
        "neither options nor restore": {"update_activity_options_operation": update(match_all=True)},
        "options of no type": {"update_activity_options_operation": update(type="", activity_options=some)},
        "options of not all": {"update_activity_options_operation": update(match_all=False, activity_options=some)},
    }
    kinds: dict[str, Any] = {"unpause": BatchOperationUnpauseActivities, "reset": BatchOperationResetActivities}
    for name, kind in kinds.items():
        field = f"{name}_activities_operation"
        cases[f"{name} of nothing"] = {field: kind()}
        cases[f"{name} of no type"] = {field: kind(type="")}
        cases[f"{name} of not all"] = {field: kind(match_all=False)}
    await _refused(env, cases)


async def scenario_batch_names_of_jobs(env: Env) -> None:
    """Stop and describe name a job; there is none of that id."""
    unknown = env.unique("unknown")
    await env.outcome("describe an unknown one", describe(env, unknown))
    await env.outcome("stop an unknown one", stop(env, unknown))
    await env.outcome("describe none", describe(env, ""))
    await env.outcome("stop none", stop(env, ""))
    await env.outcome("stop for no reason", stop(env, unknown, reason=""))
    await env.outcome("stop nowhere", env.rpc.stop_batch_operation(StopBatchOperationRequest(job_id="x", reason="r")))
    nowhere = DescribeBatchOperationRequest(namespace=env.unique("nowhere"), job_id="x")
    await env.outcome("describe nowhere", env.rpc.describe_batch_operation(nowhere))
    await env.outcome("list nowhere", env.rpc.list_batch_operations(ListBatchOperationsRequest()))
    too_long = start(env, env.unique("job") + "x" * 1000, executions=given("x"), **TERMINATE)
    await env.outcome("a long id", too_long)


async def scenario_batch_queries_that_fail(env: Env) -> None:
    """A query that can be read and makes no sense fails the batch; what finds nothing completes it."""
    for name, query in {
        "unknown attribute": "NoSuchThing = 'x'",
        "order": "WorkflowId = 'x' ORDER BY StartTime",
        "groups": "WorkflowId = 'x' GROUP BY ExecutionStatus",
        "nothing found": "WorkflowId = 'no such workflow'",
    }.items():
        await run(env, name, visibility_query=query, **TERMINATE)


async def scenario_batch_queries_that_cannot_be_read(env: Env) -> None:
    """They are refused, unlike those that make no sense."""
    queries = ("Foo Bar", "   ", "WorkflowId =", "(", "WorkflowId = 'x", "x ~ 1", "WorkflowId = 'a' AND")
    queries += ("ORDER BY StartTime", "GROUP BY ExecutionStatus", "SELECT 1")
    await _refused(env, {f"[{query}]": {"visibility_query": query} for query in queries})


# -- operations on executions ------------------------------------------------------------------------------------------


async def scenario_batch_terminate(env: Env) -> None:
    """Named ones: open, closed, unknown, and named in a way that cannot be."""
    worker = RawWorker(env)
    first, second, closed = await open_workflows(env, worker, ["first", "second", "closed"])
    await env.client.get_workflow_handle(closed).terminate()
    run_id = (await env.client.get_workflow_handle(second).describe()).run_id
    executions = [
        *given(first, closed, env.unique("unknown")),
        WorkflowExecution(workflow_id=second, run_id=run_id),
        WorkflowExecution(workflow_id=second, run_id="x"),
        WorkflowExecution(),
    ]
    await run(env, executions=executions, **TERMINATE)
    for each in (first, second, closed):
        await _history(env, each)


async def scenario_batch_terminate_by_query(env: Env) -> None:
    """Only the open ones of those that the query finds."""
    worker = RawWorker(env)
    first, second, closed = await open_workflows(env, worker, ["first", "second", "closed"])
    await env.client.get_workflow_handle(closed).terminate()
    query = f"TaskQueue = '{env.queue}'"
    await listed(env, f"{query} AND ExecutionStatus = 'Running'", 2)
    await run(env, visibility_query=query, **TERMINATE)
    for each in (first, second, closed):
        await _history(env, each)


async def scenario_batch_query_with_or(env: Env) -> None:
    """What the service adds to a query holds for the whole of it."""
    worker = RawWorker(env)
    first, second, closed = await open_workflows(env, worker, ["first", "second", "closed"])
    await env.client.get_workflow_handle(closed).terminate()
    await listed(env, f"TaskQueue = '{env.queue}' AND ExecutionStatus = 'Running'", 2)
    query = f"WorkflowId = '{first}' OR WorkflowId = '{second}' OR WorkflowId = '{closed}'"
    await run(env, visibility_query=query, **CANCEL)
    await _history(env, second)


async def scenario_batch_cancel(env: Env) -> None:
    """A request to cancel each; a second batch changes nothing."""
    worker = RawWorker(env)
    first, second = await open_workflows(env, worker, ["first", "second"])
    await run(env, "once", executions=given(first, second), **CANCEL)
    await run(env, "twice", executions=given(first, second, env.unique("unknown")), **CANCEL)
    for each in (first, second):
        await _history(env, each)


async def scenario_batch_cancel_closed(env: Env) -> None:
    """Nothing has to be done to what is closed."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await RawWorker(env).run_task(complete_workflow())
    await run(env, executions=given(workflow_id), **CANCEL)
    await _history(env, workflow_id)


async def scenario_batch_signal(env: Env) -> None:
    """A signal with input to each, and the workflow task that tells of it."""
    worker = RawWorker(env)
    first, second = await open_workflows(env, worker, ["first", "second"])
    operation = BatchOperationSignal(signal="go", input=payloads("1", '"two"'), identity=IDENTITY)
    await run(env, executions=given(first, second), signal_operation=operation)
    for each in (first, second):
        await _history(env, each)


async def scenario_batch_signal_closed(env: Env) -> None:
    """To a closed one and an unknown one: nothing to do is no failure."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await RawWorker(env).run_task(complete_workflow())
    await run(env, executions=given(workflow_id, env.unique("unknown")), **SIGNAL)
    await _history(env, workflow_id)


async def scenario_batch_signal_twice(env: Env) -> None:
    """An execution that is named twice counts twice and gets it once."""
    (workflow_id,) = await open_workflows(env, RawWorker(env), ["workflow"])
    await run(env, executions=given(workflow_id, workflow_id), **SIGNAL)
    await _history(env, workflow_id)


async def scenario_batch_signal_by_query(env: Env) -> None:
    """Of several pages, if pages were small."""
    worker = RawWorker(env)
    workflow_ids = await open_workflows(env, worker, [f"workflow{number}" for number in range(12)])
    query = f"TaskQueue = '{env.queue}'"
    await listed(env, query, len(workflow_ids))
    await run(env, visibility_query=query, max_operations_per_second=1000, **SIGNAL)
    for each in workflow_ids:
        env.record(each, [event.event_type for event in (await env.fetch_history(each)).events])


async def scenario_batch_of_targets(env: Env) -> None:
    """The newer way to name executions."""
    worker = RawWorker(env)
    first, second = await open_workflows(env, worker, ["first", "second"])
    targets = [Execution(type=WORKFLOW, business_id=first), Execution(type=WORKFLOW, business_id=env.unique("unknown"))]
    await run(env, target_executions=targets, **SIGNAL)
    await _history(env, first)
    await _history(env, second)


async def _is_gone(env: Env, workflow_id: str) -> bool:
    try:
        await env.client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        return error.status == RPCStatusCode.NOT_FOUND
    return False


async def scenario_batch_delete(env: Env) -> None:
    """Open and closed ones vanish."""
    worker = RawWorker(env)
    first, closed, kept = await open_workflows(env, worker, ["first", "closed", "kept"])
    await env.client.get_workflow_handle(closed).terminate()
    executions = given(first, closed, env.unique("unknown"))
    await run(env, executions=executions, deletion_operation=BatchOperationDeletion(identity=IDENTITY))
    for each in (first, closed):
        await env.until(partial(_is_gone, env, each), f"{each} to be gone")
    await _history(env, kept)


async def scenario_batch_delete_by_query(env: Env) -> None:
    """Closed ones, too, unlike other operations."""
    worker = RawWorker(env)
    first, closed = await open_workflows(env, worker, ["first", "closed"])
    await env.client.get_workflow_handle(closed).terminate()
    query = f"TaskQueue = '{env.queue}'"
    await listed(env, f"{query} AND ExecutionStatus = 'Running'", 1)
    await run(env, visibility_query=query, deletion_operation=BatchOperationDeletion())
    for each in (first, closed):
        await env.until(partial(_is_gone, env, each), f"{each} to be gone")


async def scenario_batch_execution_options(env: Env) -> None:
    """Another priority for each; the same again leaves no event."""
    worker = RawWorker(env)
    first, second = await open_workflows(env, worker, ["first", "second"])
    operation = BatchOperationUpdateWorkflowExecutionOptions(
        workflow_execution_options=WorkflowExecutionOptions(priority=Priority(priority_key=2)),
        update_mask=FieldMask(paths=["priority"]),
        identity=IDENTITY,
    )
    await run(env, "once", executions=given(first, second), update_workflow_options_operation=operation)
    await run(env, "twice", executions=given(first), update_workflow_options_operation=operation)
    for each in (first, second):
        await _history(env, each)


async def scenario_batch_execution_options_wrong(env: Env) -> None:
    """A mask that names no field fails for each execution."""
    (workflow_id,) = await open_workflows(env, RawWorker(env), ["workflow"])
    operation = BatchOperationUpdateWorkflowExecutionOptions(
        workflow_execution_options=WorkflowExecutionOptions(), update_mask=FieldMask(paths=["nothing"])
    )
    executions = given(workflow_id, env.unique("unknown"))
    await run(env, executions=executions, update_workflow_options_operation=operation)
    await _history(env, workflow_id)


# -- reset -------------------------------------------------------------------------------------------------------------


async def _reset(env: Env, workflow_id: str, name: str = "batch", **fields: Any) -> None:
    """Record the batch, the run that was reset and the new one."""
    before = (await env.client.get_workflow_handle(workflow_id).describe()).run_id
    operation = BatchOperationReset(identity=IDENTITY, **fields)
    await run(env, name, executions=given(workflow_id), reset_operation=operation)
    await env.history(env.client.get_workflow_handle(workflow_id, run_id=before), "before", replay=False)
    await env.history(workflow_id, "after", replay=False)


async def _three_tasks(env: Env) -> str:
    """A workflow that was told something after its first and its second workflow task."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    for name in ("one", "two"):
        await env.client.get_workflow_handle(workflow_id).signal(name)
        await worker.run_task()
    return workflow_id


async def scenario_batch_reset_first(env: Env) -> None:
    """The older form of the request; what came later comes again."""
    await _reset(env, await _three_tasks(env), reset_type=FIRST)


async def scenario_batch_reset_last(env: Env) -> None:
    await _reset(env, await _three_tasks(env), reset_type=LAST)


async def scenario_batch_reset_nothing_reapplied(env: Env) -> None:
    """The older form has an older way to say what is not to come again."""
    await _reset(env, await _three_tasks(env), reset_type=FIRST, reset_reapply_type=NONE)


async def scenario_batch_reset_options_first(env: Env) -> None:
    options = ResetOptions(reset_reapply_exclude_types=[ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL])
    options.first_workflow_task.SetInParent()
    await _reset(env, await _three_tasks(env), options=options, reset_type=LAST)


async def scenario_batch_reset_options_last(env: Env) -> None:
    options = ResetOptions()
    options.last_workflow_task.SetInParent()
    await _reset(env, await _three_tasks(env), options=options)


async def scenario_batch_reset_options_task(env: Env) -> None:
    """To a workflow task that is named, and to one that is none."""
    workflow_id = await _three_tasks(env)
    await _reset(env, workflow_id, options=ResetOptions(workflow_task_id=8))
    await _reset(env, workflow_id, "no task", options=ResetOptions(workflow_task_id=2))


async def scenario_batch_reset_options_build(env: Env) -> None:
    """To a build that has never worked on it."""
    await _reset(env, await _three_tasks(env), options=ResetOptions(build_id="unknown"))


async def scenario_batch_reset_before_the_first_task(env: Env) -> None:
    """Nobody has answered a workflow task yet; and of another nobody has taken one."""
    workflow_id = env.id()
    await env.start_raw(workflow_id)
    await RawWorker(env).poll()
    operation = BatchOperationReset(reset_type=LAST)
    await run(env, "started", executions=given(workflow_id), reset_operation=operation)
    other = env.id("other")
    await env.start_raw(other)
    await run(env, "scheduled", executions=given(other, env.unique("unknown")), reset_operation=operation)


async def scenario_batch_reset_closed_by_query(env: Env) -> None:
    """Closed executions can be reset, too."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task(complete_workflow())
    query = f"TaskQueue = '{env.queue}' AND ExecutionStatus = 'Completed'"
    await listed(env, query, 1)
    await run(env, visibility_query=query, reset_operation=BatchOperationReset(reset_type=FIRST))
    await env.history(workflow_id, replay=False)


# -- life --------------------------------------------------------------------------------------------------------------


async def scenario_batch_again(env: Env) -> None:
    """A job id is used once."""
    job_id = await run(env, executions=given("x"), **TERMINATE)
    await env.outcome("again", start(env, job_id, executions=given("x"), **SIGNAL))
    await env.outcome("stopped when it is over", stop(env, job_id))
    await finish(env, job_id, "afterwards")


async def scenario_batch_stopped(env: Env) -> None:
    """It is slow, because what it does fails again and again; in a namespace of its own it is alone, too."""
    await env.move_to_namespace(await env.new_namespace("home"))
    (workflow_id,) = await open_workflows(env, RawWorker(env), ["workflow"])
    job_id = env.unique("job")
    executions = [WorkflowExecution(workflow_id=workflow_id)] * 200
    await start(env, job_id, executions=executions, max_operations_per_second=5, **SIGNAL)
    request = StartBatchOperationRequest(
        namespace=env.namespace, job_id=env.unique("another"), reason="r", executions=given("x"), **TERMINATE
    )

    async def is_full() -> bool:
        error = (await asyncio.gather(env.rpc.start_batch_operation(request), return_exceptions=True))[0]
        return isinstance(error, Exception) and "Max concurrent" in str(error)

    await env.until(is_full, "the batch to count")
    await env.outcome("another at the same time", env.rpc.start_batch_operation(request))
    running = await describe(env, job_id)
    env.record("state", [running.state, running.operation_type, running.reason, running.identity])
    await env.outcome("stop", stop(env, job_id))
    stopped = await describe(env, job_id)
    env.record("stopped", [stopped.state, stopped.HasField("close_time"), stopped.reason])
    await env.outcome("stop again", stop(env, job_id))


async def scenario_batch_list(env: Env) -> None:
    """Entries of two that have ended, the later one first; page by page."""
    await env.move_to_namespace(await env.new_namespace("home"))
    await env.outcome("none", env.rpc.list_batch_operations(ListBatchOperationsRequest(namespace=env.namespace)))
    for name, operation in (("first", TERMINATE), ("second", SIGNAL), ("third", CANCEL)):
        await run(env, name, executions=given("x"), **operation)
    request = ListBatchOperationsRequest(namespace=env.namespace)

    async def all_listed() -> bool:
        infos = (await env.rpc.list_batch_operations(request)).operation_info
        return len(infos) == 3 and all(each.state != 1 for each in infos)

    await env.until(all_listed, "three batches")
    await env.outcome("all", env.rpc.list_batch_operations(request))
    token, pages = b"", 0
    while token or not pages:
        page = await env.rpc.list_batch_operations(
            ListBatchOperationsRequest(namespace=env.namespace, page_size=2, next_page_token=token)
        )
        token, pages = page.next_page_token, pages + 1
        env.record(f"page {pages}", [each.job_id for each in page.operation_info])
    await env.outcome(
        "a negative size",
        env.rpc.list_batch_operations(ListBatchOperationsRequest(namespace=env.namespace, page_size=-1)),
    )


async def scenario_batch_of_a_chain(env: Env) -> None:
    """Without a run id the current run is meant."""
    worker, workflow_id = RawWorker(env), env.id()
    await env.start_raw(workflow_id)
    await worker.run_task(complete_workflow())
    first = (await env.client.get_workflow_handle(workflow_id).describe()).run_id
    await env.start_raw(workflow_id)
    await worker.run_task()
    await run(env, executions=[WorkflowExecution(workflow_id=workflow_id, run_id=first)], **TERMINATE)
    await run(env, "current", executions=given(workflow_id), **TERMINATE)
    await _history(env, workflow_id)


async def scenario_batch_termination_details(env: Env) -> None:
    """Identity of the operation and of the batch."""
    (workflow_id,) = await open_workflows(env, RawWorker(env), ["workflow"])
    operation = BatchOperationTermination(identity="somebody")
    await run(env, executions=given(workflow_id), termination_operation=operation, reason="a reason")
    await _history(env, workflow_id)
