"""The command ``hotmesh-temporal``."""

from __future__ import annotations

import importlib

import click

# Command → where it is. Each is imported only when it is used, so that the start of one does not pay for the others.
_COMMANDS = {
    "api-key": "hotmesh_temporal.cli.api_key:api_key",
    "doctor": "hotmesh_temporal.cli.doctor:doctor",
    "migrate": "hotmesh_temporal.cli.migrate:migrate",
    "export": "hotmesh_temporal.cli.export:command",
    "replay-check": "hotmesh_temporal.cli.replay_check:command",
    "run": "hotmesh_temporal.cli.run:run",
    "quorum": "hotmesh_temporal.cli.quorum:quorum",
    "server": "hotmesh_temporal.cli.server:server",
    "stats": "hotmesh_temporal.cli.stats:stats",
    "types": "hotmesh_temporal.cli.types:types",
    "verify": "hotmesh_temporal.cli.verify:command",
    "version": "hotmesh_temporal.cli.version:version",
}

_HELP = """Run Temporal applications on your own database, with no Temporal cluster.

\b
Run an application that you did not change:
    hotmesh-temporal run app.py
Run it on a Temporal server and on your database at the same time:
    hotmesh-temporal run --side-by-side --share 0.1 app.py
Serve your database to the temporal CLI, the Web UI and SDKs of other languages:
    hotmesh-temporal server --port 7233
Only to those who have a key:
    hotmesh-temporal api-key new --name web --permission default:write >> keys.toml
    hotmesh-temporal server --api-keys keys.toml
See who works on a database, and pause a task queue:
    hotmesh-temporal quorum roll-call
    hotmesh-temporal quorum pause --task-queue orders
See which workflows and activities the workers have, and what waits for a worker:
    hotmesh-temporal types
    hotmesh-temporal types --waiting

\b
Write histories to files that the SDK's Replayer reads:
    hotmesh-temporal export --open --output histories
Replay what is running with the code that is about to be deployed:
    hotmesh-temporal replay-check orders.workflows

Look whether everything is in order:
    hotmesh-temporal doctor
Move a running system here from a Temporal server:
    hotmesh-temporal migrate --from localhost:7233 --to postgresql://localhost/orders --dry-run

Where the data lives is chosen by --connection, else by the environment variable HOTMESH_CONNECTION, else by
temporal.toml, else it is a SQLite file in .hotmesh/ under the working directory.

\b
Connections look like:
    sqlite:///orders.sqlite3                     a file; an absolute path has four slashes
    postgresql://user:password@host:5432/orders  a Postgres database
    redis://host:6379                            a Redis or Valkey server
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, attribute = _COMMANDS.get(cmd_name, "").partition(":")
        return getattr(importlib.import_module(module), attribute) if module else None


@click.group(cls=_LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Entry point of the console script."""
