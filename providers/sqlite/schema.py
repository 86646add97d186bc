"""Connections and the schema: how a file is opened and brought up to date."""

from __future__ import annotations

import functools
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import TypeVar

from hotmesh_temporal.contracts.errors import Unavailable

from .clock import now_ms
from .errors import is_busy

T = TypeVar("T")

MINIMUM_SQLITE = (3, 35, 0)
"""RETURNING came with 3.35."""

_CACHE_KIB = 16 * 1024
_WAL_PAGES_PER_CHECKPOINT = 2000
_WAL_BYTES_KEPT = 32 * 1024 * 1024
_CACHED_STATEMENTS = 512
_SHORTEST_PAUSE = 0.0003
_LONGEST_PAUSE = 0.02


def connect(path: str, *, synchronous: str, timeout: float, readonly: bool = False) -> sqlite3.Connection:
    """A connection for one of our threads. Transactions are begun and ended by hand; waiting for locks, too."""
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_CACHED_STATEMENTS
    )
    settings = {
        "synchronous": synchronous,
        "foreign_keys": "OFF",
        "temp_store": "MEMORY",
        "cache_size": str(-_CACHE_KIB),
        "wal_autocheckpoint": str(_WAL_PAGES_PER_CHECKPOINT),
        "journal_size_limit": str(_WAL_BYTES_KEPT),
        "query_only": "ON" if readonly else "OFF",
    }
    for name, value in settings.items():
        # Some of these read the file, which is locked for moments while other processes make it.
        retry_busy(functools.partial(connection.execute, f"PRAGMA {name} = {value}"), timeout)
    return connection


def retry_busy(call: Callable[[], T], timeout: float) -> T:
    """Repeat ``call`` while another process holds a lock, up to ``timeout`` seconds.

    SQLite's own busy handler sleeps up to 100 ms between tries and starves the unlucky. The lock is held for about
    a millisecond here, so short random sleeps win; a lock that is held for long is asked for less often.
    """
    started = time.monotonic()
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            waited = time.monotonic() - started
            if not is_busy(error) or waited >= timeout:
                raise
        time.sleep(min(_SHORTEST_PAUSE + waited / 50, _LONGEST_PAUSE) * (0.5 + random.random()))


def prepare(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """Switch to WAL and apply the migrations that are missing. Any number of processes may do this at once."""
    _check_library()
    retry_busy(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone(), timeout)
    migrations = dict(_migrations())
    newest = max(migrations)
    version = retry_busy(lambda: _version(connection), timeout)
    if version < newest:
        version = _migrate(connection, migrations, timeout)
    if version > newest:
        raise Unavailable(
            f"SQLite database {path!r} has schema version {version}, this package knows {newest}: "
            "upgrade the hotmesh-temporal package"
        )


def _check_library() -> None:
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        raise Unavailable(
            f"SQLite {sqlite3.sqlite_version} is too old: a Python with SQLite {wanted} or newer is needed"
        )


def _migrations() -> Iterator[tuple[int, str]]:
    """``(version, script)`` of each ``NNNN_name.sql`` beside this file."""
    for entry in resources.files(__package__ or __name__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            yield int(entry.name[:4]), entry.read_text(encoding="utf-8")


def _version(connection: sqlite3.Connection) -> int:
    """The schema version, 0 for a database without our tables."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'hm_schema'").fetchone()
    if known is None:
        return 0
    return connection.execute("SELECT max(version) FROM hm_schema").fetchone()[0] or 0


def _migrate(connection: sqlite3.Connection, migrations: dict[int, str], timeout: float) -> int:
    retry_busy(lambda: connection.execute("BEGIN EXCLUSIVE"), timeout)
    try:
        # Read again under the lock: another process may have been first.
        version = _version(connection)
        for number in sorted(number for number in migrations if number > version):
            _apply(connection, number, migrations[number])
            version = number
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return version


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS hm_schema (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)"
    )
    for statement in _statements(script):
        connection.execute(statement)
    connection.execute("INSERT INTO hm_schema (version, applied_at) VALUES (?, ?)", (number, now_ms()))


def _statements(script: str) -> Iterator[str]:
    """Split a script; ``executescript`` would commit our transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
