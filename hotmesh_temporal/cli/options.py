"""What the commands have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., object])

_CONNECTION_HELP = "The database: sqlite:///file.sqlite3 or postgresql://user:password@host/database."
_LEVELS = ["debug", "info", "warning", "error"]


def connection_option(command: _Command) -> _Command:
    """Add ``--connection``."""
    return click.option("--connection", metavar="URL", default=None, help=_CONNECTION_HELP)(command)


def log_level_option(command: _Command) -> _Command:
    """Add ``--log-level``; give its value to `log_to_stderr`."""
    level = click.Choice(_LEVELS)
    return click.option("--log-level", type=level, default="warning", show_default=True, help="What to log.")(command)


def log_to_stderr(level: str) -> None:
    """Send the log of this process to the standard error stream."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
