"""Notices for a process that cannot LISTEN: publishers keep them in a table while such a process says it is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from hotmesh_temporal.contracts.errors import ContractError

from .database import Database, scalar

FIRST_POLL_S = 0.02
LONGEST_POLL_S = 0.5
PRESENCE_MS = 10_000
LATE_S = 5.0
"""A notice may become visible after one with a higher id; for this long its place is still looked at."""

log = logging.getLogger(__name__)

_POLL = "SELECT id, payload FROM hotmesh.notices WHERE channel = $1 AND id > $2 ORDER BY id"
_PRESENT = """
INSERT INTO hotmesh.pollers AS p (app, until) VALUES ($1, hotmesh.now_ms() + $2)
ON CONFLICT (app) DO UPDATE SET until = greatest(p.until, excluded.until)"""


class NoticePoller:
    """Polls one channel: quickly after a notice, ever more slowly while there is none."""

    def __init__(self, database: Database, callback: Callable[[str], None]) -> None:
        self._db = database
        self._callback = callback
        self._task: asyncio.Task[None] | None = None
        self._floor = 0
        self._seen: dict[int, float] = {}

    async def start(self, channel: str) -> None:
        """Begin with the notices published from now on. No-op when it runs."""
        if self._task is not None and not self._task.done():
            return
        await self._announce()
        self._floor = scalar(await self._db.read("SELECT coalesce(max(id), 0) FROM hotmesh.notices"))
        self._seen.clear()
        self._task = asyncio.create_task(self._run(channel), name="hotmesh-notice-poll")

    async def stop(self) -> None:
        """Stop polling. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _announce(self) -> None:
        await self._db.read(_PRESENT, self._db.app, PRESENCE_MS)

    async def _run(self, channel: str) -> None:
        delay, announced = FIRST_POLL_S, time.monotonic()
        while True:
            await asyncio.sleep(delay)
            try:
                if time.monotonic() - announced > PRESENCE_MS / 3000:
                    await self._announce()
                    announced = time.monotonic()
                heard = await self._poll(channel)
            except ContractError as error:
                log.debug("notice poll failed: %s", error)
                heard = False
            delay = FIRST_POLL_S if heard else min(delay * 1.5, LONGEST_POLL_S)

    async def _poll(self, channel: str) -> bool:
        now = time.monotonic()
        fresh = [row for row in await self._db.read(_POLL, channel, self._floor) if row[0] not in self._seen]
        for notice_id, payload in fresh:
            self._seen[notice_id] = now
            self._callback(payload)
        for notice_id, seen_at in list(self._seen.items()):
            if now - seen_at > LATE_S:
                self._floor = max(self._floor, notice_id)
                del self._seen[notice_id]
        return bool(fresh)
