"""A listener for HTTP and JSON: a request becomes a call of the frontend, its reply JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import posixpath
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from ..errors import Code, RpcError, invalid_argument, unavailable
from ..transport.interface import Frontend, Gate, Peer
from ..transport.tls import WatchedCertificates
from . import json_form, parameters
from .routes import Found, find, verbs_of

_LOG = logging.getLogger(__name__)

_MAX_BODY_BYTES = 4 * 1024 * 1024
"""What the real server takes."""

_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
_PRETTY, _LONG = "+pretty", "+no-payload-shorthand"
_JSON = "application/json"
_FORMS = {_JSON + each for each in (_PRETTY, _LONG, _PRETTY + _LONG)}
_FORM_DATA = "application/x-www-form-urlencoded"
_FORWARDED = ("authorization", "authorization-extras", "x-forwarded-for", "client-name", "client-version")
_METADATA = "grpc-metadata-"
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@dataclass(frozen=True)
class _Form:
    """How JSON is written: as the content type says."""

    content_type: str = _JSON

    @property
    def short(self) -> bool:
        return _LONG not in self.content_type

    def response(self, status: int, message: Message) -> web.Response:
        document = json_form.to_json(message, short=self.short)
        pretty = _PRETTY in self.content_type
        text = json.dumps(document, indent=2 if pretty else None, separators=None if pretty else (",", ":"))
        return web.Response(status=status, body=text.encode(), headers={"Content-Type": self.content_type})


class HttpListener:
    """Serve a frontend by HTTP, on the event loop that calls `start`.

    Args:
        frontend: What answers.
        host: The interface to bind.
        port: The port; 0 picks a free one.
        certificates: When set, clients must use TLS.
        gate: When set, it is asked about every request.
    """

    def __init__(
        self,
        frontend: Frontend,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificates: WatchedCertificates | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._frontend = frontend
        self._host, self._port = host, port
        self._certificates = certificates
        self._gate = gate
        self._runner: web.AppRunner | None = None
        self._running: set[asyncio.Future[None]] = set()
        self._finishing = False

    async def start(self) -> str:
        """See `Listener.start`."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        context = self._certificates.ssl_context() if self._certificates else None
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self.close()
            raise OSError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        return f"{self._host}:{self._runner.addresses[0][1]}"

    async def close(self, grace: float = 0.0) -> None:
        """See `Listener.close`."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._finishing = True
            for site in list(runner.sites):
                await site.stop()
            if self._running:
                await asyncio.wait(self._running, timeout=grace)
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.rel_url.raw_path)
        clean = posixpath.normpath(path).replace("//", "/") + ("/" if path.endswith("/") and path != "/" else "")
        if clean != path:
            return web.Response(status=301, headers={"Location": clean})
        form = _outgoing(request)
        running: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running.add(running)
        try:
            return form.response(200, await self._reply(request, path))
        except RpcError as error:
            return form.response(_STATUS.get(Code(error.code), 500), Status.FromString(error.status_proto()))
        except asyncio.CancelledError:
            raise
        except Exception:
            _LOG.exception("%s %s failed", request.method, path)
            failed = Status(code=Code.INTERNAL, message="internal error; see the log of the server")
            return form.response(500, failed)
        finally:
            self._running.discard(running)
            running.set_result(None)

    async def _reply(self, request: web.Request, path: str) -> Message:
        if self._finishing:
            raise unavailable("this server is about to stop: try another one")
        found, query = await _found(request, path)
        deadline = _deadline(request.headers.get("Grpc-Timeout", ""))
        message = await _message(request, found, query)
        metadata = _metadata(request.headers)
        if self._gate is not None:
            await self._gate.admit(found.route.rpc, message, metadata, _peer(request))
        method = found.route.method
        return await self._frontend.call(method.service, method.name, message, metadata=metadata, deadline=deadline)


_Query = Mapping[str, list[str]]


async def _found(request: web.Request, path: str) -> tuple[Found, _Query]:
    """The route of a request, and its query. A long query may be sent as the body of a POST."""
    query: _Query = parse_qs(request.query_string, keep_blank_values=True)
    found = find(request.method, path)
    if found is not None:
        return found, query
    if request.method == "POST" and request.content_type == _FORM_DATA:
        found = find("GET", path)
        if found is not None:
            body = (await _body(request)).decode(errors="replace")
            return found, {**query, **parse_qs(body, keep_blank_values=True)}
    if verbs_of(path):
        raise RpcError(Code.UNIMPLEMENTED, "Method Not Allowed")
    raise RpcError(Code.NOT_FOUND, "Not Found")


async def _message(request: web.Request, found: Found, query: _Query) -> Message:
    """The request as a message: its body, then the path, then the query if there is no body."""
    route = found.route
    message = route.method.request()
    try:
        if route.body:
            target = message if route.body == "*" else getattr(message, route.body)
            content = await _body(request)
            if content.strip():
                json_form.from_json(content, target, short=_LONG not in request.headers.get("Content-Type", ""))
        for name, value in found.values.items():
            parameters.set_field(message, name, [value])
        if route.body != "*":
            parameters.set_query(message, query.items(), found.values)
    except (parameters.BadParameter, json_form.BadBody) as error:
        raise invalid_argument(str(error)) from error
    return message


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise invalid_argument("http: request body too large") from error


def _outgoing(request: web.Request) -> _Form:
    """How to answer: as the query says, else as ``Accept`` does, else in the form of the request."""
    suffix = "".join(
        form for name, form in (("pretty", _PRETTY), ("noPayloadShorthand", _LONG)) if name in request.query
    )
    if suffix:
        return _Form(_JSON + suffix)
    for each in (*request.headers.getall("Accept", []), request.headers.get("Content-Type", "")):
        if each in _FORMS:
            return _Form(each)
    return _Form()


def _deadline(text: str) -> float | None:
    if not text:
        return None
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise invalid_argument(f"invalid grpc-timeout: {text}")
    return int(found[1]) * _UNITS[found[2]]


def _metadata(headers: Mapping[str, str]) -> dict[str, str | bytes]:
    """What the RPC is told of the headers."""
    found: dict[str, str | bytes] = {"client-name": "temporal-server-http"}
    for given, value in headers.items():
        name = given.lower()
        if name in _FORWARDED:
            found[name] = value
        elif name.startswith(_METADATA):
            found[name.removeprefix(_METADATA)] = value
    return found


def _peer(request: web.Request) -> Peer:
    secure: ssl.SSLObject | None = request.transport.get_extra_info("ssl_object") if request.transport else None
    der = secure.getpeercert(binary_form=True) if secure else None
    if secure is None or der is None:
        return Peer()
    shown: Any = secure.getpeercert() or {}
    names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
    return Peer(ssl.DER_cert_to_PEM_cert(der).encode(), names[0] if names else "")
