"""Store: settings, app versions and scout roles."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument, NotFound
from hotmesh_temporal.contracts.store_apps import AppStore
from hotmesh_temporal.contracts.types import AppRecord, JsonObject

from .database import Database, flat, pairs
from .service import Service


class AppGroup(Service, AppStore):
    """`AppStore` on Redis."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._owner = uuid.uuid4().hex

    # -- settings ---------------------------------------------------------------------------------------------

    async def get_settings(self, create: bool = False) -> dict[str, Any]:
        """See the contract."""
        if create:
            manifest = encode_entries({"namespace": self._db.names[0], "version": _package_version()})
            stored = await self._read("set_settings", flat(manifest), True)
        else:
            stored = await self._read("get_settings")
        if not stored:
            raise NotFound("there are no settings yet; call get_settings(create=True)")
        return decode_entries(stored)

    async def set_settings(self, manifest: JsonObject) -> None:
        """See the contract."""
        await self._db.call("set_settings", flat(encode_entries(manifest)), False)

    # -- app versions -----------------------------------------------------------------------------------------

    async def get_app(self, app_id: str, refresh: bool = False) -> AppRecord | None:
        """See the contract. Always read from the database."""
        return _app_record(app_id, await self._read("get_app", app_id))

    async def set_app(self, app_id: str, version: str) -> AppRecord:
        """See the contract."""
        record = _app_record(app_id, await self._read("deploy", app_id, version, f"deployed:{_timestamp()}"))
        assert record is not None
        return record

    async def activate_app_version(self, app_id: str, version: str) -> bool:
        """See the contract."""
        await self._read("activate", app_id, version, f"activated:{_timestamp()}")
        return True

    # -- scout roles ------------------------------------------------------------------------------------------

    async def reserve_scout_role(self, scout_type: str, delay: int = 60, owner: str | None = None) -> bool:
        """See the contract."""
        ttl_ms = max(delay - 1, 1) * 1000
        return bool(
            await self._db.call("acquire_lease", f"scout:{scout_type}", owner or self._owner, ttl_ms, None, False)
        )

    async def release_scout_role(self, scout_type: str, owner: str | None = None) -> bool:
        """See the contract."""
        return bool(await self._db.call("release_lease", f"scout:{scout_type}", owner or self._owner, None))


def encode_json(value: Any) -> str:
    """JSON text; raises `InvalidArgument` for what JSON does not have."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON value: {error}") from error


def encode_entries(entries: JsonObject) -> dict[str, str]:
    """Each value as JSON text."""
    return {name: encode_json(value) for name, value in entries.items()}


def decode_entries(stored: Sequence[bytes]) -> dict[str, Any]:
    """Undo `encode_entries`, of a flat list."""
    return {name: json.loads(value) for name, value in pairs(stored).items()}


def _app_record(app_id: str, stored: Sequence[bytes] | None) -> AppRecord | None:
    if not stored:
        return None
    entries = pairs(stored)
    active = entries.pop("", "")
    return AppRecord(app_id, active, bool(active), {name[2:]: state for name, state in entries.items()})


def _timestamp() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _package_version() -> str:
    try:
        return metadata.version("hotmesh-temporal")
    except metadata.PackageNotFoundError:
        # It runs from a source tree that is not installed.
        return "0"
