"""Options of executions changed from outside, pauses of executions, and what workers say about themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.command.v1 import Command, ContinueAsNewWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Priority, WorkflowExecution, WorkflowType
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    PauseWorkflowExecutionRequest,
    RecordWorkerHeartbeatRequest,
    ShutdownWorkerRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionOptionsRequest,
    UpdateWorkflowExecutionOptionsResponse,
)

from compat_tests.env import NAMESPACE, Env
from compat_tests.raw import RawWorker, command, complete_workflow, schedule_activity
from compat_tests.targets import IDENTITY


async def _update(
    env: Env, workflow_id: str, mask: Sequence[str] | None, **fields: Any
) -> UpdateWorkflowExecutionOptionsResponse:
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace=NAMESPACE,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        identity=IDENTITY,
        **fields,
    )
    if mask is not None:
        request.update_mask.CopyFrom(FieldMask(paths=mask))
    return await env.rpc.update_workflow_execution_options(request)


async def _set_priority(env: Env, workflow_id: str, mask: Sequence[str] | None, **priority: Any) -> None:
    """Record the answer; without fields no priority is given."""
    options = WorkflowExecutionOptions(priority=Priority(**priority)) if priority else WorkflowExecutionOptions()
    update = _update(env, workflow_id, mask, workflow_execution_options=options)
    await env.outcome(f"{mask} {priority}", update)


async def _record_priority(env: Env, workflow_id: str, label: str) -> None:
    request = DescribeWorkflowExecutionRequest(
        namespace=NAMESPACE, execution=WorkflowExecution(workflow_id=workflow_id)
    )
    description = await env.rpc.describe_workflow_execution(request)
    env.record(label, description.workflow_execution_info.priority)


def _continue_as_new(worker: RawWorker) -> Command:
    attributes = ContinueAsNewWorkflowExecutionCommandAttributes(
        workflow_type=WorkflowType(name="Raw"), task_queue=worker.task_queue
    )
    return command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", continue_as_new_workflow_execution_command_attributes=attributes
    )


async def scenario_execution_options_errors(env: Env) -> None:
    """What a change of options must name."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    given = WorkflowExecutionOptions(priority=Priority(priority_key=2))
    execution = WorkflowExecution(workflow_id=workflow_id)
    bad_run = WorkflowExecution(workflow_id=workflow_id, run_id="x")
    mask = FieldMask(paths=["priority"])
    requests: dict[str, dict[str, Any]] = {
        "empty": {},
        "no execution": {"namespace": NAMESPACE, "workflow_execution_options": given, "update_mask": mask},
        "nothing": {"namespace": NAMESPACE, "workflow_execution": execution},
        "no mask": {"namespace": NAMESPACE, "workflow_execution": execution, "workflow_execution_options": given},
        "no options": {"namespace": NAMESPACE, "workflow_execution": execution, "update_mask": mask},
        "bad run": {
            "namespace": NAMESPACE,
            "workflow_execution": bad_run,
            "workflow_execution_options": given,
            "update_mask": mask,
        },
    }
    for name, fields in requests.items():
        request = UpdateWorkflowExecutionOptionsRequest(**fields)
        await env.outcome(name, env.rpc.update_workflow_execution_options(request))
    for path in ("nonsense", "", "priority.x", "priority.priorityKey", "priority.priority_key.x"):
        await _set_priority(env, workflow_id, [path], priority_key=1)
    await _set_priority(env, workflow_id, ["versioning_override.pinned"])
    await _set_priority(env, workflow_id, ["priority"], priority_key=-1)
    await _set_priority(env, workflow_id, [], priority_key=-1)
    await _set_priority(env, workflow_id, ["priority"], fairness_key="x" * 65)
    await _set_priority(env, workflow_id, ["priority"], fairness_weight=-1)
    await _set_priority(env, env.unique("unknown"), ["priority"], priority_key=1)
    await _end(env, workflow_id)
    await _set_priority(env, workflow_id, ["priority"], priority_key=1)
    await _set_priority(env, workflow_id, ["nonsense"], priority_key=1)
    await env.history(workflow_id)


async def _end(env: Env, workflow_id: str) -> None:
    """The workflow is over."""
    await env.client.get_workflow_handle(workflow_id).terminate()


