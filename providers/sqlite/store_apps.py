"""Store: settings, app versions and scout roles."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument, NotFound
from hotmesh_temporal.contracts.store_apps import AppStore
from hotmesh_temporal.contracts.types import AppRecord, JsonObject

from . import leases
from .clock import now_ms
from .database import Database, Session
from .package import package_version
from .service import Service

_MERGE_SETTING = """
INSERT INTO hm_settings (scope, name, value) VALUES (?, ?, ?)
ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value
"""

_SET_VERSION = """
INSERT INTO hm_app_versions (scope, app_id, version, state) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, app_id, version) DO UPDATE SET state = excluded.state
"""


class AppGroup(Service, AppStore):
    """`AppStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._owner = uuid.uuid4().hex

    # -- settings ---------------------------------------------------------------------------------------------

    async def get_settings(self, create: bool = False) -> dict[str, Any]:
        """See the contract."""
        scope = self._scope
        settings = await self._database.read(lambda session: _read_settings(session, scope))
        if not settings and create:
            manifest = {"namespace": self._namespace, "version": package_version()}
            settings = await self._database.write(lambda session: _create_settings(session, scope, manifest))
        if not settings:
            raise NotFound("there are no settings yet; call get_settings(create=True)")
        return settings

    async def set_settings(self, manifest: JsonObject) -> None:
        """See the contract."""
        scope, entries = self._scope, encode_entries(manifest)
        await self._database.write(lambda session: _merge_settings(session, scope, entries))

    # -- app versions -----------------------------------------------------------------------------------------

    async def get_app(self, app_id: str, refresh: bool = False) -> AppRecord | None:
        """See the contract. Always read from the database."""
        scope = self._scope
        return await self._database.scan(lambda session: _read_app(session, scope, app_id))

    async def set_app(self, app_id: str, version: str) -> AppRecord:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: _deploy(session, scope, app_id, version))

    async def activate_app_version(self, app_id: str, version: str) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: _activate(session, scope, app_id, version))

    # -- scout roles ------------------------------------------------------------------------------------------

    async def reserve_scout_role(self, scout_type: str, delay: int = 60, owner: str | None = None) -> bool:
        """See the contract."""
        scope, name, holder = self._scope, f"scout:{scout_type}", owner or self._owner
        ttl_ms = max(delay - 1, 1) * 1000

        def work(session: Session) -> bool:
            return leases.acquire(session, scope, name, holder, ttl_ms, now_ms(), extend=False) is not None

        return await self._database.write(work)

    async def release_scout_role(self, scout_type: str, owner: str | None = None) -> bool:
        """See the contract."""
        scope, name, holder = self._scope, f"scout:{scout_type}", owner or self._owner
        return await self._database.write(lambda session: leases.release(session, scope, name, holder, None, now_ms()))


def encode_json(value: Any) -> str:
    """JSON text; raises `InvalidArgument` for what JSON does not have."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON value: {error}") from error


def encode_entries(entries: JsonObject) -> dict[str, str]:
    """Each value as JSON text."""
    return {name: encode_json(value) for name, value in entries.items()}


def _read_settings(session: Session, scope: int) -> dict[str, Any]:
    rows = session.execute("SELECT name, value FROM hm_settings WHERE scope = ?", (scope,))
    return {name: json.loads(value) for name, value in rows}


def _merge_settings(session: Session, scope: int, entries: dict[str, str]) -> None:
    for name, value in entries.items():
        session.execute(_MERGE_SETTING, (scope, name, value))


def _create_settings(session: Session, scope: int, manifest: dict[str, str]) -> dict[str, Any]:
    if not _read_settings(session, scope):
        _merge_settings(session, scope, encode_entries(manifest))
    return _read_settings(session, scope)


def _read_app(session: Session, scope: int, app_id: str) -> AppRecord | None:
    key = (scope, app_id)
    row = session.execute("SELECT version FROM hm_apps WHERE scope = ? AND app_id = ?", key).fetchone()
    if row is None:
        return None
    versions = session.execute("SELECT version, state FROM hm_app_versions WHERE scope = ? AND app_id = ?", key)
    return AppRecord(app_id, row[0], bool(row[0]), dict(versions.fetchall()))


def _timestamp() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _deploy(session: Session, scope: int, app_id: str, version: str) -> AppRecord:
    session.execute(
        "INSERT INTO hm_apps (scope, app_id) VALUES (?, ?) ON CONFLICT (scope, app_id) DO NOTHING", (scope, app_id)
    )
    app = _read_app(session, scope, app_id)
    if app is None or app.version != version:
        session.execute(_SET_VERSION, (scope, app_id, version, f"deployed:{_timestamp()}"))
        app = _read_app(session, scope, app_id)
    assert app is not None
    return app


def _activate(session: Session, scope: int, app_id: str, version: str) -> bool:
    app = _read_app(session, scope, app_id)
    if app is None or version not in app.versions:
        raise NotFound(f"version {version!r} of app {app_id!r} was never deployed; call set_app first")
    if app.version != version:
        session.execute(_SET_VERSION, (scope, app_id, version, f"activated:{_timestamp()}"))
        session.execute("UPDATE hm_apps SET version = ? WHERE scope = ? AND app_id = ?", (version, scope, app_id))
    return True
