"""A listener on grpcio's asyncio server: the public port, for clients of every kind.

One generic handler serves all RPCs. It only turns bytes into a call of the frontend, and errors into statuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from ..errors import RpcError
from .binding import check_address
from .hanging_up import hang_up, stop_listening
from .inspection import open_handlers
from .interface import Frontend, Gate, Peer
from .methods import Method, by_path
from .tls import WatchedCertificates

_LOG = logging.getLogger(__name__)

# The largest message that Temporal's own server takes by default.
_MAX_MESSAGE_BYTES = 128 * 1024 * 1024
_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A port that is in use is an error, not a second listener that steals half of the connections.
    ("grpc.so_reuseport", 0),
    # The SDKs ping every 30 s, also while nothing is in flight; without these the connection would be closed on them.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_concurrent_streams", 100_000),
)
# Until the clients have read what was sent to them: a connection that is closed before that may lose it.
_LAST_WORDS_SECONDS = 0.1
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}

_Context = grpc.aio.ServicerContext[Any, Any]


class GrpcListener:
    """Serve a frontend on a TCP port, on the event loop that calls `start`.

    Args:
        frontend: What answers.
        host: The interface to bind.
        port: The port; 0 picks a free one.
        token: When set, every request must carry ``authorization: Bearer <token>``.
        certificates: When set, clients must use TLS.
        gate: When set, it is asked about every request.
    """

    def __init__(
        self,
        frontend: Frontend,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        certificates: WatchedCertificates | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._handler = _Handler(frontend, token, gate)
        self._open = () if token else open_handlers(frontend)
        self._certificates = certificates
        self._host = host
        self._port = port
        self._server: grpc.aio.Server | None = None

    async def start(self) -> str:
        """See `Listener.start`."""
        check_address(self._host, self._port)
        server = grpc.aio.server(
            handlers=(*self._open, self._handler), options=_OPTIONS, compression=grpc.Compression.NoCompression
        )
        try:
            port = self._bind(server, f"{self._host}:{self._port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._host}:{self._port}: {error}") from error
        await server.start()
        self._server, self._port = server, port
        return f"{self._host}:{port}"

    def _bind(self, server: grpc.aio.Server, address: str) -> int:
        if self._certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, self._certificates.grpc_credentials())

    async def close(self, grace: float = 0.0) -> None:
        """See `Listener.close`."""
        server, self._server = self._server, None
        if server is not None:
            stop_listening(self._port)
            await self._handler.finish(grace)
            if hang_up(self._port):
                await asyncio.sleep(_LAST_WORDS_SECONDS)
            await server.stop(0)


class _MethodHandler(Protocol):
    async def __call__(self, request: Message, context: _Context) -> Message: ...


class _Handler(grpc.GenericRpcHandler):
    """Finds the method of a path; the answers are kept, so a call costs one dictionary look-up."""

    def __init__(self, frontend: Frontend, token: str | None, gate: Gate | None) -> None:
        self._frontend = frontend
        self._token = token
        self._gate = gate
        self._handlers: dict[str, Any] = {}
        self._running = 0
        self._idle = asyncio.Event()
        self._finishing = False

    async def finish(self, grace: float) -> None:
        """Refuse new calls; those that run have ``grace`` seconds to end."""
        self._finishing = True
        if self._running:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace)

    def _done(self, _: _Context) -> None:
        self._running -= 1
        if not self._running and self._finishing:
            self._idle.set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path: str = handler_call_details.method
        handler = self._handlers.get(path)
        if handler is None:
            method = by_path().get(path)
            if method is None:
                return _handler_of(_unknown(path))
            handler = self._handlers[path] = _handler_of(self._dispatch(path, method), method.request.FromString)
        return handler

    def _dispatch(self, path: str, method: Method) -> _MethodHandler:
        frontend, gate, expected = self._frontend, self._gate, self._token and f"Bearer {self._token}".encode()

        async def handle(request: Message, context: _Context) -> Message:
            metadata: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
            if expected and not _authorized(metadata.pop("authorization", ""), expected):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this endpoint serves its own process only")
            if self._finishing:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this server is about to stop: try another one")
            deadline: float | None = context.time_remaining()
            self._running += 1
            # Its answer is sent by then. (The stubs of grpcio want a class of theirs.)
            context.add_done_callback(cast(Any, self._done))
            try:
                if gate is not None:
                    await gate.admit(path, request, metadata, _peer(context))
                return await frontend.call(method.service, method.name, request, metadata=metadata, deadline=deadline)
            except RpcError as error:
                await _fail(context, error)
                raise

        return _logged(method.name, handle)


def _peer(context: _Context) -> Peer:
    shown = context.auth_context()
    certificate = next(iter(shown.get("x509_pem_cert", ())), b"")
    name = next(iter(shown.get("x509_common_name", ())), b"")
    return Peer(certificate, name.decode(errors="replace"))


def _authorized(given: str | bytes, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode() if isinstance(given, str) else given, expected)


async def _fail(context: _Context, error: RpcError) -> None:
    if error.details:
        context.set_trailing_metadata((("grpc-status-details-bin", error.status_proto()),))
    await context.abort(_STATUS_CODES.get(error.code, grpc.StatusCode.UNKNOWN), error.message)


def _logged(name: str, handle: _MethodHandler) -> _MethodHandler:
    """A mistake of ours is logged with its traceback; the caller sees INTERNAL and no inner text."""

    async def logged(request: Message, context: _Context) -> Message:
        try:
            return await handle(request, context)
        except (RpcError, grpc.aio.AbortError):
            raise
        except grpc.aio.InternalError as error:
            # The answer cannot be sent: the connection is gone, and with it whoever asked.
            raise asyncio.CancelledError from error
        except Exception:
            _LOG.exception("%s failed", name)
            await context.abort(grpc.StatusCode.INTERNAL, f"internal error in {name}; see the log of the server")
            raise

    return logged


def _unknown(path: str) -> Callable[[bytes, _Context], Awaitable[bytes]]:
    service, _, name = path.lstrip("/").partition("/")

    async def handle(request: bytes, context: _Context) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {name} for service {service}")
        return b""

    return handle


def _handler_of(handle: Any, deserializer: Any = None) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=deserializer, response_serializer=_serialize if deserializer else None
    )


def _serialize(reply: Message) -> bytes:
    return reply.SerializeToString()
