"""Settings, app versions and scout roles."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from importlib import metadata
from typing import Any
from uuid import uuid4

from hotmesh_temporal.contracts.errors import NotFound
from hotmesh_temporal.contracts.store_apps import AppStore
from hotmesh_temporal.contracts.types import AppRecord, JsonObject

from .database import Database
from .hashes import HashService
from .jsontext import json_text
from .queues import Queues

_SETTINGS = "settings"
_ACTIVE = ":active"
_RESERVE = """
INSERT INTO hotmesh.leases AS l (app, name, owner, fence, expires_at)
VALUES ($1, 'scout/' || $2, $3, nextval('hotmesh.fences'), hotmesh.now_ms() + $4)
ON CONFLICT (app, name) DO UPDATE
    SET owner = excluded.owner, expires_at = excluded.expires_at, fence = excluded.fence
WHERE l.expires_at <= hotmesh.now_ms()
RETURNING true"""


class PostgresAppStore(HashService, AppStore):
    """See `AppStore`. Nothing is cached: every read is of the database."""

    def __init__(self, database: Database, queues: Queues) -> None:
        super().__init__(database, queues)
        self._owner = uuid4().hex

    async def close(self) -> None:
        """Nothing to release: the backend owns the connections."""

    # -- settings ---------------------------------------------------------------------------------------------

    async def get_settings(self, create: bool = False) -> dict[str, Any]:
        stored = await self._get_all(_SETTINGS)
        if not stored and not create:
            raise NotFound("there are no settings: call get_settings(create=True) or set_settings first")
        if not stored:
            first = {"namespace": self._db.names[0], "version": metadata.version("hotmesh-temporal")}
            await self.set_settings(first)
            stored = await self._get_all(_SETTINGS)
        return {name: json.loads(value) for name, value in stored.items()}

    async def set_settings(self, manifest: JsonObject) -> None:
        await self._put(_SETTINGS, {name: json_text(value) for name, value in manifest.items()})

    # -- app versions -----------------------------------------------------------------------------------------

    async def get_app(self, app_id: str, refresh: bool = False) -> AppRecord | None:
        stored = await self._get_all(_app_key(app_id))
        if not stored:
            return None
        active = stored.pop(_ACTIVE, "")
        return AppRecord(app_id, active, bool(active), {name[1:]: state for name, state in stored.items()})

    async def set_app(self, app_id: str, version: str) -> AppRecord:
        # A version that is active already stays as it is.
        await self._db.read(
            """INSERT INTO hotmesh.hashes AS h (app, key, field, value) VALUES ($1, $2, $3, $4)
            ON CONFLICT (app, key, field) DO UPDATE SET value = excluded.value WHERE NOT EXISTS (
                SELECT FROM hotmesh.hashes a WHERE a.app = $1 AND a.key = $2 AND a.field = $5
                    AND 'v' || a.value = $3)""",
            self._db.app,
            _app_key(app_id),
            _version_field(version),
            f"deployed:{_now()}",
            _ACTIVE,
        )
        record = await self.get_app(app_id, refresh=True)
        assert record is not None
        return record

    async def activate_app_version(self, app_id: str, version: str) -> bool:
        record = await self.get_app(app_id, refresh=True)
        if record is None or version not in record.versions:
            raise NotFound(f"version {version!r} of app {app_id!r} was never deployed: call set_app first")
        if record.version != version:
            await self._put(_app_key(app_id), {_ACTIVE: version, _version_field(version): f"activated:{_now()}"})
        return True

    # -- scout roles ------------------------------------------------------------------------------------------

    async def reserve_scout_role(self, scout_type: str, delay: int = 60, owner: str | None = None) -> bool:
        milliseconds = max(delay - 1, 1) * 1000
        return bool(await self._db.fetch(_RESERVE, self._db.app, scout_type, owner or self._owner, milliseconds))

    async def release_scout_role(self, scout_type: str, owner: str | None = None) -> bool:
        sql = """DELETE FROM hotmesh.leases WHERE app = $1 AND name = 'scout/' || $2 AND owner = $3
            AND expires_at > hotmesh.now_ms() RETURNING true"""
        return bool(await self._db.fetch(sql, self._db.app, scout_type, owner or self._owner))


def _app_key(app_id: str) -> str:
    return f"app/{app_id}"


def _version_field(version: str) -> str:
    """Prefixed, so that no version can be taken for the mark of the active one."""
    return f"v{version}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
