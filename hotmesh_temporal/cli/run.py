"""``hotmesh-temporal run``: an application that knows nothing of this package, on your own database."""

from __future__ import annotations

import functools
import importlib
import multiprocessing.spawn
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import temporalio.client

from hotmesh_temporal.connection import InvalidConnection, resolve
from hotmesh_temporal.plugin import HotMeshPlugin

from .options import connection_option

_OURS = (__file__, runpy.__file__, "<frozen runpy>")
_INTERRUPTED = 130
"""How shells report that Ctrl-C has ended a program."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@connection_option
@click.option("-m", "module", is_flag=True, help="TARGET is a module, as for python -m.")
@click.option(
    "--side-by-side",
    is_flag=True,
    envvar="HOTMESH_SIDE_BY_SIDE",
    help="Also use the Temporal server that TARGET connects to: clients and workers are for both.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=1.0,
    envvar="HOTMESH_SHARE",
    show_default=True,
    help="With --side-by-side: how much of what is new starts in the database.",
)
@click.option(
    "--rule",
    metavar="MODULE:FUNCTION",
    envvar="HOTMESH_RULE",
    help="With --side-by-side: is asked before the share, see docs/side_by_side.md.",
)
@click.argument("target", metavar="TARGET")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    connection: str | None,
    module: bool,
    side_by_side: bool,
    share: float,
    rule: str | None,
    target: str,
    arguments: tuple[str, ...],
) -> None:
    """Run an unchanged Temporal application on your database.

    TARGET is a Python script; all that follows it is passed to it. Its Client.connect("localhost:7233") then means the
    database, and its workers run as they are; so it is in processes that it starts by multiprocessing. Each process
    that is started so takes part in the work: start the workers in one terminal and the client in another, in the
    same folder or with the same --connection.

    \b
    Examples:
        hotmesh-temporal run worker.py
        hotmesh-temporal run --connection postgresql://localhost/orders client.py --name World
        hotmesh-temporal run -m orders.worker
        hotmesh-temporal run --side-by-side --share 0.1 --connection postgresql://localhost/orders worker.py
    """
    try:
        if connection is not None:
            resolve(connection)
    except InvalidConnection as error:
        raise click.ClickException(str(error)) from error
    redirect_connections(connection, share if side_by_side else None, rule)
    if module:
        _run_module(target, arguments)
    else:
        _run_script(target, arguments)


def redirect_connections(connection: str | None, share: float | None, rule: str | None = None) -> None:
    """From now on every `temporalio.client.Client.connect` of this process that has no plugin of ours gets a new one.

    So it is in the processes that it starts by multiprocessing, too. With a ``share``, connections are side by side,
    and ``rule`` names a function that is asked first.
    """
    new_plugin = functools.partial(HotMeshPlugin, connection)
    if share is not None:
        new_plugin = functools.partial(_side_by_side, connection, share, rule)
    _replace_connect(new_plugin)
    _redirect_children(_Redirection(connection, share, rule))


def _side_by_side(connection: str | None, share: float, rule: str | None) -> HotMeshPlugin:
    """Called at a connection, not before: by then modules are looked for in the application's own folder."""
    from hotmesh_temporal.side_by_side import SideBySidePlugin

    return SideBySidePlugin(connection, share=share, rule=_rule(rule) if rule else None)


def _rule(name: str) -> Callable[[Any], Any]:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise RuntimeError(f"the rule {name!r} is not MODULE:FUNCTION of a module that is there: {error}") from error


@dataclass(frozen=True)
class _Redirection:
    """Redirects the connections of the process in which it is unpickled."""

    connection: str | None
    share: float | None
    rule: str | None

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str | None, float | None, str | None]]:
        return redirect_connections, (self.connection, self.share, self.rule)


def _redirect_children(redirection: _Redirection) -> None:
    """Processes that are not forked begin with what this function of the standard library gives them."""
    original = multiprocessing.spawn.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**original(name), "hotmesh_temporal": redirection}

    multiprocessing.spawn.get_preparation_data = get_preparation_data


def _replace_connect(new_plugin: Callable[[], HotMeshPlugin]) -> None:
    original: Any = temporalio.client.Client.connect

    # A classmethod's function, so that subclasses of the user's still make instances of themselves.
    @functools.wraps(original.__func__)
    async def connect(cls: type[temporalio.client.Client], *args: Any, **options: Any) -> Any:
        plugins = list(options.pop("plugins", ()))
        if not any(isinstance(plugin, HotMeshPlugin) for plugin in plugins):
            plugins.append(new_plugin())
        return await original.__func__(cls, *args, plugins=plugins, **options)

    temporalio.client.Client.connect = classmethod(connect)  # pyright: ignore[reportAttributeAccessIssue]  # on purpose


def _run_script(target: str, arguments: tuple[str, ...]) -> None:
    path = Path(target)
    if not path.is_file():
        raise click.ClickException(f"there is no file {target!r}; for a module write: hotmesh-temporal run -m {target}")
    # What Python itself does with a script. `runpy.run_path` would leave `sys.argv` without the name that was typed,
    # and empty the script's globals before its exit handlers run.
    main = ModuleType("__main__")
    main.__file__ = str(path.resolve())
    sys.modules["__main__"] = main
    sys.argv = [target, *arguments]
    sys.path[0] = str(path.resolve().parent)
    _run_as_python_does(lambda: exec(compile(path.read_bytes(), main.__file__ or target, "exec"), vars(main)))


def _run_module(target: str, arguments: tuple[str, ...]) -> None:
    sys.argv = [target, *arguments]
    sys.path[0] = str(Path.cwd())
    _run_as_python_does(lambda: runpy.run_module(target, run_name="__main__", alter_sys=True))


def _run_as_python_does(program: Callable[[], object]) -> None:
    """Run it. What it raises is reported and ends the process as in Python, and has nothing of this command in it."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename in _OURS:
            frames = frames.tb_next
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        sys.exit(_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
