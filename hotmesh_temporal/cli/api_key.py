"""``hotmesh-temporal api-key``: keys for those who may use a served port."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

from hotmesh_temporal.authorization.api_keys import hash_of, new_key
from hotmesh_temporal.authorization.permissions import parse_permission

_AGE = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@click.group("api-key")
def api_key() -> None:
    """Keys for those who may use a port of `hotmesh-temporal server --api-keys FILE`."""


@api_key.command()
@click.option("--name", required=True, help="Who it is for; the server's log names it so.")
@click.option(
    "--permission",
    "permissions",
    required=True,
    multiple=True,
    metavar="NAMESPACE:ROLE",
    help="What it may do; several times for several namespaces.",
)
@click.option("--expires", metavar="AGE", default=None, help="When it ends by itself, such as 90d (h, d, w).")
def new(name: str, permissions: tuple[str, ...], expires: str | None) -> None:
    """Make a key.

    It is printed once, to the error stream, and kept nowhere. The lines for the file go to the output; they have only
    the key's hash.

    \b
    Roles are read, write, worker and admin; the namespace temporal-system stands for all of them.

    \b
    Examples:
        hotmesh-temporal api-key new --name web --permission orders:write --expires 90d >> keys.toml
        hotmesh-temporal api-key new --name ops --permission temporal-system:admin >> keys.toml
    """
    for each in permissions:
        try:
            parse_permission(each)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--permission") from error
    lines = ["[[key]]", f"name = {_quoted(name)}"]
    key = new_key()
    lines += [f'hash = "{hash_of(key)}"', f"permissions = [{', '.join(map(_quoted, permissions))}]"]
    if expires:
        lines.append(f"expires = {_end(expires):%Y-%m-%dT%H:%M:%SZ}")
    click.echo("The key, which is not shown again:", err=True)
    click.echo(key, err=True)
    click.echo("\n".join([*lines, ""]))


def _quoted(text: str) -> str:
    """A TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in escaped) + '"'


def _end(age: str) -> datetime:
    found = _AGE.fullmatch(age)
    if found is None:
        raise click.BadParameter(f"{age} is no age; write for example 12h, 90d or 52w", param_hint="--expires")
    return datetime.now(timezone.utc) + timedelta(**{_UNITS[found[2]]: int(found[1])})
