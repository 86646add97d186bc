"""The SDK's service client on an engine in this process: client calls do not touch a socket.

Workers still speak gRPC, because the polling is done by the SDK's Rust core; for them a loopback endpoint is opened
when the first worker of a client is created.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeGuard, cast

import temporalio.service
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.service import ConnectConfig, GrpcCompression, RetryConfig, RPCError, RPCStatusCode, ServiceResponse

from .connection import Connections
from .contracts.errors import ContractError
from .embedded import EngineHost, EngineStopped, FrontendFactory, Loopback, new_frontend
from .errors import RpcError
from .transport.methods import rpc_name

# What the SDK's core allows a call without a timeout of its own, in seconds: a long poll, and any other.
_LONG_POLL_SECONDS = 70.0
_CALL_SECONDS = 30.0
_LONG_POLLS = frozenset(
    {
        "execute_multi_operation",
        "get_workflow_execution_history",
        "poll_activity_execution",
        "poll_activity_task_queue",
        "poll_nexus_task_queue",
        "poll_workflow_execution_update",
        "poll_workflow_task_queue",
        "update_workflow_execution",
    }
)
# The core also repeats INTERNAL, UNKNOWN and the like, for the sake of proxies on the way; here there are none.
_TRANSIENT = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED})


class ConnectionFailed(RuntimeError):
    """The client could not connect; the text says why and what to do. (The SDK raises a RuntimeError there, too.)"""


class HotMeshServiceClient(temporalio.service.ServiceClient):
    """A service client that is answered by the engine of this process.

    Args:
        config: The SDK's configuration. Identity, metadata, retries and laziness are honoured; what concerns the
            network (TLS, proxy, compression, keep-alive) has no meaning here.
        connections: The database.
        factory: Makes the frontend; for tests.
    """

    def __init__(
        self, config: ConnectConfig, connections: Connections, *, factory: FrontendFactory = new_frontend
    ) -> None:
        super().__init__(config)
        self._connections = connections
        self._factory = factory
        self._host: EngineHost | None = None
        self._closed = False
        self._connecting: asyncio.Lock | None = None
        self._worker: WorkerClient | None = None
        self._worker_lock = threading.Lock()
        self._headers: Mapping[str, str | bytes] = {}
        self.update_rpc_metadata(config.rpc_metadata)

    async def connect_engine(self) -> EngineHost:
        """The engine, started when needed.

        Raises:
            ConnectionFailed: The database cannot be used.
        """
        if self._host is None:
            if self._connecting is None:
                self._connecting = asyncio.Lock()
            async with self._connecting:
                if self._host is None:
                    host = await self._acquire()
                    if self._host is not None:  # a worker was made meanwhile
                        await host.release()
                    self._host = self._host or host
        return self._host

    async def close(self) -> None:
        """Give the engine back; the last client of a database stops it. Later calls fail. Idempotent."""
        self._closed = True
        host, self._host = self._host, None
        self._worker = None
        if host is not None:
            await host.release()

    @property
    def connections(self) -> Connections:
        """Where the data lives."""
        return self._connections

    @property
    def worker_service_client(self) -> temporalio.service._BridgeServiceClient:  # pyright: ignore[reportPrivateUsage]
        """The client that the core of a worker polls with. Blocks for some milliseconds when it is first asked for."""
        with self._worker_lock:
            host = self._host or self._connect_for_worker()
            if self._worker is None:
                future = asyncio.run_coroutine_threadsafe(WorkerClient.open(host, self.config), host.loop)
                self._worker = future.result()
            return self._worker

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See base class."""
        _check_metadata(metadata)
        base = {"client-name": "temporal-python", "client-version": temporalio.service.__version__}
        self._headers = {**base, **_lower(metadata)}
        if self._worker is not None:
            self._worker.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """Without effect: the engine is this process's own."""

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        if retry and self._worker is not None and _wants_first_task(req):
            return await self._worker.start_eagerly(req, resp_type, service=service, metadata=metadata, timeout=timeout)
        call = await self._call(rpc, req if not retry else without_eager_start(req), service, metadata, timeout)
        if retry:
            reply = await _retried(call, self.config.retry_config or RetryConfig())
        else:
            reply = await call.once()
        return _copied(reply, resp_type)

    async def call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        """Make a call as the SDK does, for another service client that stands in front of this one."""
        return await self._rpc_call(
            rpc, req, resp_type, service=service, retry=retry, metadata=metadata, timeout=timeout
        )

    async def call_once(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        *,
        service: str,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        """Make a call that is not repeated, whatever becomes of it. What is no `RPCError` is raised as it is."""
        call = await self._call(rpc, without_eager_start(req), service, metadata, timeout)
        return _copied(await call.once(), resp_type)

    async def _call(
        self, rpc: str, req: Message, service: str, metadata: Mapping[str, str | bytes], timeout: timedelta | None
    ) -> _Call:
        host = self._host or await self.connect_engine()
        headers = self._headers
        if metadata:
            _check_metadata(metadata)
            headers = {**headers, **_lower(metadata)}
        seconds = timeout.total_seconds() if timeout else _LONG_POLL_SECONDS if rpc in _LONG_POLLS else _CALL_SECONDS
        return _Call(host, service, rpc_name(rpc), req, headers, seconds)

    def _connect_for_worker(self) -> EngineHost:
        """Start the engine from code that does not wait, by the way of another thread."""
        if self.config.lazy and not self._closed:
            raise RuntimeError("Lazy clients cannot be used for workers")
        with ThreadPoolExecutor(1) as thread:
            self._host = thread.submit(asyncio.run, self._acquire()).result()
        return self._host

    async def _acquire(self) -> EngineHost:
        if self._closed:
            raise RuntimeError("The client is closed")
        try:
            return await EngineHost.acquire(self._connections, self._factory)
        except ContractError as error:
            raise ConnectionFailed(f"Failed client connect: {error}") from error


def without_eager_start(request: Message) -> Message:
    """The request, not asking to be given the first workflow task with the answer: this client has no worker.

    The SDK's core does the same in those of its calls that it repeats, when it has no free worker; other calls are for
    callers who know what they do. The first task then goes by the queue.
    """
    if not _wants_first_task(request):
        return request
    plain = StartWorkflowExecutionRequest()
    plain.CopyFrom(request)
    plain.request_eager_execution = False
    return plain


def _wants_first_task(request: Message) -> TypeGuard[StartWorkflowExecutionRequest]:
    return isinstance(request, StartWorkflowExecutionRequest) and request.request_eager_execution


@dataclass(frozen=True)
class _Call:
    """One request, which may be sent more than once."""

    host: EngineHost
    service: str
    method: str
    request: Message
    headers: Mapping[str, str | bytes]
    seconds: float

    async def once(self) -> Message:
        """Send it.

        Raises:
            RPCError: What the frontend raised, or CANCELLED when the time was over (as the SDK's core says it).
        """
        # By value: neither side may see what the other does to its message later.
        request = type(self.request)()
        request.CopyFrom(self.request)
        try:
            reply = self.host.call(self.service, self.method, request, metadata=self.headers, deadline=self.seconds)
            timer = asyncio.get_running_loop().call_later(self.seconds, _expire, reply)
            try:
                return await reply
            finally:
                timer.cancel()
        except RpcError as error:
            raise _rpc_error(error) from None
        except EngineStopped as error:
            raise RPCError(str(error), RPCStatusCode.CANCELLED, b"") from None
        except _Expired:
            raise RPCError("Timeout expired", RPCStatusCode.CANCELLED, b"") from None


class _Expired(Exception):
    """The caller's time is over."""


def _expire(reply: asyncio.Future[Message]) -> None:
    if not reply.done():
        reply.set_exception(_Expired())


async def _retried(call: _Call, policy: RetryConfig) -> Message:
    """Send a call until it works, fails for good, or the policy's time or number of retries is used up."""
    loop = asyncio.get_running_loop()
    start, pause, retries = loop.time(), policy.initial_interval_millis / 1000, 0
    while True:
        try:
            return await call.once()
        except RPCError as error:
            pause = min(pause, policy.max_interval_millis / 1000)
            wait = pause * random.uniform(1 - policy.randomization_factor, 1 + policy.randomization_factor)
            spent = loop.time() - start + wait
            limit = policy.max_elapsed_time_millis
            if error.status not in _TRANSIENT or retries >= policy.max_retries or (limit and spent > limit / 1000):
                raise
        await asyncio.sleep(wait)
        retries += 1
        pause *= policy.multiplier


def _rpc_error(error: RpcError) -> RPCError:
    # As over the wire, where the status travels only when it has details.
    return RPCError(error.message, RPCStatusCode(error.code), error.status_proto() if error.details else b"")


def _copied(reply: Message, kind: type[ServiceResponse]) -> ServiceResponse:
    own = kind()
    if type(reply) is kind:
        own.CopyFrom(reply)
    else:  # the standard health messages are not the SDK's classes
        own.ParseFromString(reply.SerializeToString())
    return own


def _lower(metadata: Mapping[str, str | bytes]) -> Mapping[str, str | bytes]:
    return {name.lower(): value for name, value in metadata.items()}


def _check_metadata(metadata: Mapping[str, str | bytes]) -> None:
    """Refuse what gRPC would refuse.

    Raises:
        TypeError: A header whose name ends in ``-bin`` must be bytes, any other must be text.
    """
    for name, value in metadata.items():
        binary = name.lower().endswith("-bin")
        if binary and not isinstance(value, bytes):
            raise TypeError(f"metadata {name!r} is binary by its name and must be bytes")
        if not binary and not isinstance(value, str):
            raise TypeError(f"metadata {name!r} is bytes, so its name must end with '-bin'")


class WorkerClient(temporalio.service._BridgeServiceClient):  # pyright: ignore[reportPrivateUsage]  # what a worker requires
    """The SDK's own gRPC client on the loopback endpoint. It keeps the endpoint's token when the user sets metadata."""

    _authorization: Mapping[str, str] = {}

    @classmethod
    async def open(cls, host: EngineHost, config: ConnectConfig) -> WorkerClient:
        """Connect; on the engine's loop."""
        return await cls.at(await host.loopback(), config)

    @classmethod
    async def at(cls, loopback: Loopback, config: ConnectConfig) -> WorkerClient:
        """Connect to an endpoint."""
        client = cls(_loopback_config(config, loopback))
        client._authorization = _authorization(loopback)
        await client._connected_client()
        return client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        super().update_rpc_metadata({**metadata, **self._authorization})

    async def start_eagerly(
        self,
        request: Message,
        kind: type[ServiceResponse],
        *,
        service: str,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        """Start a workflow by way of the core, which gives the first task to a worker of this client if one is free."""
        rpc = "start_workflow_execution"
        return await self._rpc_call(rpc, request, kind, service=service, retry=True, metadata=metadata, timeout=timeout)


def _authorization(loopback: Loopback) -> Mapping[str, str]:
    return {"authorization": f"Bearer {loopback.token}"}


def _loopback_config(config: ConnectConfig, loopback: Loopback) -> ConnectConfig:
    metadata = cast("Mapping[str, str | bytes]", {**_lower(config.rpc_metadata), **_authorization(loopback)})
    return dataclasses.replace(
        config,
        target_host=loopback.address,
        rpc_metadata=metadata,
        api_key=None,
        tls=False,
        lazy=False,
        http_connect_proxy_config=None,
        dns_load_balancing_config=None,
        grpc_compression=GrpcCompression.NONE,
    )
