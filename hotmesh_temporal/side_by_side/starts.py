"""What starts a workflow. An id that one side has in use behaves as if there was one server.

- If a run with the id is open, the side that has it gets the request, whatever the share or the rule says: so it
  answers with "already started", uses the run, or terminates it and starts the next one in one step, as asked.
- If all runs with the id are over and the policy asks how they ended, the side of the last one gets it, and knows.
- Else it starts where the share or the rule says.

A run may end between our look and the request. Then the side that had it could start a second one while another
process starts one on the other side. So a request that is sent only because of an open run is made one that cannot
start anything.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import SignalWithStartWorkflowExecutionResponse, SignalWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from .calls import Call, Side, Sides, copied, invalid, is_not_found
from .choice import Choice, NewWorkflow
from .finding import Finder, Found, Key
from .namespaces import Namespaces

_TRIES = 5
_ANY_END = frozenset(
    {
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING,
    }
)
_SHARED_BY_SIGNAL = (
    "namespace",
    "signal_name",
    "identity",
    "request_id",
    "control",
)


class Starts:
    """Sends starts to the right side."""

    def __init__(self, sides: Sides, finder: Finder, choice: Choice, namespaces: Namespaces) -> None:
        self._sides = sides
        self._finder = finder
        self._choice = choice
        self._namespaces = namespaces

    async def start(self, call: Call) -> Message:
        """StartWorkflowExecution."""
        return await self._start(call, call.request)

    async def update_with_start(self, call: Call) -> Message:
        """ExecuteMultiOperation: a start and an update of the same workflow."""
        operations = call.request.operations
        if not operations or not operations[0].HasField("start_workflow"):
            raise invalid("an operation of several parts begins with a start")
        return await self._start(call, operations[0].start_workflow)

    async def signal_with_start(self, call: Call) -> Message:
        """SignalWithStartWorkflowExecution: an open run gets a plain signal if it is not where a new one would be."""
        key = Key(call.request.namespace, call.request.workflow_id)
        target = self._target(call.request)
        for _ in range(_TRIES):
            here, there = await self._finder.both(key, call)
            running = _running(here, there)
            if running is None or running.side is target or _terminates(call.request):
                break
            try:
                await self._sides.ask(running.side, "signal_workflow_execution", _signal(call.request, running), call)
            except RPCError as error:
                if not is_not_found(error):
                    raise
                continue
            self._finder.remember(key, running.side)
            return SignalWithStartWorkflowExecutionResponse(run_id=running.run_id, started=False)
        else:
            here, there = await self._finder.both(key, call)
        return await self._send(call, key, await self._side(call, call.request, here, there, target))

    async def _start(self, call: Call, start: Any) -> Message:
        key = Key(start.namespace or call.request.namespace, start.workflow_id)
        target = self._target(start)
        for _ in range(_TRIES):
            here, there = await self._finder.both(key, call)
            running = _running(here, there)
            side = await self._side(call, start, here, there, target)
            if running is None or side is target or _terminates(start):
                break
            try:
                return await self._send(call, key, side, _starting_nothing(call.request))
            except RPCError as error:
                if error.status is not RPCStatusCode.ALREADY_EXISTS or await self._is_open(running, key, call):
                    raise
        else:
            here, there = await self._finder.both(key, call)
            side = await self._side(call, start, here, there, target)
        return await self._send(call, key, side)

    async def _is_open(self, running: Found, key: Key, call: Call) -> bool:
        now = await self._finder.look(running.side, key, call)
        return now is not None and now.open

    def _target(self, start: Any) -> Side:
        new = NewWorkflow(start.namespace, start.workflow_id, start.workflow_type.name, start.task_queue.name, start)
        return self._choice.side_of(new)

    async def _side(self, call: Call, start: Any, here: Found | None, there: Found | None, target: Side) -> Side:
        """The side that gets the request."""
        running = _running(here, there)
        if running is not None:
            return running.side
        over = [found for found in (here, there) if found is not None]
        if over and start.workflow_id_reuse_policy not in _ANY_END:
            return max(over, key=lambda found: found.started).side
        if target is Side.HOTMESH:
            await self._namespaces.ensure(start.namespace, call)
        return target

    async def _send(self, call: Call, key: Key, side: Side, request: Message | None = None) -> Message:
        reply = await self._sides.send(side, call, request)
        self._finder.remember(key, side)
        return reply


def _running(here: Found | None, there: Found | None) -> Found | None:
    return next((found for found in (here, there) if found is not None and found.open), None)


def _terminates(start: Any) -> bool:
    """Whether an open run would be terminated: only the side that has it can do that and start in one step."""
    return (
        start.workflow_id_conflict_policy == WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
        or start.workflow_id_reuse_policy == WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    )


def _starting_nothing(request: Any) -> Any:
    """The same request, which is refused when there is no open run."""
    copy = copied(request)
    start = copy.operations[0].start_workflow if hasattr(copy, "operations") else copy
    start.workflow_id_reuse_policy = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    return copy


def _signal(request: Any, running: Found) -> SignalWorkflowExecutionRequest:
    """The signal of a signal-with-start, for a run that is open."""
    signal = SignalWorkflowExecutionRequest(
        workflow_execution=WorkflowExecution(workflow_id=request.workflow_id, run_id=running.run_id),
        **{name: getattr(request, name) for name in _SHARED_BY_SIGNAL},
    )
    if request.HasField("signal_input"):
        signal.input.CopyFrom(request.signal_input)
    if request.HasField("header"):
        signal.header.CopyFrom(request.header)
    signal.links.extend(request.links)
    return signal
