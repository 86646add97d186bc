"""Which RPC goes where. What is not here and is not something that only a Temporal server has is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message
from temporalio.service import RPCError

from hotmesh_temporal.frontend.unimplemented import NOT_YET
from hotmesh_temporal.transport.methods import rpc_name

from .batches import Batches
from .calls import Call, Side, Sides, refused
from .choice import Choice
from .executions import Executions, KeyOf, by_execution, by_update, by_workflow_execution, by_workflow_id
from .finding import Finder, Key
from .histories import Histories
from .lists import Lists
from .namespaces import Namespaces
from .schedules import Schedules
from .starts import Starts
from .tasks import Tasks

Route = Callable[[Call], Awaitable[Message]]

_OF_WORKERS = (
    "poll_workflow_task_queue",
    "poll_activity_task_queue",
    "respond_workflow_task_completed",
    "respond_workflow_task_failed",
    "respond_query_task_completed",
    "record_worker_heartbeat",
    "shutdown_worker",
)
# What describes the server, or the cluster.
_TEMPORAL = (
    "get_cluster_info",
    "list_clusters",
    "list_archived_workflow_executions",
    "list_task_queue_partitions",
    "describe_namespace",
    "list_namespaces",
)


class Router:
    """Takes each call of the SDK to the side, or the sides, that it concerns."""

    def __init__(self, sides: Sides, choice: Choice) -> None:
        self._sides = sides
        self.finder = Finder(sides)
        self.namespaces = Namespaces(sides)
        self._executions = Executions(sides, self.finder)
        self._choice = choice
        self._routes: dict[str, Route] = {
            **self._changes(),
            **self._reads(),
            **self._starts(),
            **self._lists(),
            **self._schedules(),
            **self._on_both(),
            **dict.fromkeys(_OF_WORKERS, _of_workers),
            **dict.fromkeys(_TEMPORAL, self._temporal),
        }

    async def route(self, call: Call) -> Message:
        """Answer a call.

        Raises:
            RPCError: As the side answered; UNIMPLEMENTED for what cannot be done on two sides.
        """
        if call.service == "health":
            return await self._health(call)
        if call.service == "test":
            raise refused("the RPCs of test servers are not for two sides")
        route = self._routes.get(call.rpc)
        if route is not None:
            return await route(call)
        if call.service == "cloud" or rpc_name(call.rpc) in NOT_YET:
            return await self._temporal(call)
        raise refused(f"{rpc_name(call.rpc)} is not known here; use a client of one side for it")

    def knows(self, rpc: str) -> bool:
        """Whether it is said where this RPC goes."""
        return rpc in self._routes or rpc_name(rpc) in NOT_YET

    def _changes(self) -> dict[str, Route]:
        change = self._executions.change
        return {
            "signal_workflow_execution": _keyed(change, by_workflow_execution),
            "request_cancel_workflow_execution": _keyed(change, by_workflow_execution),
            "terminate_workflow_execution": _keyed(change, by_workflow_execution),
            "pause_workflow_execution": _keyed(change, by_workflow_id),
            "unpause_workflow_execution": _keyed(change, by_workflow_id),
            "update_workflow_execution": _keyed(self._executions.update, by_workflow_execution),
            "poll_workflow_execution_update": _keyed(self._executions.update, by_update),
            **self._activities(),
        }

    def _activities(self) -> dict[str, Route]:
        tokens = ("record_activity_task_heartbeat", "respond_activity_task_completed")
        tokens += ("respond_activity_task_failed", "respond_activity_task_canceled")
        by_id = tuple(f"{rpc}_by_id" for rpc in tokens)
        whole = ("pause_activity", "unpause_activity", "reset_activity", "update_activity_options")
        one = ("pause_activity_execution", "unpause_activity_execution", "reset_activity_execution")
        one += ("update_activity_execution_options",)
        change = self._executions.change
        return {
            **dict.fromkeys(tokens, Tasks(self._sides, self.finder).by_token),
            **dict.fromkeys((*by_id, *one), self._of_activity),
            **dict.fromkeys(whole, _keyed(change, by_execution)),
        }

    def _reads(self) -> dict[str, Route]:
        histories = Histories(self._sides, self.finder)
        return {
            "query_workflow": _keyed(self._executions.read, by_execution),
            "reset_sticky_task_queue": _keyed(self._executions.read, by_execution),
            "update_workflow_execution_options": _keyed(self._executions.read, by_workflow_execution),
            "describe_workflow_execution": _keyed(self._executions.describe, by_execution),
            "reset_workflow_execution": _keyed(self._executions.read, by_workflow_execution),
            "delete_workflow_execution": _keyed(self._executions.delete, by_workflow_execution),
            "get_workflow_execution_history": histories.read,
            "get_workflow_execution_history_reverse": histories.read,
        }

    def _starts(self) -> dict[str, Route]:
        starts = Starts(self._sides, self.finder, self._choice, self.namespaces)
        batches = Batches(self._sides, self.finder)
        return {
            "start_workflow_execution": starts.start,
            "signal_with_start_workflow_execution": starts.signal_with_start,
            "execute_multi_operation": starts.update_with_start,
            "start_batch_operation": batches.start,
            "stop_batch_operation": batches.stop,
            "describe_batch_operation": batches.describe,
        }

    def _lists(self) -> dict[str, Route]:
        lists = Lists(self._sides, self.finder)
        executions = ("list_workflow_executions", "list_open_workflow_executions")
        executions += ("list_closed_workflow_executions", "scan_workflow_executions")
        return {
            **dict.fromkeys(executions, lists.executions),
            "count_workflow_executions": lists.count_executions,
            "list_schedules": lists.schedules,
            "count_schedules": lists.count_schedules,
            "list_batch_operations": lists.batches,
            "list_workers": lists.workers,
            "count_workers": lists.count,
        }

    def _schedules(self) -> dict[str, Route]:
        schedules = Schedules(self._sides, self._choice, self.namespaces)
        by_id = ("describe_schedule", "update_schedule", "patch_schedule", "list_schedule_matching_times")
        return {
            "create_schedule": schedules.create,
            "delete_schedule": schedules.delete,
            **dict.fromkeys(by_id, schedules.by_id),
        }

    def _on_both(self) -> dict[str, Route]:
        both = ("register_namespace", "update_namespace", "deprecate_namespace", "delete_namespace")
        both += ("add_search_attributes", "remove_search_attributes", "update_task_queue_config")
        return {
            **dict.fromkeys(both, self.namespaces.on_both),
            "list_search_attributes": self.namespaces.search_attributes,
            "get_search_attributes": self.namespaces.search_attributes,
            "get_system_info": self._system_info,
            "describe_task_queue": self._task_queue,
            "describe_worker": self._either,
        }

    async def _temporal(self, call: Call) -> Message:
        return await self._sides.send(Side.TEMPORAL, call)

    async def _of_activity(self, call: Call) -> Message:
        # Without a workflow it is an activity of its own, which only a Temporal server has.
        if not call.request.workflow_id:
            return await self._temporal(call)
        return await self._executions.change(call, by_workflow_id(call.request))

    async def _either(self, call: Call) -> Message:
        try:
            return await self._sides.send(Side.HOTMESH, call)
        except RPCError:
            return await self._temporal(call)

    async def _health(self, call: Call) -> Message:
        """Healthy when both are: the answer of the one that is not."""
        replies: dict[Side, Any] = await self._sides.send_to_both(call)
        return max(replies.values(), key=lambda reply: reply.status)

    async def _system_info(self, call: Call) -> Message:
        """The Temporal server's, with the capabilities that both sides have."""
        replies: dict[Side, Any] = await self._sides.send_to_both(call)
        ours, theirs = replies[Side.HOTMESH], replies[Side.TEMPORAL]
        for field in theirs.capabilities.DESCRIPTOR.fields:
            if field.type == field.TYPE_BOOL and not getattr(ours.capabilities, field.name):
                theirs.capabilities.ClearField(field.name)
        return theirs

    async def _task_queue(self, call: Call) -> Message:
        """The Temporal server's answer, with the pollers of both sides."""
        replies: dict[Side, Any] = await self._sides.send_to_both(call)
        merged = replies[Side.TEMPORAL]
        merged.pollers.extend(replies[Side.HOTMESH].pollers)
        return merged


def _keyed(send: Callable[[Call, Key], Awaitable[Message]], key_of: KeyOf) -> Route:
    async def route(call: Call) -> Message:
        return await send(call, key_of(call.request))

    return route


async def _of_workers(call: Call) -> Message:
    raise refused(f"{rpc_name(call.rpc)} is for workers, and each worker polls one side")
