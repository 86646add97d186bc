"""`SideBySidePlugin`: one client over a Temporal server and your database, and workers for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import temporalio.client
from temporalio.service import ConnectConfig, ServiceClient
from temporalio.worker import Worker

from hotmesh_temporal.connection import resolve
from hotmesh_temporal.plugin import HotMeshPlugin

from .calls import How
from .choice import Choice, Rule
from .service_client import SideBySideServiceClient

if TYPE_CHECKING:
    from hotmesh_temporal.telemetry import Telemetry


class SideBySidePlugin(HotMeshPlugin):
    """Connect a client to the Temporal server that it names and to your database, as if they were one.

    Give it to the client only, and last among its plugins; the client's workers get it from there, and work for both::

        client = await Client.connect("temporal:7233", plugins=[SideBySidePlugin("postgresql://…", share=0.1)])

    What is new starts on one of the sides (see `Choice`, and `choice` to change it while the client is used). What
    exists is found where it is, also if ``hotmesh-temporal migrate`` moves it meanwhile.

    Args:
        connection: Your database; `hotmesh_temporal.connection.resolve` names the forms, and what is used when None.
        connections: The same, by service.
        share: How much of what is new starts in your database: 0 (nothing) to 1 (everything). The id decides.
        by_workflow_type: Shares of workflow types that have one of their own.
        by_task_queue: Shares of task queues that have one of their own.
        rule: A function that is asked first; it gives a `Side`, or None for: as the shares say.
        namespace: Used in place of the client's namespace when given.
        telemetry: Metrics and traces of the engine. The first client of a database in this process decides.

    Raises:
        ValueError: A share is not a number from 0 to 1.
    """

    def __init__(
        self,
        connection: Any = None,
        *,
        connections: Mapping[str, Any] | None = None,
        share: float = 1.0,
        by_workflow_type: Mapping[str, float] | None = None,
        by_task_queue: Mapping[str, float] | None = None,
        rule: Rule | None = None,
        namespace: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        super().__init__(connection, connections=connections, namespace=namespace, telemetry=telemetry)
        self.choice = Choice(share, by_workflow_type or {}, by_task_queue or {}, rule)

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        """Connect to the server, and make a service client of both.

        Raises:
            RuntimeError: The Temporal server cannot be reached.
            InvalidConnection: The connection cannot be understood or is not supported.
            ConnectionFailed: The database cannot be used.
        """
        connections = resolve(self._connection, connections=self._connections)
        temporal = await next(config)
        client = SideBySideServiceClient(config, connections, temporal, self.choice, factory=self._factory)
        if not config.lazy:
            await client.connect_engine()
        return client

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run the worker on your database, and one like it on the Temporal server. They end together."""
        service_client = worker.client.service_client
        if not isinstance(service_client, SideBySideServiceClient):
            return await super().run_worker(worker, next)
        await service_client.router.namespaces.ensure(worker.client.namespace, How())
        other = _like(worker, _client_like(worker.client, service_client.for_temporal()))
        await _run_both(super().run_worker(worker, next), worker, other)


def _client_like(client: temporalio.client.Client, service_client: ServiceClient) -> temporalio.client.Client:
    config: dict[str, Any] = {**client.config(), "service_client": service_client}
    return temporalio.client.Client(**config)


def _like(worker: Worker, client: temporalio.client.Client) -> Worker:
    """A worker with the same configuration on another client."""
    config: dict[str, Any] = {**worker.config(), "client": client}
    # Both have the client's plugins; those of the worker itself come with its configuration.
    return Worker(**config)


async def _run_both(running: Awaitable[None], worker: Worker, other: Worker) -> None:
    """Run two workers until one ends, for whatever reason, or is asked to; then the other is ended, too."""
    tasks = {asyncio.ensure_future(running): worker, asyncio.ensure_future(other.run()): other}
    asked = asyncio.ensure_future(_asked_to_end(worker))
    try:
        await asyncio.wait({*tasks, asked}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*(each.shutdown() for task, each in tasks.items() if not task.done()))
    except asyncio.CancelledError:
        # As the SDK's worker does it: a cancelled worker shuts down, and then says that it was cancelled.
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    finally:
        asked.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        task.result()


async def _asked_to_end(worker: Worker) -> None:
    """Returns when the worker's shutdown begins, so that the other's grace begins with it and not after it."""
    event = getattr(worker, "_shutdown_event", None)  # private to the SDK; without it they end one after the other
    if isinstance(event, asyncio.Event):
        await event.wait()
    else:
        await asyncio.Event().wait()
