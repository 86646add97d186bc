"""`HotMeshPlugin`: the SDK's extension point through which a client and its workers use your own database.

Also the SDK's module ``temporalio.plugin``, under this package's name: the same objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import temporalio.client
import temporalio.worker
from temporalio.client import ClientConfig, WorkflowHistory
from temporalio.service import ConnectConfig, ServiceClient
from temporalio.worker import Replayer, ReplayerConfig, Worker, WorkerConfig, WorkflowReplayResult, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from . import _mirror
from .connection import Connections, InvalidConnection, resolve
from .embedded import FrontendFactory, new_frontend
from .engine_process import EngineProcess, EngineProcessFailed, threads_are_replaced
from .service_client import ConnectionFailed, HotMeshServiceClient, WorkerClient
from .worker_types import types_of

if TYPE_CHECKING:
    from temporalio.plugin import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

    from .telemetry import Telemetry
else:
    import temporalio.plugin

    def __getattr__(name: str) -> object:
        return getattr(temporalio.plugin, name)


_mirror.pass_through_sandbox()


class HotMeshPlugin(temporalio.client.Plugin, temporalio.worker.Plugin):
    """Connect a client to an engine in this process that keeps everything in your database.

    Give it to the client only; the client's workers get it from there::

        client = await temporalio.client.Client.connect("localhost:7233", plugins=[HotMeshPlugin("postgresql://…")])

    Give it last: a plugin that comes after it does not see the connection being made, because there is none.

    Args:
        connection: One database; `hotmesh_temporal.connection.resolve` names the forms, and what is used when None.
        connections: The same, by service.
        namespace: Used in place of the client's namespace when given.
        telemetry: Metrics and traces of the engine. The first client of a database in this process decides.
    """

    def __init__(
        self,
        connection: Any = None,
        *,
        connections: Mapping[str, Any] | None = None,
        namespace: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._connection = connection
        self._connections = connections
        self._namespace = namespace
        self._factory: FrontendFactory = telemetry.frontend if telemetry is not None else new_frontend

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        """See base class."""
        if self._namespace is not None:
            config["namespace"] = self._namespace
        return config

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        """Make a service client on the engine of this process, and start the engine unless the client is lazy.

        Raises:
            InvalidConnection: The connection cannot be understood or is not supported.
            ConnectionFailed: The database cannot be used.
        """
        connections = resolve(self._connection, connections=self._connections, target_host=config.target_host)
        if threads_are_replaced():
            return await self._to_engine_process(config, connections)
        client = HotMeshServiceClient(config, connections, factory=self._factory)
        if not config.lazy:
            await client.connect_engine()
        return client

    async def _to_engine_process(self, config: ConnectConfig, connections: Connections) -> ServiceClient:
        if self._factory is not new_frontend:
            raise InvalidConnection("telemetry= needs the engine in this process, which gevent's threads do not allow")
        try:
            return await WorkerClient.at(await EngineProcess.loopback(connections), config)
        except EngineProcessFailed as error:
            raise ConnectionFailed(str(error)) from error

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """See base class."""
        if "workflow_runner" in config:
            config["workflow_runner"] = _passing_through(config["workflow_runner"])
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """See base class."""
        if "workflow_runner" in config:
            config["workflow_runner"] = _passing_through(config["workflow_runner"])
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run the worker; the engine stays until it ends, even if the client is closed before.

        What the worker has registered is stored for whoever wants to know (see ``hotmesh_temporal.registry``).
        """
        service_client = worker.client.service_client
        if not isinstance(service_client, HotMeshServiceClient):
            return await next(worker)
        host = await service_client.connect_engine()
        host.retain()
        try:
            if (types := types_of(worker)) is not None:
                host.register(types)
            await next(worker)
        finally:
            await host.release()

    def run_replayer(
        self,
        replayer: Replayer,
        histories: AsyncIterator[WorkflowHistory],
        next: Callable[
            [Replayer, AsyncIterator[WorkflowHistory]],
            AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]],
        ],
    ) -> AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]]:
        """See base class."""
        return next(replayer, histories)


def _passing_through(runner: WorkflowRunner) -> WorkflowRunner:
    """The same runner, but a sandbox shares this package and drivers with workflow code, whatever the user wrote."""
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    missing = set(_mirror.PASSED_THROUGH) - runner.restrictions.passthrough_modules
    if not missing:
        return runner
    return dataclasses.replace(runner, restrictions=runner.restrictions.with_passthrough_modules(*sorted(missing)))
