"""A listener for the workers of this process: gRPC over HTTP/2, unary calls only, on the engine's own event loop.

It answers the same calls as `grpc_server`, for a tenth of the processor time. Three things make the difference: the
client is told to use no dynamic header table, so that an RPC's header block is a constant that one dictionary look-up
turns into a route; the headers and trailers of an answer are constants; and a small answer is one write.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

from google.protobuf.message import DecodeError, Message

from ..errors import Code, RpcError
from . import http2
from .hpack import Decoder, Header, HpackError, encode
from .http2 import ErrorCode, FrameType, ProtocolError, SendWindows, Setting
from .interface import Frontend
from .methods import Method, by_path

_LOG = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# We take requests as fast as they come: they are from this process.
_RECEIVE_WINDOW = (1 << 31) - 1
_REFILL_BYTES = 1 << 30
_ROUTES_KEPT = 1024

_OPENING = http2.settings_frame(
    {
        Setting.HEADER_TABLE_SIZE: 0,
        Setting.MAX_CONCURRENT_STREAMS: 100_000,
        Setting.INITIAL_WINDOW_SIZE: _RECEIVE_WINDOW,
    }
) + http2.window_update(0, _RECEIVE_WINDOW - 65535)
_ANSWER_HEADERS: list[Header] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
_ANSWER_BLOCK = encode(_ANSWER_HEADERS)
_OK_BLOCK = encode([(b"grpc-status", b"0")])
_TIMEOUT_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Headers of the transport; the frontend has no use for them.
_OWN_HEADERS = frozenset({b"te", b"content-type", b"authorization", b"grpc-timeout", b"grpc-accept-encoding"})


class LoopbackListener:
    """Serve a frontend on a free port of the loopback interface, on the event loop that calls `start`.

    Args:
        frontend: What answers.
        token: Every request must carry ``authorization: Bearer <token>``.
    """

    def __init__(self, frontend: Frontend, *, token: str) -> None:
        self._shared = _Shared(frontend, f"Bearer {token}".encode())
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """See `Listener.start`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._shared), "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self, grace: float = 0.0) -> None:
        """See `Listener.close`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        tasks = [task for connection in self._shared.connections for task in connection.tasks()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for connection in list(self._shared.connections):
            connection.shut()


@dataclass
class _Shared:
    """What the connections of a listener have in common."""

    frontend: Frontend
    authorization: bytes
    connections: set[_Connection] = field(default_factory=lambda: set[_Connection]())


@dataclass(frozen=True)
class _Route:
    """What a header block asks for; ``refusal`` when it cannot be had."""

    method: Method | None = None
    metadata: Mapping[str, str | bytes] = field(default_factory=lambda: dict[str, str | bytes]())
    deadline: float | None = None
    refusal: RpcError | None = None


@dataclass
class _Stream:
    """A request that is being received or answered."""

    route: _Route
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=lambda: list[bytes]())
    size: int = 0
    task: asyncio.Task[None] | None = None


class _Connection(asyncio.Protocol):
    """One connection of the SDK's core."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._windows = SendWindows(self._write)
        self._decoder = Decoder()
        self._routes: dict[bytes, _Route] = {}
        self._streams: dict[int, _Stream] = {}
        self._buffer = b""
        self._greeted = False
        self._last_stream = 0
        self._received = 0
        # A header block that goes on in CONTINUATION frames: its stream, its flags, its parts.
        self._partial: tuple[int, int, list[bytes]] | None = None

    def tasks(self) -> list[asyncio.Task[None]]:
        """The calls that are under way."""
        return [stream.task for stream in self._streams.values() if stream.task]

    def shut(self, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Say good-bye and close; the calls that are under way are cancelled."""
        if self._transport is not None:
            last = self._last_stream.to_bytes(4, "big")
            self._write(http2.frame(FrameType.GOAWAY, 0, 0, last + int(code).to_bytes(4, "big")))
            self._transport.close()
        self._forget()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._shared.connections.add(self)
        self._write(_OPENING)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._forget()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        try:
            self._buffer = data[self._take_frames(data) :]
        except HpackError as error:
            self._fail(ErrorCode.COMPRESSION_ERROR, error)
        except ProtocolError as error:
            self._fail(error.code, error)

    def _take_frames(self, data: bytes) -> int:
        """Handle the frames that are complete; returns how many bytes they were."""
        position = 0
        if not self._greeted:
            if len(data) < len(http2.PREFACE) and http2.PREFACE.startswith(data):
                return 0
            if not data.startswith(http2.PREFACE):
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2")
            self._greeted = True
            position = len(http2.PREFACE)
        while len(data) - position >= http2.FRAME_HEADER_BYTES:
            size = int.from_bytes(data[position : position + 3], "big")
            if size > http2.MAX_FRAME_BYTES:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
            body = position + http2.FRAME_HEADER_BYTES
            if len(data) < body + size:
                break
            stream = int.from_bytes(data[position + 5 : body], "big") & 0x7FFFFFFF
            self._frame(data[position + 3], data[position + 4], stream, data[body : body + size])
            position = body + size
        return position

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._partial is not None and kind != FrameType.CONTINUATION:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        match kind:
            case FrameType.HEADERS:
                self._headers(flags, stream, payload)
            case FrameType.DATA:
                self._data(flags, stream, payload)
            case FrameType.CONTINUATION:
                self._continuation(flags, stream, payload)
            case FrameType.SETTINGS:
                self._settings(flags, payload)
            case FrameType.PING if not flags & http2.ACK:
                self._write(http2.frame(FrameType.PING, http2.ACK, 0, payload))
            case FrameType.WINDOW_UPDATE if not stream or stream in self._streams or self._windows.waits(stream):
                self._windows.update(stream, payload)
            case FrameType.RST_STREAM:
                self._end(stream)
            case _:  # priorities, our own acknowledgements, a good-bye, and what the future brings
                pass

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & (http2.PADDED | http2.PRIORITY):
            payload = http2.without_padding(flags, payload, priority=bool(flags & http2.PRIORITY))
        if not flags & http2.END_HEADERS:
            self._partial = (stream, flags, [payload])
            return
        self._open(flags, stream, payload)

    def _continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._partial is None or self._partial[0] != stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block is continued that was not begun")
        _, first_flags, parts = self._partial
        parts.append(payload)
        if sum(map(len, parts)) > _MAX_MESSAGE_BYTES:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block is too large")
        if flags & http2.END_HEADERS:
            self._partial = None
            self._open(first_flags, stream, b"".join(parts))

    def _open(self, flags: int, stream: int, block: bytes) -> None:
        route = self._route(block)
        if stream in self._streams:  # trailers of a request: nothing in them concerns us
            if flags & http2.END_STREAM:
                self._begin(stream)
            return
        if stream <= self._last_stream or not stream & 1:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a stream has a wrong number")
        self._last_stream = stream
        self._streams[stream] = _Stream(route)
        if flags & http2.END_STREAM:
            self._begin(stream)

    def _route(self, block: bytes) -> _Route:
        route = self._routes.get(block)
        if route is None:
            stateless = self._decoder.stateless
            route = _read_route(self._decoder.decode(block), self._shared.authorization)
            if stateless and self._decoder.stateless:
                if len(self._routes) >= _ROUTES_KEPT:
                    self._routes.clear()
                self._routes[block] = route
        return route

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received >= _REFILL_BYTES:
            self._write(http2.window_update(0, self._received))
            self._received = 0
        open_stream = self._streams.get(stream)
        if open_stream is None or open_stream.task:
            return  # it was cancelled meanwhile
        if flags & http2.PADDED:
            payload = http2.without_padding(flags, payload)
        open_stream.chunks.append(payload)
        open_stream.size += len(payload)
        if open_stream.size > _MAX_MESSAGE_BYTES:
            self._answer_error(stream, RpcError(Code.RESOURCE_EXHAUSTED, "the request is too large"))
        elif flags & http2.END_STREAM:
            self._begin(stream)

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & http2.ACK:
            return
        settings = http2.parse_settings(payload)
        if Setting.INITIAL_WINDOW_SIZE in settings:
            self._windows.settings(settings[Setting.INITIAL_WINDOW_SIZE])
        self._write(http2.frame(FrameType.SETTINGS, http2.ACK, 0))

    def _begin(self, stream: int) -> None:
        """The request is complete: answer it in a task of its own, which the end of the stream cancels."""
        request = self._streams[stream]
        route = request.route
        if route.method is None:
            return self._answer_error(stream, route.refusal or RpcError(Code.INTERNAL, "no route"))
        body = request.chunks[0] if len(request.chunks) == 1 else b"".join(request.chunks)
        request.chunks.clear()
        try:
            message = route.method.request.FromString(_message_of(body))
        except DecodeError:
            return self._answer_error(stream, RpcError(Code.INTERNAL, "the request cannot be decoded"))
        except RpcError as error:
            return self._answer_error(stream, error)
        request.task = self._loop.create_task(self._serve(stream, route.method, route, message))

    async def _serve(self, stream: int, method: Method, route: _Route, request: Message) -> None:
        try:
            reply = await self._call(method, route, request)
        except asyncio.CancelledError:
            if stream in self._streams and self._transport is not None:
                self._answer_error(stream, RpcError(Code.CANCELLED, "the engine was closed during the call"))
            raise
        except RpcError as error:
            self._answer_error(stream, error)
        except Exception:
            _LOG.exception("%s failed", method.name)
            text = f"internal error in {method.name}; see the log of the server"
            self._answer_error(stream, RpcError(Code.INTERNAL, text))
        else:
            self._answer(stream, reply.SerializeToString())

    async def _call(self, method: Method, route: _Route, request: Message) -> Message:
        frontend = self._shared.frontend
        call = frontend.call(method.service, method.name, request, metadata=route.metadata, deadline=route.deadline)
        return await call

    def _answer(self, stream: int, message: bytes) -> None:
        if stream not in self._streams:
            return  # nobody waits any more
        data = b"\0" + len(message).to_bytes(4, "big") + message
        headers = http2.headers_frames(stream, _ANSWER_BLOCK, end_stream=False)
        trailers = http2.headers_frames(stream, _OK_BLOCK, end_stream=True)
        del self._streams[stream]
        if self._windows.fits(len(data)):
            self._windows.spend(len(data))
            self._windows.drop(stream)
            self._write(headers + http2.frame(FrameType.DATA, 0, stream, data) + trailers)
        else:
            self._write(headers)
            self._windows.send(stream, data, trailers)

    def _answer_error(self, stream: int, error: RpcError) -> None:
        if self._streams.pop(stream, None) is None:
            return
        self._windows.drop(stream)
        self._write(http2.headers_frames(stream, encode(_error_headers(error)), end_stream=True))

    def _end(self, stream: int) -> None:
        """The client gave up on a call."""
        self._windows.drop(stream)
        gone = self._streams.pop(stream, None)
        if gone is not None and gone.task is not None:
            gone.task.cancel()

    def _forget(self) -> None:
        self._shared.connections.discard(self)
        for stream in list(self._streams):
            self._end(stream)

    def _fail(self, code: ErrorCode, error: Exception) -> None:
        _LOG.warning("a connection of a worker ends: %s", error)
        self.shut(code)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _read_route(headers: list[Header], authorization: bytes) -> _Route:
    found = dict(headers)
    path = found.get(b":path", b"").decode("ascii", "replace")
    if not hmac.compare_digest(found.get(b"authorization", b""), authorization):
        return _Route(refusal=RpcError(Code.UNAUTHENTICATED, "this endpoint serves its own process only"))
    method = by_path().get(path)
    if method is None:
        service, _, name = path.lstrip("/").partition("/")
        return _Route(refusal=RpcError(Code.UNIMPLEMENTED, f"unknown method {name} for service {service}"))
    return _Route(method, _metadata(headers), _deadline(found.get(b"grpc-timeout")))


def _metadata(headers: list[Header]) -> Mapping[str, str | bytes]:
    metadata: dict[str, str | bytes] = {}
    for name, value in headers:
        if name[:1] == b":" or name in _OWN_HEADERS:
            continue
        text = name.decode("ascii", "replace")
        metadata[text] = _unbase64(value) if text.endswith("-bin") else value.decode("latin-1")
    return metadata


def _unbase64(value: bytes) -> bytes:
    with contextlib.suppress(ValueError):
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    return b""


def _deadline(value: bytes | None) -> float | None:
    """Seconds, from gRPC's number with a unit."""
    if not value:
        return None
    text = value.decode("ascii", "replace")
    number, unit = text[:-1], _TIMEOUT_UNITS.get(text[-1])
    return int(number) * unit if unit and number.isdecimal() else None


def _message_of(body: bytes) -> bytes:
    """The one message of a request."""
    if len(body) < 5 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise RpcError(Code.INTERNAL, "the request is not one gRPC message")
    if body[0]:
        raise RpcError(Code.UNIMPLEMENTED, "compressed requests are not served")
    return body[5:]


def _error_headers(error: RpcError) -> list[Header]:
    headers = [*_ANSWER_HEADERS, (b"grpc-status", str(int(error.code)).encode())]
    headers.append((b"grpc-message", quote(error.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}").encode()))
    if error.details:
        headers.append((b"grpc-status-details-bin", base64.b64encode(error.status_proto()).rstrip(b"=")))
    return headers
