"""``hotmesh-temporal export``: histories as files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from temporalio.service import RPCError

from hotmesh_temporal.connection import InvalidConnection
from hotmesh_temporal.export import INDEX, Exported, Folder, export
from hotmesh_temporal.histories import Histories, Selection

from .histories import histories_of, namespaces_of, selection_options, source_options
from .progress import progress, quiet_option


@click.command("export")
@click.argument("workflow_ids", metavar="[WORKFLOW-ID]...", nargs=-1)
@selection_options
@click.option("--open", "only_open", is_flag=True, help="Only open workflows.")
@click.option("--closed", "only_closed", is_flag=True, help="Only closed workflows.")
@click.option("--limit", type=click.IntRange(1), help="At most so many of each namespace, the newest first.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="histories",
    show_default=True,
    help="The folder to write to.",
)
@click.option("--stdout", is_flag=True, help="Print the one history that is meant instead.")
@source_options
@quiet_option
def command(
    workflow_ids: tuple[str, ...],
    namespace: str,
    all_namespaces: bool,
    query: str,
    only_open: bool,
    only_closed: bool,
    limit: int | None,
    output: Path,
    stdout: bool,
    server: str | None,
    api_key: str | None,
    tls: bool,
    quiet: bool,
    **services: str | None,
) -> None:
    """Write the histories of workflows to files.

    One JSON file for each run, as the temporal command and the Web UI write them, so that the SDK's Replayer and
    WorkflowHistory.from_json read them; and index.jsonl with a line for each. Closed runs that are in the folder
    already are not written again: after an interruption give the same command. The database is only read, and workers
    may go on working.

    \b
    Examples:
        hotmesh-temporal export
        hotmesh-temporal export order-17 --stdout
        hotmesh-temporal export --open --query "WorkflowType = 'Order'" --output orders
        hotmesh-temporal export --all-namespaces --connection postgresql://localhost/orders
        hotmesh-temporal export --from localhost:7233 --closed --limit 100
    """
    if only_open and only_closed:
        raise click.UsageError("give one of --open and --closed")
    selection = Selection(query, workflow_ids, True if only_open else False if only_closed else None)
    try:
        source = histories_of(server, api_key, tls, services)

        async def run() -> None:
            async with source as histories:
                if stdout:
                    await _print_one(histories, namespace, selection)
                    return
                names = await namespaces_of(histories, namespace, all_namespaces)
                with progress("export", quiet=quiet) as tell:
                    done = await export(histories, names, selection, Folder(output), limit=limit, tell=tell)
                click.echo(_summary(done, output))

        asyncio.run(run())
    except (InvalidConnection, RPCError, RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _print_one(histories: Histories, namespace: str, selection: Selection) -> None:
    runs = [run async for run in histories.runs(namespace, selection, limit=2)]
    if not runs:
        raise click.ClickException(f"there is no such workflow in the namespace {namespace!r}")
    if len(runs) > 1:
        raise click.ClickException("several runs are meant; add --query \"RunId = '…'\", or write them to a folder")
    history = await histories.read(runs[0])
    if history is None:
        raise click.ClickException("the run has just been removed")
    click.echo(history.to_json())


def _summary(done: Exported, output: Path) -> str:
    text = f"{done.written:,} histories with {done.events:,} events written to {output}; {INDEX} lists them"
    if done.kept:
        text += f"; {done.kept:,} were there already"
    if done.gone:
        text += f"; {done.gone:,} were removed meanwhile"
    return text
