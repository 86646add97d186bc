"""Looking at everything: pointers, timers, outbox and messages, for verification."""

from __future__ import annotations

from hotmesh_temporal.contracts.commit import OutboxEntry, TimerWrite
from hotmesh_temporal.contracts.inspection import CurrentRun, StoredMessage, StoreInspection, StreamInspection

from .clock import now_ms
from .messages import to_rowid
from .outbox import entry_id
from .service import Service

_CURRENT_RUNS = """
SELECT c.pointer_id, c.run_id FROM hm_current_runs c LEFT JOIN hm_jobs j ON j.scope = c.scope AND j.job_id = c.run_id
WHERE c.scope = ? AND c.pointer_id > ? AND (j.expires_at IS NULL OR j.expires_at > ?) ORDER BY c.pointer_id LIMIT ?
"""
_TIMERS = "SELECT timer_id, fire_at, payload FROM hm_timers WHERE scope = ? AND timer_id > ? ORDER BY timer_id LIMIT ?"
_OUTBOX = """
SELECT (SELECT value FROM hm_meta WHERE name = 'database_id') || '-' || entry_id, stream, message, visible_at, priority
FROM hm_outbox WHERE scope = ? AND entry_id > ? ORDER BY entry_id LIMIT ?
"""
_MESSAGES = """
SELECT s.name, CAST(m.message_id AS TEXT), m.data, m.attempt
FROM hm_messages m JOIN hm_streams s ON s.stream_key = m.stream_key
WHERE s.scope = ? AND m.message_id > ? AND m.available_at IS NOT NULL ORDER BY m.message_id LIMIT ?
"""


class StoreInspectionGroup(Service, StoreInspection):
    """`StoreInspection` on SQLite."""

    async def list_current_runs(self, after: str = "", limit: int = 1000) -> list[CurrentRun]:
        """See the contract."""
        values = (self._scope, after, now_ms(), limit)
        return await self._database.scan(
            lambda session: [CurrentRun(*row) for row in session.execute(_CURRENT_RUNS, values)]
        )

    async def list_timers(self, after: str = "", limit: int = 1000) -> list[TimerWrite]:
        """See the contract."""
        values = (self._scope, after, limit)
        return await self._database.scan(lambda session: [TimerWrite(*row) for row in session.execute(_TIMERS, values)])

    async def list_outbox(self, after: str = "", limit: int = 1000) -> list[OutboxEntry]:
        """See the contract."""
        values = (self._scope, entry_id(after), limit)
        return await self._database.scan(
            lambda session: [OutboxEntry(*row) for row in session.execute(_OUTBOX, values)]
        )


class StreamInspectionGroup(Service, StreamInspection):
    """`StreamInspection` on SQLite."""

    async def list_messages(self, after: str = "", limit: int = 1000) -> list[StoredMessage]:
        """See the contract."""
        values = (self._scope, to_rowid(after), limit)
        return await self._database.scan(
            lambda session: [StoredMessage(*row) for row in session.execute(_MESSAGES, values)]
        )
