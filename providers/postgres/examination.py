"""What an operator should know of a Postgres database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from hotmesh_temporal.contracts.examination import Finding, clock_finding

from .database import Database
from .migrate import migrations

OLDEST = 13
"""The oldest major version that is supported."""

_SQL = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS standby,
    has_database_privilege(current_database(), 'CREATE') AS may_create, current_user::text AS name,
    extract(epoch FROM clock_timestamp())::float8 AS now, current_setting('max_connections')::int AS most,
    (SELECT count(*) FROM pg_stat_activity)::int AS used, (SELECT version FROM hotmesh.schema_version) AS schema
"""


async def examine(database: Database) -> list[Finding]:
    """One statement, and what follows from it."""
    begin = time.time()
    row = (await database.read(_SQL))[0]
    middle = (begin + time.time()) / 2
    return [*_about(dict(row)), clock_finding(row["now"], middle), _pooler(pooler=database.settings.pooler)]


def _about(found: Mapping[str, Any]) -> Iterator[Finding]:
    old = found["number"] < OLDEST * 10_000
    advice = f"upgrade to {OLDEST} or newer" if old else ""
    yield Finding("version", "wrong" if old else "ok", f"Postgres {found['version']}", advice)
    if found["may_create"]:
        yield Finding("rights", "ok", f"the user {found['name']} may make what a newer package needs")
    else:
        advice = "let an owner of the database start a newer package first, so that its migrations are made"
        yield Finding("rights", "warning", f"the user {found['name']} may not CREATE in the database", advice)
    yield Finding("schema", "ok", f"schema version {found['schema']} of {len(migrations())}")
    yield from _durability(found)
    share = found["used"] / found["most"]
    advice = "raise max_connections, lower max_size of the connections, or use a pooler" if share > 0.8 else ""
    level = "warning" if share > 0.8 else "ok"
    yield Finding("connections", level, f"{found['used']} of {found['most']} connections are used", advice)


def _durability(found: Mapping[str, Any]) -> Iterator[Finding]:
    for name in ("fsync", "full_page_writes"):
        if found[name] != "on":
            advice = f"set {name} = on: a crash of the machine can destroy the whole database"
            yield Finding("durability", "wrong", f"{name} is {found[name]}", advice)
    commit = found["synchronous_commit"]
    if commit == "off":
        advice = "set synchronous_commit = on: a crash takes the last commits that workers and clients were told of"
        yield Finding("durability", "wrong", "synchronous_commit is off", advice)
    elif found["fsync"] == found["full_page_writes"] == "on":
        yield Finding("durability", "ok", f"a commit survives a crash (fsync on, synchronous_commit {commit})")
    if found["standby"]:
        yield Finding("durability", "wrong", "the server is a standby, which cannot be written", "use the primary")


def _pooler(*, pooler: bool) -> Finding:
    if pooler:
        return Finding("pooler", "ok", "behind a pooler: notices are polled for, not listened to")
    return Finding("pooler", "ok", "no pooler: notices are listened to (LISTEN)")
