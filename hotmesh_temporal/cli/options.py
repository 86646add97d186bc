"""What the commands have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import click

from hotmesh_temporal.connection import Connections, InvalidConnection, resolve

_Command = TypeVar("_Command", bound=Callable[..., object])

_CONNECTION_HELP = "The database: sqlite:///file.sqlite3 or postgresql://user:password@host/database."
_SERVICES = {
    "store": "Only what keeps the workflows; instead of --connection.",
    "stream": "Task queues elsewhere, such as nats://host:4222; what is left out follows the store.",
    "sub": "Notices between processes elsewhere, such as nats://host:4222.",
}
_LEVELS = ["debug", "info", "warning", "error"]


def connection_option(command: _Command) -> _Command:
    """Add ``--connection``."""
    return click.option("--connection", metavar="URL", default=None, help=_CONNECTION_HELP)(command)


def connection_options(command: _Command) -> _Command:
    """Add ``--connection`` and one option for each service; give their values to `connection_of`."""
    for service, text in reversed(_SERVICES.items()):
        command = click.option(f"--{service}", metavar="URL", default=None, help=text)(command)
    return connection_option(command)


def connection_of(connection: str | None, **services: str | None) -> Connections:
    """What the options say, else the environment and the configuration file. Raises `InvalidConnection`."""
    given = {service: url for service, url in services.items() if url}
    if not given:
        return resolve(connection)
    if connection and "store" in given:
        raise InvalidConnection("give either --connection or --store")
    if connection:
        given["store"] = connection
    return resolve(connections=given)


def log_level_option(command: _Command) -> _Command:
    """Add ``--log-level``; give its value to `log_to_stderr`."""
    level = click.Choice(_LEVELS)
    return click.option("--log-level", type=level, default="warning", show_default=True, help="What to log.")(command)


def log_to_stderr(level: str) -> None:
    """Send the log of this process to the standard error stream."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def log_format_option(command: _Command) -> _Command:
    """Add ``--log-format``; give its value to `telemetry.logs.log_to_stderr`."""
    form = click.Choice(["text", "json"])
    text = "How: for people, or one JSON object a line."
    return click.option("--log-format", type=form, default="text", show_default=True, help=text)(command)
