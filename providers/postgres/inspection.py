"""Looking at everything: pointers, timers, outbox and messages, for verification."""

from __future__ import annotations

from hotmesh_temporal.contracts.commit import OutboxEntry, TimerWrite
from hotmesh_temporal.contracts.inspection import CurrentRun, StoredMessage, StoreInspection, StreamInspection

from .base import Service
from .commit import message_number

_CURRENT_RUNS = """
SELECT c.pointer_id, c.run_id FROM hotmesh.current_runs c
LEFT JOIN hotmesh.jobs j ON j.app = c.app AND j.job_id = c.run_id
WHERE c.app = $1 AND c.pointer_id > $2 AND hotmesh.live(j.expires_at) ORDER BY c.pointer_id LIMIT $3"""
_TIMERS = """
SELECT timer_id, fire_at, payload FROM hotmesh.timers WHERE app = $1 AND timer_id > $2 ORDER BY timer_id LIMIT $3"""
_OUTBOX = """
SELECT id::text, stream, message, visible_at, priority FROM hotmesh.outbox
WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3"""
_MESSAGES = """
SELECT s.stream, m.id::text, m.data, m.attempt FROM hotmesh.messages m JOIN hotmesh.streams s ON s.queue = m.queue
WHERE m.app = $1 AND m.id > $2 ORDER BY m.id LIMIT $3"""


class PostgresStoreInspection(Service, StoreInspection):
    """See `StoreInspection`."""

    async def list_current_runs(self, after: str = "", limit: int = 1000) -> list[CurrentRun]:
        return [CurrentRun(*row) for row in await self._db.read(_CURRENT_RUNS, self._db.app, after, limit)]

    async def list_timers(self, after: str = "", limit: int = 1000) -> list[TimerWrite]:
        return [TimerWrite(*row) for row in await self._db.read(_TIMERS, self._db.app, after, limit)]

    async def list_outbox(self, after: str = "", limit: int = 1000) -> list[OutboxEntry]:
        rows = await self._db.read(_OUTBOX, self._db.app, message_number(after), limit)
        return [OutboxEntry(*row) for row in rows]


class PostgresStreamInspection(Service, StreamInspection):
    """See `StreamInspection`."""

    async def list_messages(self, after: str = "", limit: int = 1000) -> list[StoredMessage]:
        rows = await self._db.read(_MESSAGES, self._db.app, message_number(after), limit)
        return [StoredMessage(*row) for row in rows]
