"""What a scenario sees: a connected client, names that nobody else uses, and a record of what it observed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode, WorkflowService
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from compat_tests.normalize import Normalizer
from compat_tests.targets import IDENTITY, Connection

NAMESPACE = "default"
WAIT_TIMEOUT = 60.0
"""Seconds that a scenario waits for a state that must come."""

Handle = WorkflowHandle[Any, Any]


class Env:
    """One run of one scenario on one target."""

    def __init__(self, name: str, client: Client, connection: Connection) -> None:
        self.name = name
        self.client = client
        self.connection = connection
        self.workflows: dict[str, type] = {}
        self.recorded_histories: list[WorkflowHistory] = []
        self._records: list[tuple[str, Any]] = []
        self._names: dict[str, str] = {}
        self._unique = uuid.uuid4().hex[:12]
        self.queue = self.unique("queue")
        self.namespace = NAMESPACE
        """Where raw requests go; `move_to_namespace` changes it, and the client."""

    @property
    def rpc(self) -> WorkflowService:
        """The raw service."""
        return self.client.workflow_service

    def unique(self, name: str) -> str:
        """A name (of a workflow, queue, …) that no other run uses; it reads as ``<name>`` in the comparison."""
        full = f"{name}-{self._unique}"
        self._names[full] = f"<{name}>"
        return full

    def call(self, name: str, placeholder: str) -> str:
        """A name that the server has made: it reads as ``<placeholder>``. Returns the name."""
        self._names[name] = f"<{placeholder}>"
        return name

    def share_queue(self, queue: str, *workflows: type) -> None:
        """Use a queue on which a worker serves these workflows already, for this run and for others."""
        self.queue = queue
        self._names[queue] = "<queue>"
        self.workflows |= {_type_name(workflow): workflow for workflow in workflows}

    def id(self, name: str = "workflow") -> str:
        """A workflow id."""
        return self.unique(name)

    def worker(
        self,
        *workflows: type,
        activities: Sequence[Callable[..., Any]] = (),
        client: Client | None = None,
        queue: str | None = None,
        **options: Any,
    ) -> Worker:
        """The SDK's worker on this scenario's queue; few pollers, no sandbox unless ``workflow_runner`` says so."""
        self.workflows |= {_type_name(workflow): workflow for workflow in workflows}
        defaults: dict[str, Any] = {
            "workflow_runner": UnsandboxedWorkflowRunner(),
            "max_concurrent_workflow_task_polls": 2,
            "max_concurrent_activity_task_polls": 1,
        }
        return Worker(
            client or self.client,
            task_queue=queue or self.queue,
            workflows=workflows,
            activities=activities,
            **{**defaults, **options},
        )

    # Recording.

    def record(self, label: str, value: Any) -> None:
        """Keep a value for the comparison: plain data, a proto message or an exception."""
        self._records.append((label, value))

    async def outcome(self, label: str, awaitable: Awaitable[Any]) -> Any:
        """Record what `awaitable` gives, or the error that it raises; returns the result or the error."""
        try:
            value = await asyncio.wait_for(awaitable, WAIT_TIMEOUT)
        except asyncio.TimeoutError:
            raise
        except Exception as error:
            value = error
        self.record(label, value)
        return value

    async def history(self, workflow: str | Handle, label: str = "history", *, replay: bool = True) -> None:
        """Record the history of a workflow's run, to be compared and (if its class is known here) replayed."""
        workflow_id, run_id = _execution(workflow)
        history = await self.fetch_history(workflow_id, run_id)
        self.record(label, list(history.events))
        if replay and _can_replay(history, self.workflows):
            self.recorded_histories.append(WorkflowHistory(workflow_id, list(history.events)))

    async def chain(self, workflow_id: str, first_run_id: str) -> None:
        """Record the history of every run of a chain."""
        run_id, number = first_run_id, 1
        while run_id:
            handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
            await self.history(handle, f"history of run {number}")
            run_id = _next_run(await self.fetch_history(workflow_id, run_id))
            number += 1

    def normalized(self) -> list[dict[str, Any]]:
        """Everything recorded, as JSON data in order."""
        normalize = Normalizer(self._names)
        return [{"label": normalize(label), "value": normalize(value)} for label, value in self._records]

    # Looking and waiting.

    async def fetch_history(self, workflow_id: str, run_id: str = "") -> History:
        """All events of a run (of the current one if no run is named)."""
        execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        history = History()
        token = b""
        while True:
            response = await self.rpc.get_workflow_execution_history(
                GetWorkflowExecutionHistoryRequest(namespace=self.namespace, execution=execution, next_page_token=token)
            )
            history.events.extend(response.history.events)
            token = response.next_page_token
            if not token:
                return history

    async def until(
        self, condition: Callable[[], Awaitable[bool]], what: str, *, timeout: float = WAIT_TIMEOUT
    ) -> None:
        """Wait until a condition holds. Raises `AssertionError` naming `what` if it does not in time."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not await condition():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"waited {timeout} s in vain for: {what}")
            await asyncio.sleep(0.05)

    async def wait_event(self, workflow: str | Handle, event: str, count: int = 1) -> HistoryEvent:
        """Wait for the nth event of a type, named as in ``ACTIVITY_TASK_SCHEDULED``."""
        wanted = EventType.Value(f"EVENT_TYPE_{event}")
        found: list[HistoryEvent] = []

        async def seen() -> bool:
            events = (await self.fetch_history(*_execution(workflow))).events
            found[:] = [e for e in events if e.event_type == wanted]
            return len(found) >= count

        await self.until(seen, f"{count} of {event}")
        return found[count - 1]

    async def settled(self, workflow: str | Handle) -> None:
        """Wait until the workflow has answered its first task and no task is scheduled or started."""

        async def idle() -> bool:
            events = (await self.fetch_history(*_execution(workflow))).events
            tasks = [e.event_type for e in events if e.HasField("workflow_task_completed_event_attributes")]
            pending = [e.event_type for e in events if _is_task_event(e)]
            return bool(tasks) and pending[-1] == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED

        await self.until(idle, "no workflow task in flight")

    # Namespaces.

    async def new_namespace(self, name: str = "namespace", attributes: Mapping[str, int] | None = None) -> str:
        """A namespace with these custom search attributes (name to type), ready to be used."""
        namespace = self.unique(name)
        register = RegisterNamespaceRequest(
            namespace=namespace, workflow_execution_retention_period=Duration(seconds=86_400), description="compat"
        )
        await self.rpc.register_namespace(register)
        await self.until(lambda: self._is_known(namespace), f"namespace {namespace}")
        if attributes:
            await self.add_attributes(namespace, attributes)
        return namespace

    async def add_attributes(self, namespace: str, attributes: Mapping[str, int]) -> None:
        """Add custom search attributes and wait until they can be used."""
        request = AddSearchAttributesRequest(namespace=namespace, search_attributes=attributes)  # pyright: ignore[reportArgumentType]  (enum values are ints)
        await self.client.operator_service.add_search_attributes(request)
        query = " AND ".join(f"`{name}` IS NULL" for name in attributes)
        await self.until(lambda: self._is_known(namespace, query), f"search attributes of {namespace}")

    async def move_to_namespace(self, namespace: str) -> None:
        """From here on the scenario's client and raw requests are in this namespace."""
        self.client = await self.client_of(namespace)
        self.namespace = namespace

    async def client_of(self, namespace: str) -> Client:
        """The scenario's client, in another namespace."""
        config = self.client.config()
        config["namespace"] = namespace
        return Client(**config)

    async def _is_known(self, namespace: str, query: str = "") -> bool:
        try:
            await self.rpc.list_workflow_executions(ListWorkflowExecutionsRequest(namespace=namespace, query=query))
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return False
            raise
        return True

    # Raw starts.

    async def start_raw(self, workflow_id: str, **fields: Any) -> StartWorkflowExecutionResponse:
        """StartWorkflowExecution of type ``Raw`` on this scenario's queue; `fields` override the request's."""
        return await self.rpc.start_workflow_execution(self.start_request(workflow_id, **fields))

    def start_request(self, workflow_id: str, **fields: Any) -> StartWorkflowExecutionRequest:
        """The request of `start_raw`."""
        defaults: dict[str, Any] = {
            "namespace": self.namespace,
            "workflow_id": workflow_id,
            "workflow_type": WorkflowType(name="Raw"),
            "task_queue": TaskQueue(name=self.queue),
            "identity": IDENTITY,
            "request_id": str(uuid.uuid4()),
        }
        return StartWorkflowExecutionRequest(**{**defaults, **fields})


def seconds(value: float) -> timedelta:
    """A timedelta."""
    return timedelta(seconds=value)


def _execution(workflow: str | Handle) -> tuple[str, str]:
    if isinstance(workflow, str):
        return workflow, ""
    return workflow.id, workflow.run_id or workflow.first_execution_run_id or ""


def _type_name(workflow: type) -> str:
    definition = getattr(workflow, "__temporal_workflow_definition")
    return definition.name or ""


def _is_task_event(event: HistoryEvent) -> bool:
    return EventType.Name(event.event_type).startswith("EVENT_TYPE_WORKFLOW_TASK_")


def _can_replay(history: History, workflows: dict[str, type]) -> bool:
    started = history.events[0].workflow_execution_started_event_attributes
    completed = any(e.HasField("workflow_task_completed_event_attributes") for e in history.events)
    return completed and (started.workflow_type.name in workflows or "" in workflows)


def _next_run(history: History) -> str:
    last = history.events[-1]
    attributes = last.WhichOneof("attributes") or ""
    return str(getattr(getattr(last, attributes), "new_execution_run_id", "") or "")
