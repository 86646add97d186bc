"""``hotmesh-temporal stats``: how many workflows were started and closed, day by day."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

import click

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.stats import DayCount, read_days

from .options import connection_of, connection_options


@click.command()
@click.option("--namespace", default="default", show_default=True, help="The namespace.")
@click.option("--days", type=click.IntRange(1, 3660), default=7, show_default=True, help="How many, up to today.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@connection_options
def stats(namespace: str, days: int, as_json: bool, **services: str | None) -> None:
    """Count the workflows of the last days, by type and by how they ended.

    Days are in UTC; each run of a chain (continue-as-new, retries, cron) counts. The counters stay when workflows are
    deleted. They lag a few seconds behind, and are close, not exact: a process that is killed loses what it counted in
    its last five seconds. Exact numbers of what is stored: temporal workflow count.

    \b
    Examples:
        hotmesh-temporal stats
        hotmesh-temporal stats --days 30 --namespace orders --connection postgresql://localhost/orders
    """
    loop = new_event_loop()
    try:
        counts = loop.run_until_complete(_read(connection_of(**services).backend(), namespace, days))
    except (InvalidConnection, ContractError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in counts], default=str, indent=2))
        return
    for line in _lines(counts):
        click.echo(line)


async def _read(backend: Backend, namespace: str, days: int) -> list[DayCount]:
    try:
        await backend.open(HOTMESH_NAMESPACE, APP_ID, f"stats-{uuid.uuid4().hex}")
        assert backend.store is not None, "connections have every service"
        return await read_days(backend.store, namespace, datetime.now(timezone.utc).date(), days)
    finally:
        await backend.close()


def _lines(counts: Sequence[DayCount]) -> Iterator[str]:
    if not counts:
        yield "no workflow was started or closed"
        return
    width = max(len(each.workflow_type) for each in counts)
    for each in counts:
        closed = ", ".join(f"{count:,} {status}" for status, count in each.closed.items())
        yield f"{each.day}  {each.workflow_type:{width}}  {each.started:,} started{', ' if closed else ''}{closed}"
