"""What the tools of operators have in common: a connection to a database, without an engine."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from typing_extensions import Self

from .connection import Connections, resolve
from .contracts.backend import Backend
from .contracts.search import SearchService
from .contracts.store import StoreService
from .contracts.stream import StreamService
from .contracts.sub import SubService
from .runtime.keys import APP_ID, HOTMESH_NAMESPACE
from .runtime.quorum import Caller


class Operator:
    """An operator of a database. It is no engine: it takes no tasks, and no roll call shows it.

    Use it in ``async with await ….connect(…)``, or close it.
    """

    _store: StoreService
    _stream: StreamService
    _search: SearchService
    _sub: SubService
    _caller: Caller

    def __init__(self, backend: Backend) -> None:
        """Use `connect`."""
        self._backend = backend
        self._id = f"operator-{uuid.uuid4().hex}"

    @classmethod
    async def connect(cls, connection: Any = None, *, connections: Mapping[str, Any] | None = None) -> Self:
        """Connect to a database: what `Client.connect` takes by these names, or `connection.Connections`.

        Raises:
            InvalidConnection: The connection cannot be understood or is not supported.
            Unavailable: The database cannot be reached.
        """
        found = connection if isinstance(connection, Connections) else resolve(connection, connections=connections)
        operator = cls(found.backend())
        await operator._open()
        return operator

    async def _open(self) -> None:
        backend = self._backend
        await backend.open(HOTMESH_NAMESPACE, APP_ID, self._id)
        try:
            assert backend.store is not None, "connections have every service"
            assert backend.stream is not None, "connections have every service"
            assert backend.search is not None, "connections have every service"
            assert backend.sub is not None, "connections have every service"
            self._store, self._stream, self._search = backend.store, backend.stream, backend.search
            self._sub = backend.sub
            self._caller = Caller(backend.sub, self._id)
            await self._caller.start()
        except BaseException:
            await backend.close()
            raise

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
