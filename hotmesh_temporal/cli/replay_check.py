"""``hotmesh-temporal replay-check``: would new workflow code break what is running?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from temporalio.service import RPCError

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.replay_check import Code, CodeError, Report, Verdict, check
from hotmesh_temporal.replay_check.check import jobs_for, select

from .histories import histories_of, namespaces_of, selection_options, source_options
from .progress import progress, quiet_option

_EXAMPLES = 3


@click.command("replay-check")
@click.argument("modules", metavar="[MODULE]...", nargs=-1)
@click.option("--workflow", "workflows", metavar="MODULE:CLASS", multiple=True, help="One class; may be repeated.")
@click.option(
    "--closed", type=click.IntRange(0), default=0, metavar="COUNT", help="Also so many closed runs, the newest."
)
@selection_options
@click.option("--data-converter", metavar="MODULE:OBJECT", default="", help="Data converter, with its codec.")
@click.option("--interceptor", "interceptors", metavar="MODULE:OBJECT", multiple=True, help="As workers have it.")
@click.option("--no-sandbox", is_flag=True, help="Replay outside of the sandbox: faster, if workers do so, too.")
@click.option("--skip-unknown", is_flag=True, help="Leave runs out whose type is not in the code.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Processes.  [default: one per core, if it is worth it]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@source_options
@quiet_option
def command(
    modules: tuple[str, ...],
    workflows: tuple[str, ...],
    closed: int,
    namespace: str,
    all_namespaces: bool,
    query: str,
    data_converter: str,
    interceptors: tuple[str, ...],
    no_sandbox: bool,
    skip_unknown: bool,
    jobs: int | None,
    as_json: bool,
    server: str | None,
    api_key: str | None,
    tls: bool,
    quiet: bool,
    **services: str | None,
) -> None:
    """Replay the histories of running workflows with the code that is about to be deployed.

    MODULE is a module (orders.workflows) or a file (orders/workflows.py); all workflow classes in it are meant. Says
    which runs would break, where, and what the code does there instead. The exit code is 1 if any would, 2 if the check
    could not be made. The database is only read, and workers may go on working.

    \b
    Examples:
        hotmesh-temporal replay-check orders.workflows
        hotmesh-temporal replay-check workflows.py --closed 100 --connection postgresql://localhost/orders
        hotmesh-temporal replay-check --workflow orders:OrderWorkflow --query "WorkflowType = 'OrderWorkflow'"
        hotmesh-temporal replay-check orders.workflows --from localhost:7233 --json
    """
    if not modules and not workflows:
        raise click.UsageError("name the code: MODULE or --workflow MODULE:CLASS")
    code = Code(modules, workflows, data_converter, interceptors, not no_sandbox, str(Path.cwd()))
    try:
        source = histories_of(server, api_key, tls, services)

        async def run() -> Report:
            types = code.classes()
            async with source as histories:
                names = await namespaces_of(histories, namespace, all_namespaces)
                with progress("replay-check", quiet=quiet) as tell:
                    runs = await select(histories, names, types, query=query, closed=closed)
                    processes = jobs or jobs_for(len(runs))
                    return await check(histories, runs, code, jobs=processes, skip_unknown=skip_unknown, tell=tell)

        report = asyncio.run(run())
    except (CodeError, InvalidConnection, RPCError, RuntimeError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        raise click.exceptions.Exit(2) from error
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=2))
    else:
        for line in _lines(report):
            click.echo(line)
    if report.broken:
        raise click.exceptions.Exit(1)


def _lines(report: Report) -> Iterator[str]:
    for group in report.groups:
        first = group[0]
        yield f"{len(group):,} {'run' if len(group) == 1 else 'runs'} of {first.run.workflow_type} would break:"
        yield f"    {first.text}"
        if first.where:
            yield f"    {'the code waits at' if first.did == 'nothing more' else 'in'} {first.where}"
        if first.did and first.message:
            yield f"    ({first.message})"
        yield f"    for example: {_examples(group)}"
    gone = f", {report.gone:,} were removed meanwhile" if report.gone else ""
    result = f"{len(report.broken):,} would break" if report.broken else "all replay"
    yield f"checked {report.checked:,} runs{gone}: {result}"


def _examples(group: Sequence[Verdict]) -> str:
    return ", ".join(f"{each.run.workflow_id} ({each.run.run_id})" for each in group[:_EXAMPLES])


def _as_json(report: Report) -> dict[str, object]:
    return {
        "checked": report.checked,
        "gone": report.gone,
        "would_break": len(report.broken),
        "groups": [
            {"runs": len(group), "workflow_type": group[0].run.workflow_type, **_details(group[0])}
            for group in report.groups
        ],
        "runs": [{**asdict(each.run), **_details(each)} for each in report.broken],
    }


def _details(verdict: Verdict) -> dict[str, object]:
    return {name: value for name, value in asdict(verdict).items() if name != "run"}
