"""A frontend that answers without an engine, for tests of what carries requests to a frontend and replies back."""

from __future__ import annotations

import asyncio
import threading

from google.protobuf.message import Message
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    GetClusterInfoResponse,
    GetSystemInfoResponse,
    PollWorkflowTaskQueueResponse,
)
from temporalio.bridge.proto.health.v1 import HealthCheckResponse

from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.errors import Unavailable
from hotmesh_temporal.errors import Code, RpcError
from hotmesh_temporal.transport.interface import Metadata


class NoBackend(Backend):
    """A database that nothing is kept in. Its URL is its identity."""

    def __init__(self, spec: ConnectionSpec) -> None:
        self._spec = spec

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See base class."""

    async def close(self) -> None:
        """See base class."""

    @property
    def identity(self) -> str:
        """See base class."""
        return self._spec.url


class EchoFrontend:
    """Answers some RPCs; what it saw is kept for assertions.

    A namespace's name (or id) in DescribeNamespace chooses what happens: "missing" fails with a detail, "busy" fails
    twice with UNAVAILABLE, "slow" waits for ever, "broken" has a mistake, "fail:…" fails with that text; any other
    comes back.
    """

    def __init__(self, backend: Backend) -> None:
        self.identity = backend.identity
        self.started = self.closed = self.cancelled = self.calls = 0
        self.entered = threading.Event()
        self.was_cancelled = threading.Event()
        self.thread = ""
        self.deadline: float | None = None
        self.metadata: Metadata = {}
        self.request: Message | None = None
        self.reply: Message | None = None

    async def start(self) -> None:
        """See `Frontend.start`. The database "…unreachable" cannot be opened."""
        if self.identity.endswith("unreachable"):
            raise Unavailable("nothing listens there; start it")
        self.started += 1
        self.thread = threading.current_thread().name

    async def close(self) -> None:
        """See `Frontend.close`."""
        self.closed += 1

    async def call(
        self, service: str, method: str, request: Message, *, metadata: Metadata, deadline: float | None
    ) -> Message:
        """See `Frontend.call`."""
        self.calls += 1
        self.deadline, self.metadata, self.request = deadline, metadata, request
        self.reply = await self._answer(method, request)
        return self.reply

    async def _answer(self, method: str, request: Message) -> Message:
        if isinstance(request, DescribeNamespaceRequest):
            return await self._describe(request.namespace or request.id)
        if method == "PollWorkflowTaskQueue":
            await self._wait()
            return PollWorkflowTaskQueueResponse()
        if method == "Check":
            return HealthCheckResponse(status=HealthCheckResponse.ServingStatus.SERVING)
        if method == "GetSystemInfo":
            return GetSystemInfoResponse(server_version="echo")
        if method == "GetClusterInfo":
            return GetClusterInfoResponse(server_version="echo")
        raise RpcError(Code.UNIMPLEMENTED, f"{method} is not served")

    async def _describe(self, namespace: str) -> Message:
        if namespace == "missing":
            detail = NamespaceNotFoundFailure(namespace="missing")
            raise RpcError(Code.NOT_FOUND, "Namespace missing is not found.", [detail])
        if namespace == "busy" and self.calls < 3:
            raise RpcError(Code.UNAVAILABLE, "try again")
        if namespace == "slow":
            await self._wait()
        if namespace.startswith("fail:"):
            raise RpcError(Code.FAILED_PRECONDITION, namespace[5:])
        if namespace == "broken":
            raise ZeroDivisionError("secret text")
        reply = DescribeNamespaceResponse()
        reply.namespace_info.name = namespace
        return reply

    async def _wait(self) -> None:
        self.entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            self.was_cancelled.set()
            raise
