"""``hotmesh-temporal migrate``: move a running system from a Temporal server to a database."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import click
from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from hotmesh_temporal.connection import Connections, InvalidConnection
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.errors import RpcError
from hotmesh_temporal.migration.migrate import Migration, Plan
from hotmesh_temporal.migration.report import Report
from hotmesh_temporal.migration.target import Target

from .groups import GroupedCommand, option
from .options import connection_of, log_level_option, log_to_stderr
from .progress import progress, quiet_option

_WHAT, _SERVER = "What to move", "How to connect to the server (as the temporal CLI names it)"


@dataclass(frozen=True, slots=True)
class Address:
    """How to connect to the source."""

    host: str
    namespace: str
    api_key: str | None
    tls: bool | TLSConfig
    metadata: dict[str, str]

    async def connect(self) -> Client:
        """Connect. Raises ``RuntimeError`` if nobody answers."""
        return await Client.connect(
            self.host, namespace=self.namespace, api_key=self.api_key, tls=self.tls, rpc_metadata=self.metadata
        )


@click.command("migrate", cls=GroupedCommand)
@click.option("--from", "source", metavar="HOST:PORT", required=True, help="The Temporal server to move from.")
@click.option("--to", "target", metavar="URL", required=True, help="The database: sqlite:///… or postgresql://….")
@click.option("--stream", metavar="URL", help="Task queues elsewhere, as for the other commands.")
@click.option("--sub", metavar="URL", help="Notices between processes elsewhere.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be moved, and what cannot and why.")
@click.option("--report", type=click.Path(path_type=Path), help="Also write the report to this file, as JSON.")
@option(_WHAT, "--namespace", "namespaces", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@option(
    _WHAT,
    "--query",
    metavar="FILTER",
    default="",
    help="Only open workflows that this list filter finds, with their families.",
)
@option(_WHAT, "--closed", is_flag=True, help="Also copy the histories of closed workflows.")
@option(_WHAT, "--schedules/--no-schedules", default=None, help="Also schedules; the default unless --query is given.")
@option(_WHAT, "--rate", type=float, default=0.0, help="Families of workflows a second at most.")
@option(_SERVER, "--api-key", envvar="TEMPORAL_API_KEY", help="API key; implies --tls.")
@option(_SERVER, "--tls", is_flag=True, help="Use TLS.")
@option(_SERVER, "--tls-cert-path", type=click.Path(path_type=Path), help="Certificate of this client.")
@option(_SERVER, "--tls-key-path", type=click.Path(path_type=Path), help="Its private key.")
@option(_SERVER, "--tls-ca-path", type=click.Path(path_type=Path), help="Certificate of the server's authority.")
@option(_SERVER, "--tls-server-name", help="The name in the server's certificate, if it is another than the host.")
@option(_SERVER, "--grpc-meta", multiple=True, metavar="KEY=VALUE", help="A header for each request; repeatable.")
@quiet_option
@log_level_option
def migrate(
    source: str,
    target: str,
    stream: str | None,
    sub: str | None,
    dry_run: bool,
    report: Path | None,
    namespaces: tuple[str, ...],
    query: str,
    closed: bool,
    schedules: bool | None,
    rate: float,
    quiet: bool,
    log_level: str,
    **server: str | Path | bool | tuple[str, ...] | None,
) -> None:
    """Move a running system from a Temporal server to your own database.

    Open workflows go on in the database, with their ids, histories, timers and pending activities; on the server they
    are terminated, with a reason that says where they are now. Start workers on the database first, and keep those of
    the server until this is done. If it is interrupted, run it again: it goes on where it was.

    \b
    Examples:
        hotmesh-temporal migrate --from localhost:7233 --to postgresql://localhost/orders --dry-run
        hotmesh-temporal migrate --from localhost:7233 --to postgresql://localhost/orders --report moved.json
        hotmesh-temporal migrate --from localhost:7233 --to sqlite:///orders.sqlite3 --query "WorkflowType = 'Order'"
        hotmesh-temporal migrate --from my.a2dd6.tmprl.cloud:7233 --namespace my.a2dd6 --api-key … --to postgresql://…

    The exit code is 0 if everything was moved, 2 if something stays where it is, and 1 for problems.
    """
    log_to_stderr(log_level)
    plan = Plan(
        namespaces=namespaces,
        query=query,
        schedules=not query if schedules is None else schedules,
        closed=closed,
        rate=rate,
        dry_run=dry_run,
    )
    try:
        address = _address(source, namespaces, server)
        done = asyncio.run(_migrate(address, connection_of(target, stream=stream, sub=sub), plan, quiet=quiet))
    except (InvalidConnection, ContractError, RpcError, RPCError, RuntimeError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for line in done.lines():
        click.echo(line)
    if report is not None:
        report.write_text(json.dumps(done.as_json(), indent=2) + "\n")
    if done.problems or done.refused:
        raise click.exceptions.Exit(1 if done.problems else 2)


async def _migrate(address: Address, connections: Connections, plan: Plan, *, quiet: bool) -> Report:
    client, target = await address.connect(), Target(connections)
    await target.start()
    try:
        with progress("migrate", quiet=quiet) as tell:
            return await Migration(client, address.host, target, plan, tell).run()
    finally:
        await target.close()


def _address(
    host: str, namespaces: tuple[str, ...], server: dict[str, str | Path | bool | tuple[str, ...] | None]
) -> Address:
    metadata: dict[str, str] = {}
    for each in server["grpc_meta"] if isinstance(server["grpc_meta"], tuple) else ():
        key, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"--grpc-meta must be KEY=VALUE, not {each!r}")
        metadata[key.lower()] = value
    api_key = server["api_key"]
    return Address(
        host, namespaces[0] if namespaces else "default", str(api_key) if api_key else None, _tls(server), metadata
    )


def _tls(server: dict[str, str | Path | bool | tuple[str, ...] | None]) -> bool | TLSConfig:
    def content(name: str) -> bytes | None:
        path = server[name]
        return path.read_bytes() if isinstance(path, Path) else None

    name = server["tls_server_name"]
    config = TLSConfig(
        server_root_ca_cert=content("tls_ca_path"),
        client_cert=content("tls_cert_path"),
        client_private_key=content("tls_key_path"),
        domain=str(name) if name else None,
    )
    if config != TLSConfig():
        return config
    return bool(server["tls"] or server["api_key"])
