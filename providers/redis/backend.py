"""The Redis backend: store, stream, sub and search on one server."""

from __future__ import annotations

import asyncio
import logging
import random

from hotmesh_temporal.contracts import Backend, ConnectionSpec
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.examination import Finding

from .database import Database
from .examination import examine
from .listener import Listener
from .search import RedisSearch
from .settings import settings_of
from .store import RedisStore
from .stream import RedisStream
from .sub import RedisSub

SWEEP_S = 300.0
"""How often each process removes what has expired; it is invisible long before."""

SWEEP_BATCH = 100

log = logging.getLogger(__name__)


class RedisBackend(Backend):
    """See `Backend`. Options besides those of ``redis.asyncio.Redis``: ``prefix`` and ``max_connections``.

    An existing client only says how to connect: this backend opens its own connections on its own event loop.
    """

    def __init__(self, spec: ConnectionSpec) -> None:
        self._settings = settings_of(spec)
        self._db = Database(self._settings)
        self._listener = Listener(self._db)
        self._stream = RedisStream(self._db, self._listener)
        self._sub = RedisSub(self._db, self._listener)
        self._store, self._search = RedisStore(self._db), RedisSearch(self._db)
        self._db.published = self._stream.wakeups.wake
        self.store, self.stream, self.sub, self.search = self._store, self._stream, self._sub, self._search
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        try:
            await self._store.init(namespace, app_id)
            await self._stream.init(namespace, app_id)
            await self._sub.init(namespace, app_id, engine_id)
            await self._search.init(namespace, app_id)
        except BaseException:
            await self.close()
            raise
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="hotmesh-redis-sweep")

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._stream.close()
        await self._sub.close()
        await self._listener.close()
        await self._db.close()

    async def examine(self) -> list[Finding]:
        """See the contract."""
        return await examine(self._db.pool, self._settings.wait_replicas)

    @property
    def identity(self) -> str:
        return self._settings.identity

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))
            try:
                while await self._db.call("sweep", SWEEP_BATCH, repeatable=True):
                    pass
            except ContractError as error:
                log.debug("sweep failed: %s", error)
