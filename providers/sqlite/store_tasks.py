"""Store: work lists and time hooks."""

from __future__ import annotations

from collections.abc import Sequence

from hotmesh_temporal.contracts import keys as key_rules
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.store_routing import TimeHookStore, WorkListStore
from hotmesh_temporal.contracts.types import KeyParams, KeyType, TimeHookTask, Transaction

from .clock import now_ms
from .database import Session
from .service import Service
from .store_symbols import append_to_list
from .timers import new_fence


class WorkListGroup(Service, WorkListStore):
    """`WorkListStore` on SQLite."""

    async def add_task_queues(self, keys: Sequence[str]) -> None:
        """See the contract."""
        scope, items = self._scope, tuple(keys)

        def work(session: Session) -> None:
            for item in items:
                session.execute(
                    "INSERT INTO hm_work_items (scope, item) VALUES (?, ?) ON CONFLICT DO NOTHING", (scope, item)
                )

        if items:
            await self._database.write(work)

    async def get_active_task_queue(self) -> str | None:
        """See the contract."""
        statement = "SELECT item FROM hm_work_items WHERE scope = ? ORDER BY position LIMIT 1"
        key = (self._scope,)
        row = await self._database.read(lambda session: session.execute(statement, key).fetchone())
        return None if row is None else row[0]

    async def process_task_queue(self, source_key: str, destination_key: str) -> str | None:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: _move_first(session, scope, source_key, destination_key))

    async def delete_processed_task_queue(
        self, work_item_key: str, key: str, processed_key: str, scrub: bool = False
    ) -> None:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> None:
            removed = session.execute("DELETE FROM hm_work_items WHERE scope = ? AND item = ?", (scope, work_item_key))
            if removed.rowcount == 1:
                if scrub:
                    _drop_bucket(session, scope, key, processed_key)
                else:
                    _put_back(session, scope, key, processed_key)

        await self._database.write(work)


_POP_FIRST = """
DELETE FROM hm_lists WHERE scope = ?1 AND list_key = ?2
    AND position = (SELECT min(position) FROM hm_lists WHERE scope = ?1 AND list_key = ?2)
RETURNING value
"""


def _move_first(session: Session, scope: int, source_key: str, destination_key: str) -> str | None:
    rows = session.execute(_POP_FIRST, (scope, source_key)).fetchall()
    if not rows:
        return None
    append_to_list(session, scope, destination_key, rows[0][0])
    return rows[0][0]


def _put_back(session: Session, scope: int, key: str, processed_key: str) -> None:
    """Processed ids in front of what is left, in their order."""
    left = session.execute(
        "SELECT coalesce(min(position), 0) FROM hm_lists WHERE scope = ? AND list_key = ?", (scope, key)
    ).fetchone()[0]
    processed = session.execute(
        "DELETE FROM hm_lists WHERE scope = ? AND list_key = ? RETURNING position, value", (scope, processed_key)
    ).fetchall()
    for offset, (_, value) in enumerate(sorted(processed)):
        session.execute(
            "INSERT INTO hm_lists (scope, list_key, position, value) VALUES (?, ?, ?, ?)",
            (scope, key, left - len(processed) + offset, value),
        )


def _drop_bucket(session: Session, scope: int, key: str, processed_key: str) -> None:
    session.execute("DELETE FROM hm_lists WHERE scope = ? AND list_key = ?", (scope, processed_key))
    bucket = key_rules.stats_bucket_key(key)
    session.execute("DELETE FROM hm_counters WHERE scope = ? AND bucket = ?", (scope, bucket))


# -- time hooks --------------------------------------------------------------------------------------------------------

_ARM = """
INSERT INTO hm_time_hooks (scope, job_id, gid, activity_id, type, dad, fire_at, due_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT DO NOTHING
"""

_CLAIM = """
UPDATE hm_time_hooks SET due_at = ?1, fence = ?2 WHERE hook_id = (
    SELECT hook_id FROM hm_time_hooks
    WHERE scope = ?3 AND fire_at <= ?4 AND due_at <= ?4 AND (?5 IS NULL OR fire_at = ?5)
    ORDER BY fire_at, hook_id LIMIT 1)
RETURNING fire_at, job_id, gid, activity_id, type, dad, fence
"""

_ACK = """
DELETE FROM hm_time_hooks WHERE scope = ? AND job_id = ? AND gid = ? AND activity_id = ? AND type = ? AND dad = ?
    AND fire_at = ? AND fence = ?
"""


class TimeHookGroup(Service, TimeHookStore):
    """`TimeHookStore` on SQLite."""

    async def register_time_hook(
        self,
        job_id: str,
        gid: str,
        activity_id: str,
        type: str,
        deletion_time: int,
        dad: str,
        transaction: Transaction | None = None,
    ) -> None:
        """See the contract."""
        values = (self._scope, job_id, gid, activity_id, type, dad, deletion_time)

        def work(session: Session) -> None:
            session.execute(_ARM, values)

        await self._run(work, transaction, None)

    async def get_next_task(self, list_key: str | None = None, *, lease_ms: int = 60_000) -> TimeHookTask | bool:
        """See the contract."""
        scope = self._scope
        only_at = None if list_key is None else self._time_of(list_key)

        def work(session: Session) -> TimeHookTask | bool:
            now, fence = now_ms(), new_fence()
            row = session.execute(_CLAIM, (now + max(lease_ms, 0), fence, scope, now, only_at)).fetchone()
            if row is None:
                return only_at is not None
            return TimeHookTask(self._list_key(row[0]), *row[1:])

        return await self._database.write(work)

    async def ack_time_hook(self, task: TimeHookTask) -> bool:
        """See the contract."""
        identity = (task.job_id, task.gid, task.activity_id, task.type, task.dad)
        key = (self._scope, *identity, self._time_of(task.list_key), task.fence)
        return await self._database.write(lambda session: session.execute(_ACK, key).rowcount == 1)

    def _list_key(self, fire_at: int) -> str:
        return self.mint_key(KeyType.TIME_RANGE, KeyParams(time_value=fire_at))

    def _time_of(self, list_key: str) -> int:
        fire_at = key_rules.parse_key(list_key).id
        if not fire_at.lstrip("-").isdigit() or list_key != self._list_key(int(fire_at)):
            raise InvalidArgument(f"{list_key!r} is not the key of a time range of this app")
        return int(fire_at)