async def scenario_execution_options_priority(env: Env) -> None:
    """Each real change leaves an event, also one that takes the priority away (and does not)."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    await _set_priority(env, workflow_id, [], priority_key=2)
    await _set_priority(env, workflow_id, ["priority"], priority_key=2)
    await _set_priority(env, workflow_id, ["priority"], priority_key=2)
    await _set_priority(env, workflow_id, ["priority.fairness_key", "priority.fairness_weight"], fairness_key="k")
    await _set_priority(env, workflow_id, ["priority.priority_key"])
    await _set_priority(env, workflow_id, ["versioning_override", "time_skipping_config"])
    await _record_priority(env, workflow_id, "set")
    await _set_priority(env, workflow_id, ["priority"])
    await _record_priority(env, workflow_id, "taken away")
    await env.history(workflow_id)
    await _end(env, workflow_id)


async def scenario_execution_options_in_flight(env: Env) -> None:
    """While a worker has a task, the event waits; the next run of the chain has the priority as it is now."""
    workflow_id, worker = env.id(), RawWorker(env)
    first = await env.start_raw(workflow_id, priority=Priority(priority_key=4, fairness_key="first"))
    task = await worker.poll()
    await _set_priority(env, workflow_id, ["priority.priority_key"], priority_key=1)
    await _record_priority(env, workflow_id, "in flight")
    await worker.complete(task)
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(_continue_as_new(worker))
    await worker.run_task(complete_workflow())
    await env.chain(workflow_id, first.run_id)


async def scenario_activity_priority_inherited(env: Env) -> None:
    """What an activity does not say of its priority is that of its workflow, as it is when a worker takes it."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id, priority=Priority(priority_key=4, fairness_key="flow", fairness_weight=2))
    await worker.run_task(schedule_activity(env, "a"))
    env.record("none", await worker.poll_activity())
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await worker.run_task(schedule_activity(env, "b", priority=Priority(priority_key=2)))
    env.record("key", await worker.poll_activity())
    await env.client.get_workflow_handle(workflow_id).signal("go")
    await _set_priority(env, workflow_id, ["priority"], priority_key=3)
    await worker.run_task(schedule_activity(env, "c", priority=Priority(fairness_key="own")))
    env.record("changed", await worker.poll_activity())
    await env.history(workflow_id)
    await _end(env, workflow_id)


async def scenario_execution_pause(env: Env) -> None:
    """Pausing is switched off by default."""
    workflow_id, worker = env.id(), RawWorker(env)
    await env.start_raw(workflow_id)
    await worker.run_task()
    long = "x" * 1001
    requests: dict[str, dict[str, Any]] = {
        "empty": {},
        "unknown namespace": {"namespace": "nope", "workflow_id": workflow_id},
        "no workflow": {"namespace": NAMESPACE},
        "unknown": {"namespace": NAMESPACE, "workflow_id": env.unique("unknown")},
        "bad run": {"namespace": NAMESPACE, "workflow_id": workflow_id, "run_id": "x"},
        "long reason": {"namespace": NAMESPACE, "workflow_id": workflow_id, "reason": long},
        "long request id": {"namespace": NAMESPACE, "workflow_id": workflow_id, "request_id": long},
        "long identity": {"namespace": NAMESPACE, "workflow_id": workflow_id, "identity": long},
        "good": {"namespace": NAMESPACE, "workflow_id": workflow_id, "identity": IDENTITY, "reason": "because"},
    }
    for name, fields in requests.items():
        await env.outcome(f"pause: {name}", env.rpc.pause_workflow_execution(PauseWorkflowExecutionRequest(**fields)))
        unpause = UnpauseWorkflowExecutionRequest(**fields)
        await env.outcome(f"unpause: {name}", env.rpc.unpause_workflow_execution(unpause))
    await _end(env, workflow_id)
    good = UnpauseWorkflowExecutionRequest(**requests["good"])
    await env.outcome("unpause: closed", env.rpc.unpause_workflow_execution(good))
    await env.history(workflow_id)


async def scenario_worker_reports(env: Env) -> None:
    """Heartbeats and the good-bye of workers, well formed or not."""
    beat = [WorkerHeartbeat(worker_instance_key="key", worker_identity=IDENTITY, task_queue=env.queue)]
    for namespace in ("", "nope", NAMESPACE):
        heartbeat = RecordWorkerHeartbeatRequest(namespace=namespace, identity=IDENTITY, worker_heartbeat=beat)
        await env.outcome(f"heartbeat {namespace}", env.rpc.record_worker_heartbeat(heartbeat))
        empty = RecordWorkerHeartbeatRequest(namespace=namespace, worker_heartbeat=[WorkerHeartbeat()])
        await env.outcome(f"empty heartbeat {namespace}", env.rpc.record_worker_heartbeat(empty))
        for sticky in ("", env.unique("sticky")):
            shutdown = ShutdownWorkerRequest(namespace=namespace, sticky_task_queue=sticky, identity=IDENTITY)
            await env.outcome(f"shutdown {namespace} {sticky}", env.rpc.shutdown_worker(shutdown))
