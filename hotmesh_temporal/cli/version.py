"""``hotmesh-temporal version``."""

from __future__ import annotations

import platform

import click
import temporalio

from hotmesh_temporal import __version__
from hotmesh_temporal.connection import provider_names


@click.command()
def version() -> None:
    """Print the versions and the installed providers."""
    click.echo(f"hotmesh-temporal {__version__}")
    click.echo(f"temporalio {temporalio.__version__}")
    click.echo(f"Python {platform.python_version()}")
    click.echo(f"providers: {', '.join(provider_names())}")
