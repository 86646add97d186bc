"""``hotmesh-temporal server``: your database behind Temporal's own port."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any, Literal

import click

from hotmesh_temporal.authorization.files import InvalidAccess
from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.transport.grpc_server import GrpcListener
from hotmesh_temporal.transport.interface import Drains, Frontend
from hotmesh_temporal.transport.tls import InvalidTls

from .access import Access, access_options
from .groups import GroupedCommand
from .options import connection_of, connection_options, log_format_option, log_level_option
from .telemetry import Observed, observed, telemetry_options

# How long calls that are under way may take once the server takes no new ones, in seconds. Long polls do not count.
_GRACE_SECONDS = 5.0


@click.command(cls=GroupedCommand)
@click.option("--port", type=click.IntRange(0, 65535), default=7233, show_default=True, help="0 picks a free one.")
@click.option("--ip", default="127.0.0.1", show_default=True, help="The interface to listen on.")
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="How long to go on after SIGTERM, while health checks say NOT_SERVING, so that balancers can see it.",
)
@connection_options
@access_options
@telemetry_options
@log_level_option
@log_format_option
def server(
    port: int,
    ip: str,
    drain_seconds: float,
    connection: str | None,
    store: str | None,
    stream: str | None,
    sub: str | None,
    log_level: str,
    log_format: Literal["text", "json"],
    metrics_port: int | None,
    metrics_ip: str,
    metrics_task_queues: bool,
    **access: Any,
) -> None:
    """Serve the Temporal API from your database.

    The temporal CLI, the Web UI and the SDKs of every language can then use it.
    Unless you say otherwise below, whoever reaches the port can do everything. Python applications do not need it, and
    may run beside it. Any number of servers may serve one database.

    Stop it with Ctrl-C or SIGTERM: health checks say NOT_SERVING, workers that wait for tasks are sent away, calls that
    are under way are finished. A second signal ends it at once. Nothing is lost either way, the state is in the
    database.

    \b
    Examples:
        hotmesh-temporal server
        hotmesh-temporal server --port 7300 --connection postgresql://localhost/orders
        hotmesh-temporal server --ip 0.0.0.0 --drain-seconds 10
        hotmesh-temporal server --http-port 7243
        hotmesh-temporal server --store postgresql://localhost/orders --stream nats://localhost --sub nats://localhost
        hotmesh-temporal server --ip 0.0.0.0 --tls-cert server.pem --tls-key server.key --tls-client-ca clients-ca.pem
        hotmesh-temporal server --ip 0.0.0.0 --tls-cert server.pem --tls-key server.key --api-keys keys.toml
        temporal workflow list --address 127.0.0.1:7300
    """
    # It brings the engine along, which the help has no use for.
    from hotmesh_temporal.telemetry.logs import log_to_stderr

    log_to_stderr(log_level, log_format)
    loop = new_event_loop()
    try:
        connections = connection_of(connection, store=store, stream=stream, sub=sub)
        with observed(metrics_port, metrics_ip, task_queues=metrics_task_queues) as watched:
            serving = _serve(connections.backend(), watched, (ip, port), drain_seconds, Access(**access))
            loop.run_until_complete(serving)
    except (InvalidConnection, InvalidAccess, InvalidTls, ContractError, RpcError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()


async def _serve(
    backend: Backend, observed: Observed, address: tuple[str, int], drain_seconds: float, access: Access
) -> None:
    stop = _stopped_by_signal()
    certificates, gate = access.certificates(), await access.gate()
    frontend = observed.new_frontend(backend)
    listener = GrpcListener(frontend, host=address[0], port=address[1], certificates=certificates, gate=gate)
    by_http = access.http_listener(frontend, address[0], certificates, gate)
    await frontend.start()
    try:
        served = await listener.start()
        also = f", and HTTP on {await by_http.start()}" if by_http else ""
        click.echo(f"hotmesh-temporal serves {served} from {backend.identity}{also}; stop it with Ctrl-C")
        if observed.metrics_at:
            click.echo(f"metrics are at {observed.metrics_at}")
        await stop.wait()
        await _drain(frontend, drain_seconds)
    finally:
        await asyncio.gather(*(each.close(_GRACE_SECONDS) for each in (listener, by_http) if each))
        await frontend.close()


async def _drain(frontend: Frontend, seconds: float) -> None:
    """Send the callers elsewhere, before calls are refused."""
    if not isinstance(frontend, Drains):
        return
    frontend.drain(seconds)
    if seconds:
        click.echo(f"draining for {seconds:g} s; a second signal ends it at once")
        await asyncio.sleep(seconds)
        frontend.end_long_polls()


def _stopped_by_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if stop.is_set():
            # Whoever says it twice does not want to wait for anything. It is as safe as any other death.
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)
    return stop
