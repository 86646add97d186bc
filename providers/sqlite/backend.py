"""SqliteBackend: store, stream, sub and search in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from hotmesh_temporal.contracts.backend import Backend, ConnectionSpec
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.examination import Finding
from hotmesh_temporal.contracts.joining import JoinedTransaction, UsersConnection

from . import jobs
from .database import MEMORY, Database, DatabaseOptions
from .examination import examine
from .hints import QUEUE, HintBus
from .joining import SqliteJoined
from .search import SqliteSearch
from .store import SqliteStore
from .stream import SqliteStream
from .sub import SqliteSub

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_OPTIONS = ("path", "synchronous", "busy_timeout", "name")


class SqliteBackend(Backend):
    """One SQLite file for any number of processes of one machine, or ``:memory:`` for one process.

    The spec is a URL (``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://:memory:``) or options:
    ``path``; ``synchronous`` (FULL, the default: an acknowledged commit survives power loss; NORMAL: it survives the
    end of the process, but a crash of the machine may take the commits since the last checkpoint); ``busy_timeout`` in
    seconds (30); ``name`` of a database in memory, to have several. All but the path may stand in a URL as query
    parameters. Raises `InvalidArgument` for anything else.
    """

    def __init__(self, spec: ConnectionSpec) -> None:
        self._options = _read_spec(spec)
        self._database = Database(self._options)
        self._hints: HintBus | None = None if self._database.in_memory else HintBus(self._options.path)
        # Here each service is always there, and none is ever replaced: narrower than the base class allows for.
        self.store: SqliteStore = SqliteStore(self._database)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.stream: SqliteStream = SqliteStream(self._database, self._hints)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.sub: SqliteSub = SqliteSub(self._database, self._hints)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.search: SqliteSearch = SqliteSearch(self._database)  # pyright: ignore[reportIncompatibleVariableOverride]
        self._database.sweep = jobs.sweep
        self._database.on_published = self._on_published

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """Open or make the file, bring its schema up to date and bind the services."""
        await self._database.open()
        if self._hints is not None:
            self._hints.open()
        try:
            await self.sub.init(namespace, app_id, engine_id)
            for service in (self.store, self.stream, self.search):
                await service.init(namespace, app_id)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the threads and remove the sockets. Idempotent."""
        await self.stream.close()
        await self.sub.close()
        if self._hints is not None:
            self._hints.close()
        await self._database.close()

    async def examine(self) -> list[Finding]:
        """See the contract."""
        return await examine(self._database, self._options)

    async def join(self, way: UsersConnection) -> JoinedTransaction:
        """See the contract."""
        joined = SqliteJoined(self._database, self.store.scope, way)
        await joined.check()
        return joined

    @property
    def identity(self) -> str:
        """``sqlite:`` and the real path, with its name for a database in memory that has one."""
        name = f":{self._options.name}" if self._options.name else ""
        return f"sqlite:{self._options.path}{name}"

    def _on_published(self, streams: set[tuple[int, str]]) -> None:
        self.stream.on_published(streams)
        if self._hints is not None:
            self._hints.send(QUEUE, list(streams))


# -- specs -------------------------------------------------------------------------------------------------------------


def _read_spec(spec: ConnectionSpec) -> DatabaseOptions:
    if spec.existing is not None:
        raise InvalidArgument(
            "an open SQLite connection cannot be shared with the engine's threads: "
            'give the path of its file instead, as "sqlite:///path" or {"path": "..."}'
        )
    options: dict[str, Any] = {**_read_url(spec.url), **spec.options} if spec.url else dict(spec.options)
    if "database" in options:  # the name that sqlite3.connect and aiosqlite.connect have for it
        options["path"] = options.pop("database")
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise InvalidArgument(f"unknown SQLite options {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")
    path, name = _read_path(options), str(options.get("name", ""))
    if name and path != MEMORY:
        raise InvalidArgument("only a SQLite database in memory has a name: a file is told by its path")
    return DatabaseOptions(path, _read_synchronous(options), _read_timeout(options), name)


def _read_url(url: str) -> Mapping[str, str]:
    scheme, separator, rest = url.partition("://")
    if scheme != "sqlite" or not separator:
        raise InvalidArgument(f"{url!r} is not a SQLite URL; write sqlite:///relative.db or sqlite:////absolute.db")
    path, _, query = rest.partition("?")
    if path != MEMORY and not path.startswith("/"):
        raise InvalidArgument(f"{url!r} has no third slash; write sqlite:///relative.db or sqlite:////absolute.db")
    return {"path": MEMORY if path in (MEMORY, f"/{MEMORY}") else unquote(path[1:]), **dict(parse_qsl(query))}


def _read_path(options: Mapping[str, Any]) -> str:
    given = options.get("path")
    if not given or not isinstance(given, (str, bytes, os.PathLike)):
        raise InvalidArgument("SQLite needs the path of its file (or :memory:)")
    path = os.fsdecode(cast("str | bytes | os.PathLike[str]", given))
    return path if path == MEMORY else os.path.realpath(path)


def _read_synchronous(options: Mapping[str, Any]) -> str:
    synchronous = str(options.get("synchronous", "FULL")).upper()
    if synchronous not in _SYNCHRONOUS:
        raise InvalidArgument(f"synchronous must be one of {', '.join(_SYNCHRONOUS)}, not {synchronous!r}")
    return synchronous


def _read_timeout(options: Mapping[str, Any]) -> float:
    try:
        timeout = float(options.get("busy_timeout", 30.0))
    except (TypeError, ValueError) as error:
        raise InvalidArgument("busy_timeout must be a number of seconds") from error
    if not timeout >= 0:
        raise InvalidArgument("busy_timeout must not be negative")
    return timeout
