"""``hotmesh-temporal verify``: is everything in the database as it must be?"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import click

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.embedded import new_event_loop
from hotmesh_temporal.runtime.keys import APP_ID, HOTMESH_NAMESPACE
from hotmesh_temporal.runtime.verify import Report, verify

from .options import connection_of, connection_options, log_level_option, log_to_stderr
from .progress import progress, quiet_option


@click.command("verify")
@connection_options
@quiet_option
@log_level_option
def command(quiet: bool, log_level: str, **services: str | None) -> None:
    """Check every workflow in a database.

    Histories have no gaps and end properly, each state is what its history makes it, and whatever a workflow waits for
    will come: its tasks are in queues, its deadlines have timers. Prints one line for each problem; the exit code is 1
    if there is any. Nothing is changed, and workers may go on working.

    \b
    Examples:
        hotmesh-temporal verify
        hotmesh-temporal verify --connection postgresql://localhost/orders
    """
    log_to_stderr(log_level)
    loop = new_event_loop()
    try:
        backend = connection_of(**services).backend()
        report = loop.run_until_complete(_verify(backend, quiet=quiet))
    except (InvalidConnection, ContractError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        loop.close()
    for line in summary(report, backend.identity):
        click.echo(line)
    if report.problems:
        raise click.exceptions.Exit(1)


async def _verify(backend: Backend, *, quiet: bool) -> Report:
    try:
        await backend.open(HOTMESH_NAMESPACE, APP_ID, f"verify-{uuid.uuid4().hex}")
        with progress("verify", quiet=quiet) as tell:
            return await verify(backend, lambda runs: tell(f"{runs:,} runs"))
    finally:
        await backend.close()


def summary(report: Report, place: str) -> Iterator[str]:
    """The lines of the report."""
    yield (
        f"checked {report.runs:,} runs ({report.open_runs:,} open), {report.events:,} events, {report.offers:,} queued "
        f"tasks, {report.timers:,} timers in {place}"
    )
    if report.stale_offers:
        yield f"{report.stale_offers:,} queued tasks are over already (harmless: the next worker drops them)"
    if report.loose_timers:
        yield f"{report.loose_timers:,} timers belong to no run (harmless: they are dropped when they fire)"
    if report.unsent:
        yield f"{report.unsent:,} messages wait in the outbox (harmless: a worker publishes them)"
    if report.unsettled:
        yield f"{report.unsettled:,} runs changed all the time and could not be checked: run it again"
    for problem in report.problems:
        yield f"problem: {problem}"
    yield f"{len(report.problems):,} problems" if report.problems else "no problems"
