"""Progress on a terminal, for what takes longer than two seconds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_Command = TypeVar("_Command", bound=Callable[..., object])

PATIENCE_SECONDS = 2.0
"""What is over sooner shows no progress."""


def quiet_option(command: _Command) -> _Command:
    """Add ``--quiet``; give its value to `progress`."""
    return click.option("--quiet", is_flag=True, help="Show no progress.")(command)


@contextlib.contextmanager
def progress(title: str, *, quiet: bool) -> Generator[Callable[[str], None]]:
    """Call what this gives with what has been done, or is being done; shown beside a bar that has no known end.

    Nothing is shown unless the error stream is a terminal.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(title), BarColumn(), TextColumn("{task.fields[state]}"))
    hidden = quiet or not console.is_terminal
    bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=hidden)
    task = bar.add_task(title, total=None, state="")
    # By itself: what takes long may be one long wait.
    begin = threading.Timer(PATIENCE_SECONDS, bar.start)
    begin.daemon = True
    begin.start()
    try:
        yield lambda state: bar.update(task, state=state)
    finally:
        begin.cancel()
        begin.join()
        bar.stop()
