"""Find the run that a request speaks of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution

from ...contracts.commit import Mark
from ...contracts.errors import DuplicateMark
from ...engine.turn import Turn
from ...errors import RpcError, WorkflowCompleted, workflow_not_found
from ...runtime.keys import RunKey
from ...runtime.loaded import Loaded
from ...runtime.service import Runtime
from ..errors import Code

_T = TypeVar("_T")


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


async def change(
    runtime: Runtime,
    namespace: str,
    execution: WorkflowExecution,
    decide: Callable[[Turn], _T],
    *,
    request_id: str = "",
) -> tuple[_T | None, RunKey]:
    """Let ``decide`` change the run that is meant; its result, and which run it was.

    Without a run id that is the current run, also when the run that was current closes at this very moment and is
    followed by another. A request whose ``request_id`` was applied to the chain before changes nothing and gives None.
    """
    if execution.run_id and not request_id:
        # Nothing has to be found out first: a run in memory is changed in one round trip.
        key = RunKey(namespace, execution.workflow_id, execution.run_id)
        result, _ = await runtime.executions.update(key, decide, missing=partial(missing, key))
        return result, key
    if not execution.run_id:
        # A run in memory need not be asked for: as long as it is open it is the current one.
        known = runtime.executions.current_in_memory(namespace, execution.workflow_id)
        try:
            if known is not None:
                return await _apply(runtime, known, lambda turn: decide(_open(turn)), request_id)
        except RpcError as error:
            if error.code != Code.NOT_FOUND:
                raise
    loaded = await find(runtime, namespace, execution)
    while True:
        try:
            return await _apply(runtime, loaded, decide, request_id)
        except WorkflowCompleted:
            key = key_of(loaded)
            if execution.run_id:
                raise
            loaded = await find(runtime, namespace, execution)
            if key_of(loaded) == key:
                raise


async def _apply(
    runtime: Runtime, loaded: Loaded, decide: Callable[[Turn], _T], request_id: str
) -> tuple[_T | None, RunKey]:
    """Change one run. None if the request was applied before."""
    key, mark = key_of(loaded), request_mark(loaded, request_id)
    try:
        result, _ = await runtime.executions.update(
            key, decide, marks=[mark] if mark else [], missing=partial(missing, key)
        )
    except DuplicateMark:
        return None, key
    except RpcError:
        if mark and await runtime.executions.is_marked(mark):
            return None, key
        raise
    return result, key


def _open(turn: Turn) -> Turn:
    if not turn.state.running:
        raise WorkflowCompleted()
    return turn


def request_mark(loaded: Loaded, request_id: str) -> Mark | None:
    """The dedup mark of a request.

    It belongs to the first run of the chain, so that a request which is repeated because its answer got lost is not
    applied again to the next run.
    """
    state = loaded.state
    first = RunKey(state.namespace, state.workflow_id, state.first_run_id)
    return Mark(first.job_id, request_id) if request_id else None


def key_of(loaded: Loaded) -> RunKey:
    """The key of a run."""
    state = loaded.state
    return RunKey(state.namespace, state.workflow_id, state.run_id)


def missing(key: RunKey) -> RpcError:
    """There is no such run."""
    return workflow_not_found(key.workflow_id, key.run_id)
