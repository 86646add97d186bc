"""How a schedule starts a workflow: as the RPC would, asked for by the service."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from ..engine.turn import Turn
from ..runtime.service import Runtime
from . import validate
from .admission import admit
from .rpc import start


class ScheduleStarts:
    """See `runtime.schedule_actions.Starts`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def prepare(self, request: StartWorkflowExecutionRequest) -> Callable[[], Turn]:
        """Check the request as the RPC does. Raises `RpcError`, also if the namespace takes no starts any more."""
        await admit(self._runtime, "StartWorkflowExecution", request)
        runtime, limits = self._runtime, self._runtime.limits
        start.check(request)
        await start.check_attributes(runtime, request)
        validate.blob(request.input, limits.blob_size)
        validate.memo(request.memo, limits.memo_size)
        runtime.registry.started(request.namespace, request.task_queue.name, request.workflow_type.name)
        return lambda: start.opening_turn(runtime, request)
