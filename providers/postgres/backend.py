"""The Postgres backend: store, stream, sub and search over one pool."""

from __future__ import annotations

import asyncio
import logging
import random

from hotmesh_temporal.contracts import Backend, ConnectionSpec
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.examination import Finding
from hotmesh_temporal.contracts.joining import JoinedTransaction, UsersConnection

from .database import Database, scalar
from .examination import examine
from .joining import KnownPlaces, PostgresJoined
from .notices import Notices
from .queues import Queues
from .search import PostgresSearch
from .settings import settings_of
from .store import PostgresStore
from .stream import PostgresStream
from .sub import PostgresSub

SWEEP_S = 300.0
"""How often each process removes what has expired; it is invisible long before."""

SWEEP_BATCH = 200

log = logging.getLogger(__name__)


class PostgresBackend(Backend):
    """See `Backend`. Options besides asyncpg's: ``schema``, ``pooler`` and ``max_size``; see the README.

    An existing `asyncpg.Pool` only says how to connect: this backend opens its own connections on its own event loop.
    """

    def __init__(self, spec: ConnectionSpec) -> None:
        self._settings = settings_of(spec)
        self._db = Database(self._settings)
        self._notices = Notices(self._db)
        self._queues = queues = Queues()
        self._stream = PostgresStream(self._db, queues, self._notices)
        self._sub = PostgresSub(self._db, self._notices)
        self._store = PostgresStore(self._db, queues)
        self._store.published = self._stream.wake
        self._search = PostgresSearch(self._db, queues)
        self.store, self.stream, self.sub, self.search = self._store, self._stream, self._sub, self._search
        self._known_places = KnownPlaces()
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        await self._store.init(namespace, app_id)
        await self._stream.init(namespace, app_id)
        await self._sub.init(namespace, app_id, engine_id)
        await self._search.init(namespace, app_id)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="hotmesh-sweep")

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._stream.close()
        await self._sub.close()
        await self._notices.close()
        await self._db.close()

    async def examine(self) -> list[Finding]:
        """See the contract."""
        return await examine(self._db)

    @property
    def sub_joins_store(self) -> bool:
        """Notices are sent by the server itself, when a transaction commits."""
        return True

    async def join(self, way: UsersConnection) -> JoinedTransaction:
        """See the contract."""
        joined = PostgresJoined(self._db, self._queues, self._stream, self._sub, way)
        await joined.check(self._known_places)
        return joined

    @property
    def identity(self) -> str:
        return self._settings.identity

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))
            try:
                while scalar(await self._db.read("SELECT hotmesh.sweep($1)", SWEEP_BATCH)) == SWEEP_BATCH:
                    pass
            except ContractError as error:
                log.debug("sweep failed: %s", error)
