"""Metrics on a port, in the text form that Prometheus reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .families import Family
from .metrics import Metrics

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class MetricsServer:
    """Serves metrics under ``/metrics``, together with those of the process, from a thread of its own.

    Args:
        metrics: What to serve.
        host: The interface to bind.
        port: The port; 0 picks a free one.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(self, metrics: Metrics, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._metrics = metrics
        try:
            self._server = ThreadingHTTPServer((host, port), self._handler())
        except OSError as error:
            raise OSError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="hotmesh-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        metrics = self._metrics

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404, "metrics are under /metrics")
                    return
                body = text_of(metrics).encode() + _of_process()
                self.send_response(200)
                self.send_header("Content-Type", _CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Scrapes are not worth a line."""

        return Handler


def text_of(metrics: Metrics) -> str:
    """All of them as text."""
    metrics.sample()
    return "".join(line for family in metrics.families() for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help_text}\n# TYPE {family.name} {family.kind}\n"
    for sample in family.samples():
        labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels)
        yield f"{family.name}{sample.suffix}{{{labels}}} {sample.value:.15g}\n"


@cache
def _process_registry() -> Any:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _of_process() -> bytes:
    """Memory, processor time, open files, Python's version and garbage collector."""
    from prometheus_client import generate_latest

    return generate_latest(_process_registry())
