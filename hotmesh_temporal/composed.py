"""One backend made of several: the store and its search on one database, streams and notices on others.

The store's commit cannot reach another database, so messages for streams elsewhere go through the store's outbox (see
``runtime/outbox.py``).
"""

from __future__ import annotations

import logging
import uuid
from contextlib import AsyncExitStack
from dataclasses import replace

from .contracts.backend import Backend
from .contracts.commit import Commit, RunWrite
from .contracts.errors import RevisionConflict
from .contracts.examination import Finding
from .contracts.joining import JoinedTransaction, UsersConnection
from .contracts.store import StoreService

_LOG = logging.getLogger(__name__)

_STORE_ID = "i/streams"
"""Job id of the record that names the store to the others."""


class ComposedBackend(Backend):
    """Store and search of one backend, stream and sub of the same or of others.

    Several stores may use one broker without knowing of each other. So each store has a name of its own, and what it
    keeps elsewhere is under that name: two processes with the same store meet, whatever they call its address.
    """

    def __init__(self, store: Backend, stream: Backend, sub: Backend) -> None:
        self._store, self._stream, self._sub = store, stream, sub
        self._others = [part for part in dict.fromkeys((stream, sub)) if part is not store]
        self._opened = AsyncExitStack()
        self._take_services()

    def _take_services(self) -> None:
        # A backend may make its services when it is opened.
        self.store, self.search = self._store.store, self._store.search
        self.stream, self.sub = self._stream.stream, self._sub.sub

    @property
    def stream_joins_store(self) -> bool:
        """See `Backend`."""
        return self._stream is self._store and self._store.stream_joins_store

    @property
    def sub_joins_store(self) -> bool:
        """See `Backend`."""
        return self._sub is self._store and self._store.sub_joins_store

    async def join(self, way: UsersConnection) -> JoinedTransaction:
        """See `Backend`. Commits are the store's; what they have for streams elsewhere waits in its outbox."""
        return await self._store.join(way)

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See the contract. The store first, the others after it; none stays open if one cannot be."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._store.close)
            await self._store.open(namespace, app_id, engine_id)
            assert self._store.store is not None, "a backend is composed of parts that have what is asked of them"
            theirs = f"{namespace}-{await _store_id(self._store.store)}"
            for part in self._others:
                stack.push_async_callback(part.close)
                await part.open(theirs, app_id, engine_id)
            self._opened = stack.pop_all()
        self._take_services()

    async def close(self) -> None:
        """See the contract. In the reverse order."""
        await self._opened.aclose()

    async def examine(self) -> list[Finding]:
        """See the contract. Of all parts, each named."""
        findings: list[Finding] = []
        for part in (self._store, *self._others):
            name = part.identity.partition(":")[0]
            findings += [replace(each, check=f"{name} {each.check}") for each in await part.examine()]
        return findings

    @property
    def identity(self) -> str:
        """See the contract."""
        parts = (("store", self._store), ("stream", self._stream), ("sub", self._sub))
        return ", ".join(f"{name} {part.identity}" for name, part in parts)


async def _store_id(store: StoreService) -> str:
    """The name of this store, made by whoever opens it first."""
    while True:
        record = await store.load_run(_STORE_ID)
        if record is not None:
            return record.state.decode()
        run = RunWrite(
            job_id=_STORE_ID, expected_revision=0, status=0, state=uuid.uuid4().hex[:12].encode(), origin=b"-"
        )
        try:
            await store.commit(Commit(runs=(run,)))
        except RevisionConflict:
            _LOG.debug("another process has named the store")
