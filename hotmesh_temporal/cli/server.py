"""``hotmesh-temporal server``: your database behind Temporal's own port."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import click

from hotmesh_temporal.connection import Connections, InvalidConnection
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop, new_frontend
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.transport.grpc_server import GrpcListener
from hotmesh_temporal.transport.tls import InvalidTls

from .access import Access, access_options
from .groups import GroupedCommand
from .options import connection_of, connection_options, log_level_option, log_to_stderr

# How long calls that are under way may take once the server is told to stop, in seconds.
_GRACE_SECONDS = 1.0


@click.command(cls=GroupedCommand)
@click.option("--port", type=click.IntRange(0, 65535), default=7233, show_default=True, help="0 picks a free one.")
@click.option("--ip", default="127.0.0.1", show_default=True, help="The interface to listen on.")
@connection_options
@access_options
@log_level_option
def server(
    port: int,
    ip: str,
    connection: str | None,
    store: str | None,
    stream: str | None,
    sub: str | None,
    log_level: str,
    **access: Any,
) -> None:
    """Serve the Temporal API from your database.

    The temporal CLI, the Web UI and the SDKs of every language can then use it.
    Unless you say otherwise below, whoever reaches the port can do everything. Stop it with Ctrl-C or SIGTERM; nothing
    is lost, the state is in the database. Python applications do not need it, and may run beside it.

    \b
    Examples:
        hotmesh-temporal server
        hotmesh-temporal server --port 7300 --connection postgresql://localhost/orders
        hotmesh-temporal server --store postgresql://localhost/orders --stream nats://localhost --sub nats://localhost
        hotmesh-temporal server --ip 0.0.0.0 --tls-cert server.pem --tls-key server.key --tls-client-ca clients-ca.pem
        temporal workflow list --address 127.0.0.1:7300
    """
    log_to_stderr(log_level)
    loop = new_event_loop()
    try:
        connections = connection_of(connection, store=store, stream=stream, sub=sub)
        loop.run_until_complete(_serve(connections, ip, port, Access(**access)))
    except (InvalidConnection, InvalidTls, ContractError, RpcError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()


async def _serve(connections: Connections, ip: str, port: int, access: Access) -> None:
    stop = _stopped_by_signal()
    certificates = access.certificates()
    backend = connections.backend()
    frontend = new_frontend(backend)
    listener = GrpcListener(frontend, host=ip, port=port, certificates=certificates)
    await frontend.start()
    try:
        address = await listener.start()
        click.echo(f"hotmesh-temporal serves {address} from {backend.identity}; stop it with Ctrl-C")
        await stop.wait()
    finally:
        await listener.close(_GRACE_SECONDS)
        await frontend.close()


def _stopped_by_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    return stop
