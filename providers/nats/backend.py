"""The NATS backend: stream and sub over one connection."""

from __future__ import annotations

from hotmesh_temporal.contracts import Backend, ConnectionSpec
from hotmesh_temporal.contracts.examination import Finding

from .connection import Connection
from .examination import examine
from .settings import settings_of
from .stream import NatsStream
from .sub import NatsSub


class NatsBackend(Backend):
    """See `Backend`. It has no store and no search: NATS cannot commit a workflow's state.

    Options are those of `nats.connect`, and ``replicas``; see the README. An existing client only says how to connect:
    this backend opens a connection of its own on its own event loop.
    """

    def __init__(self, spec: ConnectionSpec) -> None:
        self._settings = settings_of(spec)
        self._connection = Connection(self._settings)
        self._stream, self._sub = NatsStream(self._connection), NatsSub(self._connection)
        self.stream, self.sub = self._stream, self._sub

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See the contract."""
        await self._stream.init(namespace, app_id)
        await self._sub.init(namespace, app_id, engine_id)

    async def close(self) -> None:
        """See the contract."""
        await self._stream.close()
        await self._connection.close()

    async def examine(self) -> list[Finding]:
        """See the contract."""
        return await examine(self._connection, self._settings.replicas)

    @property
    def identity(self) -> str:
        """See the contract."""
        return self._settings.identity
