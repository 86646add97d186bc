"""Resets by hand, and what is to be seen of a run afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ResetWorkflowExecutionRequest,
    ResetWorkflowExecutionResponse,
)

from compat_tests.env import NAMESPACE, Env, Handle
from compat_tests.targets import IDENTITY


async def reset(
    env: Env, workflow_id: str, finish_event_id: int, run_id: str = "", **fields: Any
) -> ResetWorkflowExecutionResponse:
    """Reset a run (the current one if none is named) to an event; ``fields`` override those of the request."""
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "workflow_execution": WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        "reason": "once more",
        "workflow_task_finish_event_id": finish_event_id,
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
    }
    return await env.rpc.reset_workflow_execution(ResetWorkflowExecutionRequest(**{**defaults, **fields}))


async def try_points(env: Env, workflow_id: str, run_id: str, *, first: int = 2) -> None:
    """Record the history of a run, and what comes of a reset of it to each of its events."""
    old = run(env, workflow_id, run_id)
    await env.history(old, "to be reset")
    last = (await events(env, old))[-1].event_id
    for event_id in range(first, last + 2):
        await env.outcome(f"reset to {event_id}", reset(env, workflow_id, event_id, run_id))
        await env.history(workflow_id, f"after the reset to {event_id}")


async def events(env: Env, workflow: str | Handle) -> Sequence[HistoryEvent]:
    """The history of a run."""
    if isinstance(workflow, str):
        return (await env.fetch_history(workflow)).events
    return (await env.fetch_history(workflow.id, workflow.run_id or "")).events


async def describe(env: Env, workflow_id: str, run_id: str = "") -> DescribeWorkflowExecutionResponse:
    """The run as it is now."""
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    return await env.rpc.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=NAMESPACE, execution=execution)
    )


def run(env: Env, workflow_id: str, run_id: str) -> Handle:
    """One run."""
    return env.client.get_workflow_handle(workflow_id, run_id=run_id)
