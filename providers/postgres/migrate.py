"""Brings the schema up to date: plain SQL files, applied in order, once, by whoever comes first."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources

from hotmesh_temporal.contracts.errors import Unavailable

from .driver import Connection, asyncpg_module, atomically
from .errors import sqlstate

_MISSING = frozenset({"42P01", "3F000"})


@cache
def migrations() -> tuple[str, ...]:
    """The SQL files in order; the version of a schema is how many of them it has."""
    folder = resources.files(__package__ or "").joinpath("migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(entry.read_text(encoding="utf-8") for entry in files)


@lru_cache(maxsize=1024)
def in_schema(sql: str, schema: str) -> str:
    """SQL written for the schema ``hotmesh``, for another one."""
    return sql if schema == "hotmesh" else sql.replace("hotmesh.", f'"{schema}".')


async def migrate(connection: Connection, schema: str) -> None:
    """Apply what is missing, in one transaction. One statement when nothing is.

    Safe for many processes at once: the others wait for the first one. Raises `Unavailable` when the schema was made
    by a newer version of this package; driver errors pass through.
    """
    if await _version(connection, schema) == len(migrations()):
        return
    await atomically(connection, lambda: _migrate_locked(connection, schema))


async def _migrate_locked(connection: Connection, schema: str) -> None:
    await connection.fetch("SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", f"hotmesh:{schema}")
    await _apply_missing(connection, schema)


async def _apply_missing(connection: Connection, schema: str) -> None:
    found = await connection.fetch("SELECT to_regclass($1) IS NOT NULL", f'"{schema}".schema_version')
    if not found[0][0]:
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await connection.execute(f'CREATE TABLE "{schema}".schema_version (version integer NOT NULL)')
        await connection.execute(f'INSERT INTO "{schema}".schema_version VALUES (0)')
    version = await _version(connection, schema)
    for sql in migrations()[version:]:
        await connection.execute(in_schema(sql, schema))
    await connection.execute(f'UPDATE "{schema}".schema_version SET version = {len(migrations())}')


async def _version(connection: Connection, schema: str) -> int:
    """The version of the schema, 0 if there is none."""
    try:
        rows = await connection.fetch(f'SELECT version FROM "{schema}".schema_version')
    except asyncpg_module.PostgresError as error:
        if sqlstate(error) in _MISSING:
            return 0
        raise
    version: int = rows[0][0]
    if version > len(migrations()):
        raise Unavailable(
            f"the schema {schema!r} has version {version}, this hotmesh-temporal knows {len(migrations())}: "
            "upgrade the package in this process"
        )
    return version
