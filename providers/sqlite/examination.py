"""What an operator should know of a SQLite file."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator

from hotmesh_temporal.contracts.examination import Finding

from .database import MEMORY, Database, DatabaseOptions, Session

_ROOM = 100 * 1024 * 1024
_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_PRAGMAS = ("journal_mode", "page_count", "page_size", "freelist_count")


async def examine(database: Database, options: DatabaseOptions) -> list[Finding]:
    """A few pragmas, and the disk that the file is on."""

    def look(session: Session) -> tuple[dict[str, object], int]:
        found: dict[str, object] = {name: session.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS}
        return found, session.execute("SELECT max(version) FROM hm_schema").fetchone()[0]

    found, schema = await database.scan(look)
    findings = [
        Finding("version", "ok", f"SQLite {sqlite3.sqlite_version}"),
        Finding("schema", "ok", f"schema version {schema}"),
    ]
    if options.path == MEMORY:
        advice = "give a file if anything is to be kept"
        return [*findings, Finding("durability", "warning", "in memory: all is lost when this process ends", advice)]
    return [*findings, *_durability(options, str(found["journal_mode"])), *_disk(options.path)]


def _durability(options: DatabaseOptions, journal: str) -> Iterator[Finding]:
    if journal != "wal":
        advice = "let nothing else change journal_mode: it must be WAL"
        yield Finding("durability", "wrong", f"journal_mode is {journal}", advice)
    if options.synchronous in ("FULL", "EXTRA"):
        yield Finding("durability", "ok", f"a commit survives the loss of power (synchronous {options.synchronous})")
    else:
        advice = "leave synchronous=… out of the connection"
        lost = "the last commits, or the file" if options.synchronous == "OFF" else "the last commits"
        level = "wrong" if options.synchronous == "OFF" else "warning"
        text = f"synchronous is {options.synchronous}: a loss of power can take {lost}"
        yield Finding("durability", level, text, advice)


def _disk(path: str) -> Iterator[Finding]:
    folder = os.path.dirname(path) or "."
    if not (os.access(path, os.W_OK) and os.access(folder, os.W_OK)):
        yield Finding("rights", "wrong", f"{path} or its folder cannot be written", "give this user the right to write")
    else:
        yield Finding("rights", "ok", "the file and its folder can be written")
    free = shutil.disk_usage(folder).free
    advice = "make room: nothing can be committed once the disk is full" if free < _ROOM else ""
    yield Finding("disk", "ok" if free >= _ROOM else "wrong", f"{free / 1024**3:,.1f} GiB free", advice)
