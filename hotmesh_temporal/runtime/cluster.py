"""What a database says of itself: the id that all its processes show, in the settings of the store.

The settings also tell which version of the package has made the database. Which form of what is stored may be written
is no matter of theirs, but of the engine's version (``versions.py``).
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from ..contracts.errors import Unavailable
from ..contracts.store_apps import AppStore

CLUSTER_NAME = "active"
"""The name of the one cluster that a database is; a Temporal server is called so if nobody names it."""

_ID, _NAME = "cluster_id", "cluster_name"
_ROLE, _ROLE_SECONDS, _TRIES, _PAUSE = "settings", 5, 100, 0.1


class Cluster:
    """The database as a cluster."""

    def __init__(self, store: AppStore, engine_id: str) -> None:
        self._store = store
        self._engine_id = engine_id
        self._id = ""
        self._asking = asyncio.Lock()

    async def id(self) -> str:
        """The same in every process, for as long as the database exists; made by whoever asks first."""
        async with self._asking:
            if not self._id:
                settings = await self._store.get_settings(create=True)
                self._id = settings.get(_ID) or await self._create()
        return self._id

    async def _create(self) -> str:
        """Alone: of two that are made at once, one would be forgotten after it was shown."""
        for _ in range(_TRIES):
            if await self._store.reserve_scout_role(_ROLE, _ROLE_SECONDS, self._engine_id):
                break
            await asyncio.sleep(_PAUSE)
        else:
            raise Unavailable("another process writes the settings, and does not come to an end")
        try:
            settings: dict[str, Any] = await self._store.get_settings()
            if _ID not in settings:
                settings = {_ID: str(uuid.uuid4()), _NAME: CLUSTER_NAME}
                await self._store.set_settings(settings)
            return settings[_ID]
        finally:
            await self._store.release_scout_role(_ROLE, self._engine_id)
