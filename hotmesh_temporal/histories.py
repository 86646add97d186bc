"""Histories of a database, or of a Temporal server, one run after the other: for exports and for replay checks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse, ListNamespacesRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHistory
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, WorkflowService

from .connection import Connections
from .frontend.reading import ReadingFrontend
from .runtime.namespaces import SYSTEM
from .service_client import HotMeshServiceClient


async def all_namespaces(service: WorkflowService) -> list[DescribeNamespaceResponse]:
    """Every namespace that a service has, its own one too. Raises ``RPCError``."""
    found: list[DescribeNamespaceResponse] = []
    request = ListNamespacesRequest(page_size=100)
    while True:
        page = await service.list_namespaces(request, retry=True)
        found += page.namespaces
        if not page.next_page_token:
            return found
        request.next_page_token = page.next_page_token


@dataclass(frozen=True)
class Run:
    """One run, as lists show it. Times are in seconds since 1970; ``closed`` is None while it is open."""

    namespace: str
    workflow_id: str
    run_id: str
    workflow_type: str
    status: str
    started: float
    closed: float | None


@dataclass(frozen=True)
class Selection:
    """Which runs are meant.

    Args:
        query: A list filter, which they have to pass.
        workflow_ids: Only runs of these; of all if there are none.
        open: Only open ones (True), only closed ones (False), both (None).
    """

    query: str = ""
    workflow_ids: Sequence[str] = ()
    open: bool | None = None

    @property
    def filter(self) -> str:
        """The list filter of all that."""
        parts = [f"({self.query})"] if self.query.strip() else []
        if self.workflow_ids:
            parts.append(f"WorkflowId IN ({', '.join(map(quoted, self.workflow_ids))})")
        if self.open is not None:
            parts.append(f"ExecutionStatus {'=' if self.open else '!='} 'Running'")
        return " AND ".join(parts)


def quoted(text: str) -> str:
    """A text as list filters have it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Histories:
    """Reads runs and their histories; see `of_database` and `of_server`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def namespaces(self) -> list[str]:
        """The names of all namespaces, without the server's own one."""
        found = [each.namespace_info.name for each in await all_namespaces(self._client.workflow_service)]
        return [name for name in found if name != SYSTEM]

    async def runs(self, namespace: str, selection: Selection, limit: int | None = None) -> AsyncIterator[Run]:
        """The runs of a namespace, in the order of lists.

        Raises:
            RPCError: NOT_FOUND if there is no such namespace; INVALID_ARGUMENT if the filter is none.
        """
        client = self._of(namespace)
        async for each in client.list_workflows(selection.filter, limit=limit):
            yield _run(namespace, each)

    async def read(self, run: Run) -> WorkflowHistory | None:
        """The history of a run as far as there is any now; None if the run is gone."""
        handle = self._of(run.namespace).get_workflow_handle(run.workflow_id, run_id=run.run_id)
        try:
            return await handle.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _of(self, namespace: str) -> Client:
        return Client(self._client.service_client, namespace=namespace)


@asynccontextmanager
async def of_database(connections: Connections) -> AsyncGenerator[Histories]:
    """The histories of a database. It is only read, and no process at work there notices.

    Raises:
        ConnectionFailed: The database cannot be used.
    """
    service_client = HotMeshServiceClient(ConnectConfig(target_host=""), connections, factory=ReadingFrontend)
    try:
        await service_client.connect_engine()
        yield Histories(Client(service_client))
    finally:
        await service_client.close()


@asynccontextmanager
async def of_server(address: str, *, api_key: str | None = None, tls: bool = False) -> AsyncGenerator[Histories]:
    """The histories of a Temporal server.

    Raises:
        RuntimeError: It cannot be reached.
    """
    yield Histories(await Client.connect(address, api_key=api_key, tls=tls or None))


def _run(namespace: str, execution: WorkflowExecution) -> Run:
    status = execution.status or WorkflowExecutionStatus.RUNNING
    return Run(
        namespace,
        execution.id,
        execution.run_id,
        execution.workflow_type,
        status.name.lower(),
        execution.start_time.timestamp(),
        execution.close_time.timestamp() if execution.close_time is not None else None,
    )
