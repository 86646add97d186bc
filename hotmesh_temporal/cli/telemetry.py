"""The options of ``hotmesh-temporal server`` that say what it tells of itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from hotmesh_temporal.embedded import FrontendFactory, new_frontend

from .groups import option

if TYPE_CHECKING:
    from hotmesh_temporal.telemetry import Tracing

_Command = TypeVar("_Command", bound=Callable[..., object])

_HEADING = "Metrics"
_OPTIONS = (
    option(
        _HEADING,
        "--metrics-port",
        type=click.IntRange(0, 65535),
        default=None,
        help="Serve metrics to Prometheus, under /metrics; 0 picks a free port.",
    ),
    option(_HEADING, "--metrics-ip", default="127.0.0.1", show_default=True, help="The interface of that port."),
    option(
        _HEADING,
        "--metrics-task-queues/--no-metrics-task-queues",
        default=True,
        show_default=True,
        help="Count each task queue by itself.",
    ),
)


def telemetry_options(command: _Command) -> _Command:
    """Add them; give their values to `observed`."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


@dataclass(frozen=True)
class Observed:
    """How to make a frontend, and where its metrics are."""

    new_frontend: FrontendFactory = new_frontend
    metrics_at: str = ""


@contextmanager
def observed(port: int | None, ip: str, *, task_queues: bool) -> Generator[Observed]:
    """Makes frontends that are watched as the options and the ``OTEL_*`` environment want it, while in the context.

    Raises:
        OSError: The port of the metrics cannot be bound.
        click.ClickException: Traces are asked for, and cannot be had.
    """
    with ExitStack() as stack:
        if port is None and not any(name.startswith("OTEL_") for name in os.environ):
            yield Observed()
            return
        # What is not used need not be loaded.
        from hotmesh_temporal.telemetry import Metrics, Telemetry
        from hotmesh_temporal.telemetry.exposition import MetricsServer

        tracing = _tracing()
        if tracing is not None:
            stack.callback(tracing.close)
        metrics, place = None, ""
        if port is not None:
            metrics = Metrics(task_queues=task_queues)
            server = stack.enter_context(contextlib.closing(MetricsServer(metrics, host=ip, port=port)))
            place = f"http://{server.address}/metrics"
        yield Observed(Telemetry(metrics, tracing).frontend, place)


def _tracing() -> Tracing | None:
    from hotmesh_temporal.telemetry import tracing

    try:
        return tracing.from_environment()
    except tracing.TracingUnavailable as error:
        raise click.ClickException(str(error)) from error
