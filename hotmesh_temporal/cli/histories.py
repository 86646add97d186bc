"""What the commands that read histories have in common: of which database or server, and which ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import click

from hotmesh_temporal.histories import Histories, Selection, of_database, of_server

from .options import connection_of, connection_options

_Command = TypeVar("_Command", bound=Callable[..., object])

_FROM = "Read from a Temporal server instead of the database."
_QUERY = "Only runs that this list filter finds."


def source_options(command: _Command) -> _Command:
    """Add where to read from; give the values to `histories_of`."""
    command = click.option("--tls", is_flag=True, help="With --from: use TLS.")(command)
    command = click.option("--api-key", envvar="TEMPORAL_API_KEY", help="With --from: API key; implies --tls.")(command)
    command = click.option("--from", "server", metavar="HOST:PORT", help=_FROM)(command)
    return connection_options(command)


def selection_options(command: _Command) -> _Command:
    """Add which runs are meant, by namespace and filter."""
    command = click.option("--query", metavar="FILTER", default="", help=_QUERY)(command)
    command = click.option("--all-namespaces", is_flag=True, help="Of every namespace.")(command)
    return click.option("--namespace", default="default", show_default=True, help="Of this namespace.")(command)


def histories_of(
    server: str | None, api_key: str | None, tls: bool, services: dict[str, str | None]
) -> AbstractAsyncContextManager[Histories]:
    """The histories of what the options say. Raises `InvalidConnection`."""
    if server is not None:
        return of_server(server, api_key=api_key, tls=tls or bool(api_key))
    return of_database(connection_of(**services))


async def namespaces_of(histories: Histories, namespace: str, all_namespaces: bool) -> list[str]:
    """The namespaces that the options name."""
    return await histories.namespaces() if all_namespaces else [namespace]


__all__ = ["Selection", "histories_of", "namespaces_of", "selection_options", "source_options"]
