"""``hotmesh-temporal doctor``: is everything in order, and if not, what to do?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import click

from hotmesh_temporal.connection import Connections, InvalidConnection
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.examination import Finding
from hotmesh_temporal.doctor import examine
from hotmesh_temporal.embedded import new_event_loop

from .options import connection_of, connection_options, log_level_option, log_to_stderr
from .progress import progress, quiet_option

_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}


@click.command()
@click.option("--limit", type=click.IntRange(0), default=1000, show_default=True, help="Open workflows to look at.")
@click.option("--wait", type=click.FloatRange(0.05, 60), default=1.0, show_default=True, help="Seconds for answers.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@connection_options
@quiet_option
@log_level_option
def doctor(limit: int, wait: float, as_json: bool, quiet: bool, log_level: str, **services: str | None) -> None:
    """Look whether everything is in order, and say what to do if it is not.

    The database: version, rights, durability, clock, the time that a commit takes, notices. The engines that take part,
    overdue timers, messages that nobody publishes, workflows that are stuck. One line for each check: ok, warning, or
    wrong; the exit code is 1 if anything is wrong. --limit 0 leaves the workflows out.

    \b
    Examples:
        hotmesh-temporal doctor
        hotmesh-temporal doctor --connection postgresql://localhost/orders
        hotmesh-temporal doctor --json | jq '.[] | select(.level != "ok")'
    """
    log_to_stderr(log_level if log_level != "warning" else "error")
    try:
        findings = _examine(connection_of(**services), limit, wait, quiet=quiet or as_json)
    except InvalidConnection as error:
        raise click.ClickException(str(error)) from error
    except (ContractError, OSError) as error:
        raise click.ClickException(f"the look was cut short: {error}") from error
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in findings], indent=2))
    else:
        _print(findings)
    if any(each.level == "wrong" for each in findings):
        raise click.exceptions.Exit(1)


def _examine(connections: Connections, limit: int, wait: float, *, quiet: bool) -> list[Finding]:
    loop = new_event_loop()
    try:
        with progress("doctor", quiet=quiet) as tell:
            return loop.run_until_complete(examine(connections, limit=limit, wait=wait, tell=tell))
    finally:
        loop.close()


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(each.check) for each in findings)
    for each in findings:
        click.echo(f"{click.style(f'{each.level:7}', fg=_COLOURS[each.level])}  {each.check:{width}}  {each.text}")
        if each.advice:
            click.echo(f"{'':9}{'':{width}}  → {each.advice}")
    wrong, warnings = (sum(each.level == level for each in findings) for level in ("wrong", "warning"))
    found = f"{wrong} wrong, {warnings} {'warning' if warnings == 1 else 'warnings'}"
    click.echo(found if wrong or warnings else "all is well")
