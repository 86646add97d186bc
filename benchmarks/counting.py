"""What a Postgres server was asked to do, by its own count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # the driver ships without types

_driver: Any = asyncpg

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
"""What the server must be started with."""


@dataclass(frozen=True, slots=True)
class Counts:
    """``statements``: round trips of clients; ``commits``: transactions that wrote something."""

    statements: int
    commits: int

    def since(self, before: Counts) -> Counts:
        """What came in between, less what counting itself cost."""
        return Counts(self.statements - before.statements - 1, self.commits - before.commits - 1)


async def prepare(dsn: str) -> None:
    """Make counting possible in a database."""
    await _ask(dsn, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


async def count(dsn: str) -> Counts:
    """The counts so far. A statement of ours counts one, and takes one transaction id."""
    rows = await _ask(
        dsn,
        """SELECT (SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database())::bigint, pg_current_xact_id()::text::bigint""",
    )
    return Counts(rows[0][0], rows[0][1])


async def _ask(dsn: str, sql: str) -> list[Any]:
    connection = await _driver.connect(dsn, ssl=False)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()
