"""What databases and brokers were asked to do, by their own count.

Where a server keeps no account, what reaches it is looked at: commands of Redis by ``MONITOR``, statements of SQLite by
its trace.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import urllib.request
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # the driver ships without types
import redis

_postgres: Any = asyncpg
_redis: Any = redis

POSTGRES_SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
"""What a Postgres server must be started with."""


@dataclass(frozen=True, slots=True)
class Counts:
    """``requests``: what a client waits for or sends; ``commits``: transactions or scripts that wrote something."""

    requests: int = 0
    commits: int = 0

    def since(self, before: Counts) -> Counts:
        """What came in between."""
        return Counts(self.requests - before.requests, self.commits - before.commits)


class Meter(Protocol):
    """Counts one server's work, of all processes; only while it is open if the server itself keeps no account."""

    async def open(self) -> None: ...

    async def count(self) -> Counts: ...

    async def close(self) -> None: ...


@asynccontextmanager
async def counting(urls: Iterable[str]) -> AsyncGenerator[dict[str, Meter], None]:
    """Open meters by URL: a Postgres or Redis URL, a SQLite one, the HTTP address of a NATS server's monitor."""
    meters: dict[str, Meter] = {url: _METERS[url.partition(":")[0]](url) for url in urls}
    for meter in meters.values():
        await meter.open()
    try:
        yield meters
    finally:
        for meter in meters.values():
            await meter.close()


class PostgresMeter:
    """Statements and transaction ids. Looking costs one of each, which is taken off."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._looks = 0

    async def open(self) -> None:
        """Make counting possible in the database."""
        self._connection = await _postgres.connect(self._dsn, ssl=False)
        await self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    async def count(self) -> Counts:
        """So far."""
        row = await self._connection.fetchrow(
            """SELECT (SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
                WHERE d.datname = current_database())::bigint, pg_current_xact_id()::text::bigint"""
        )
        self._looks += 1
        return Counts(row[0] - self._looks, row[1] - self._looks)

    async def close(self) -> None:
        """Go."""
        await self._connection.close()


class RedisMeter:
    """Commands that clients sent, a script once; scripts that wrote something."""

    _WRITES = frozenset(
        {"hset", "hdel", "zadd", "zrem", "sadd", "srem", "set", "del", "rpush", "lpush", "xadd", "xdel"}
    )

    def __init__(self, url: str) -> None:
        self._client = _redis.Redis.from_url(url, socket_timeout=None)
        self._requests = self._commits = 0
        self._in_script = False
        self._ended = threading.Event()

    async def open(self) -> None:
        """Begin to listen."""
        self._monitor = self._client.monitor().__enter__()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for entry in self._monitor.listen():
                self._see(entry["client_type"] == "lua", entry["command"].partition(" ")[0].lower())
        except (_redis.RedisError, ValueError, OSError):
            self._ended.set()  # closed

    def _see(self, by_script: bool, command: str) -> None:
        if not by_script:
            self._requests += 1
            self._in_script = command in ("evalsha", "eval")
        elif self._in_script and command in self._WRITES:
            self._commits += 1
            self._in_script = False

    async def count(self) -> Counts:
        """Since it was opened."""
        await asyncio.sleep(0.2)  # what was done a moment ago is still on its way
        if self._ended.is_set():
            raise RuntimeError("the server does not say any more what it is asked")
        return Counts(self._requests, self._commits)

    async def close(self) -> None:
        """Stop listening."""
        self._monitor.connection.disconnect()
        self._client.close()


class SqliteMeter:
    """Transactions of this process, those of one statement included; reading ones are requests too."""

    requests = 0
    commits = 0

    def __init__(self, url: str) -> None:
        del url  # it is this process that is looked at

    @classmethod
    def install(cls) -> None:
        """Look at every connection that is opened from now on."""
        connect = sqlite3.connect

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            changes, last = 0, ""

            def see(statement: str) -> None:
                nonlocal changes, last
                if statement == last:
                    return  # said again for each statement of a trigger
                last = statement
                word = statement.lstrip()[:6].upper()
                if word == "COMMIT":
                    cls.requests, cls.commits = cls.requests + 1, cls.commits + (connection.total_changes > changes)
                elif not connection.in_transaction and word in ("INSERT", "UPDATE", "DELETE"):
                    cls.requests, cls.commits = cls.requests + 1, cls.commits + 1
                elif not connection.in_transaction and word == "SELECT":
                    cls.requests += 1
                elif word == "BEGIN ":
                    changes = connection.total_changes

            connection.set_trace_callback(see)
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]  # overloads of one function

    async def open(self) -> None:
        """Nothing to open."""

    async def count(self) -> Counts:
        """So far."""
        return Counts(self.requests, self.commits)

    async def close(self) -> None:
        """Nothing to close."""


class NatsMeter:
    """Messages that clients sent, requests and acknowledgements among them."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor

    async def open(self) -> None:
        """Nothing to open."""

    async def count(self) -> Counts:
        """So far."""
        return await asyncio.to_thread(self._ask)

    def _ask(self) -> Counts:
        with urllib.request.urlopen(f"{self._monitor}/varz") as answer:
            return Counts(requests=json.load(answer)["in_msgs"])

    async def close(self) -> None:
        """Nothing to close."""


_METERS: dict[str, type[PostgresMeter] | type[RedisMeter] | type[SqliteMeter] | type[NatsMeter]] = {
    "postgresql": PostgresMeter,
    "redis": RedisMeter,
    "sqlite": SqliteMeter,
    "http": NatsMeter,
}
