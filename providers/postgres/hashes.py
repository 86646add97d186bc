"""The hashes that the small tables of HotMesh are kept in: key, field, value, all text."""

from __future__ import annotations

from hotmesh_temporal.contracts.keys import mint_key
from hotmesh_temporal.contracts.types import KeyParams, KeyType, StringMap

from .base import Service
from .database import scalar
from .driver import Connection

_GET = "SELECT value FROM hotmesh.hashes WHERE app = $1 AND key = $2 AND field = $3"
_GET_ALL = "SELECT field, value FROM hotmesh.hashes WHERE app = $1 AND key = $2 ORDER BY field"
_GET_MANY = "SELECT key, field, value FROM hotmesh.hashes WHERE app = $1 AND key = ANY ($2) ORDER BY key, field"
# Sorted, so that two writers of the same fields cannot deadlock.
_PUT = """
INSERT INTO hotmesh.hashes (app, key, field, value)
SELECT $1, $2, f, v FROM unnest($3::text[], $4::text[]) AS u (f, v) ORDER BY f COLLATE "C"
ON CONFLICT (app, key, field) DO UPDATE SET value = excluded.value"""


class HashService(Service):
    """Reads and merges hashes."""

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """The key with the names of ``init``; see the contract."""
        return mint_key(*self._db.names, key_type, params)

    async def _get(self, key: str, field: str) -> str | None:
        value: str | None = scalar(await self._db.read(_GET, self._db.app, key, field))
        return value

    async def _get_all(self, key: str) -> dict[str, str]:
        return {row[0]: row[1] for row in await self._db.read(_GET_ALL, self._db.app, key)}

    async def _get_many(self, keys: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for key, field, value in await self._db.read(_GET_MANY, self._db.app, keys):
            found.setdefault(key, {})[field] = value
        return found

    async def _put(self, key: str, fields: StringMap) -> None:
        if fields:
            await self._db.read(_PUT, self._db.app, key, list(fields), list(fields.values()))

    # -- the same, inside of a transaction of the caller ---------------------------------------------------------

    async def _get_hash_on(self, connection: Connection, key: str, field: str) -> str | None:
        value: str | None = scalar(await connection.fetch(self._db.sql(_GET), self._db.app, key, field))
        return value

    async def _get_all_on(self, connection: Connection, key: str) -> dict[str, str]:
        rows = await connection.fetch(self._db.sql(_GET_ALL), self._db.app, key)
        return {row[0]: row[1] for row in rows}

    async def _put_on(self, connection: Connection, key: str, fields: StringMap) -> None:
        await connection.fetch(self._db.sql(_PUT), self._db.app, key, list(fields), list(fields.values()))
