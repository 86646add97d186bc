"""Traces: a span for each request that is served, and one for each commit, by OpenTelemetry's API.

Names and attributes are those of the Temporal server. Where spans go to is the application's choice, who sets up a
tracer provider; for ``hotmesh-temporal server`` it is said by the ``OTEL_*`` environment.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from google.protobuf.message import Message
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from .. import __version__
from ..errors import RpcError
from ..transport.methods import by_path
from .subjects import subject

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_ATTRIBUTES = {
    "namespace": "temporalNamespace",
    "workflow_id": "temporalWorkflowID",
    "run_id": "temporalRunID",
}
_EXPORTERS = "opentelemetry_traces_exporter"
_PROTOCOLS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


class TracingUnavailable(RuntimeError):
    """Traces are asked for by the environment and cannot be had; the text says what to do."""


class Tracing:
    """Makes the spans of an engine.

    Args:
        provider: Where they go to; OpenTelemetry's global one when None.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("hotmesh_temporal", __version__, provider)
        self._provider = provider

    @contextmanager
    def request(
        self, service: str, method: str, request: Message, metadata: Mapping[str, str | bytes]
    ) -> Generator[Span]:
        """The span of a request. Its parent is the one that the caller names in its metadata (``traceparent``)."""
        full = _full_names()[service]
        attributes = {"rpc.system": "grpc", "rpc.service": full, "rpc.method": method, **_subject(request)}
        parent = propagate.extract(metadata)
        with self._tracer.start_as_current_span(
            f"{full}/{method}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except RpcError as error:
                span.set_attribute("rpc.grpc.status_code", int(error.code))
                span.set_status(Status(StatusCode.ERROR, error.message))
                raise
            span.set_attribute("rpc.grpc.status_code", 0)

    def around_commits(self, commit: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same commit, in a span."""

        async def traced(*args: Any, **options: Any) -> Any:
            with self._tracer.start_as_current_span("commit", kind=SpanKind.CLIENT, set_status_on_exception=True):
                return await commit(*args, **options)

        return traced

    def close(self) -> None:
        """Send what is left, if the provider was made here."""
        shut_down = getattr(self._provider, "shutdown", None)
        if shut_down is not None:
            shut_down()


def about(span: Span, answer: Message) -> None:
    """What only the answer knows: a poll's tells which workflow the task is of."""
    if span.is_recording():
        for name, value in _subject(answer).items():
            span.set_attribute(name, value)


def _subject(message: Message) -> dict[str, str]:
    """What a message is about, under the server's names of attributes."""
    return {_ATTRIBUTES[name]: value for name, value in subject(message).items()}


@cache
def _full_names() -> dict[str, str]:
    return {method.service: path.split("/")[1] for path, method in by_path().items()}


def from_environment() -> Tracing | None:
    """What the ``OTEL_*`` environment asks for; None if it asks for no traces.

    Raises:
        TracingUnavailable: They are asked for, but what sends them is not installed or not known.
    """
    asked = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if asked == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not asked and not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider as SdkProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingUnavailable(
            "the environment asks for traces (OTEL_…), but their SDK is not installed: "
            "pip install 'hotmesh-temporal[telemetry]', or set OTEL_TRACES_EXPORTER=none"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME") or "hotmesh-temporal"
    provider = SdkProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(asked or "otlp")))
    return Tracing(provider)


def _exporter(asked: str) -> Any:
    name = asked
    if asked == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        name = _PROTOCOLS.get(protocol or "http/protobuf", "")
    for point in entry_points(group=_EXPORTERS, name=name):
        return point.load()()
    raise TracingUnavailable(
        f"no exporter of traces {asked!r} is installed for this protocol: "
        "pip install 'hotmesh-temporal[telemetry]' brings 'otlp' (grpc, http/protobuf) and 'console'; "
        "set OTEL_TRACES_EXPORTER accordingly, or to none"
    )
