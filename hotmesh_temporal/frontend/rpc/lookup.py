"""Find the run that a request speaks of."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution

from ...errors import RpcError, workflow_not_found
from ...runtime.execution import Loaded
from ...runtime.keys import RunKey
from ...runtime.service import Runtime


async def find(runtime: Runtime, namespace: str, execution: WorkflowExecution) -> Loaded:
    """The run as it is now; without a run id the current one. NOT_FOUND if there is none."""
    workflow_id, run_id = execution.workflow_id, execution.run_id
    if run_id:
        loaded = await runtime.executions.load(RunKey(namespace, workflow_id, run_id))
    else:
        loaded = await runtime.executions.load_current(namespace, workflow_id)
    if loaded is None:
        raise workflow_not_found(workflow_id, run_id)
    return loaded


def key_of(loaded: Loaded) -> RunKey:
    """The key of a run."""
    state = loaded.state
    return RunKey(state.namespace, state.workflow_id, state.run_id)


def missing(key: RunKey) -> RpcError:
    """There is no such run."""
    return workflow_not_found(key.workflow_id, key.run_id)
