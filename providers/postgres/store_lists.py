"""Symbols, statistics and work lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hotmesh_temporal.contracts.keys import stats_bucket_key
from hotmesh_temporal.contracts.store_routing import WorkListStore
from hotmesh_temporal.contracts.store_symbols import StatsStore, SymbolStore
from hotmesh_temporal.contracts.symbols import (
    SymbolType,
    check_cursor,
    check_range_size,
    range_result,
    seed_symbols,
)
from hotmesh_temporal.contracts.types import AppVersion, KeyParams, KeyType, Stats, StringMap, Transaction

from .database import nothing, scalar
from .driver import Connection, atomically
from .hashes import HashService

_SYMBOLS = "symbols/"
_RANGES = "symbol-ranges"
_CURSOR = "symbol-cursor"
_VALUES = "symbol-values"


class PostgresSymbolStore(HashService, SymbolStore):
    """See `SymbolStore`."""

    async def reserve_symbol_range(
        self, target: str, size: int, symbol_type: SymbolType
    ) -> tuple[int, int, dict[str, str]]:
        check_range_size(size)

        async def reserve(connection: Connection) -> tuple[int, int, dict[str, str]]:
            return await atomically(connection, lambda: self._reserve(connection, target, size, symbol_type))

        return await self._db.with_connection(reserve)

    async def _reserve(
        self, connection: Connection, target: str, size: int, symbol_type: SymbolType
    ) -> tuple[int, int, dict[str, str]]:
        # The row of the app is the lock: reservations are rare and take turns.
        await connection.fetch(self._db.sql("SELECT FROM hotmesh.apps WHERE app = $1 FOR UPDATE"), self._db.app)
        existing = await self._get_hash_on(connection, _RANGES, target)
        if existing is not None:
            lower, stored_size = (int(part) for part in existing.split(":"))
            return range_result(lower, stored_size, await self._get_all_on(connection, _SYMBOLS + target))
        lower = int(await self._get_hash_on(connection, _CURSOR, "") or 0)
        check_cursor(lower + size)
        seeds = seed_symbols(symbol_type, lower)
        await self._put_on(connection, _CURSOR, {"": str(lower + size)})
        await self._put_on(connection, _RANGES, {target: f"{lower}:{size}"})
        await self._put_on(connection, _SYMBOLS + target, seeds)
        first, last, _ = range_result(lower, size, seeds)
        return first, last, {}

    async def get_symbols(self, activity_id: str) -> dict[str, str]:
        return await self._get_all(_SYMBOLS + activity_id)

    async def add_symbols(self, activity_id: str, symbols: StringMap) -> bool:
        await self._put(_SYMBOLS + activity_id, symbols)
        return bool(symbols)

    async def get_symbol_values(self) -> dict[str, str]:
        return await self._get_all(_VALUES)

    async def add_symbol_values(self, symbol_values: StringMap) -> bool:
        await self._put(_VALUES, symbol_values)
        return bool(symbol_values)

    async def get_symbol_keys(self, symbol_names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not symbol_names:
            return {}
        found = await self._get_many([_SYMBOLS + name for name in symbol_names])
        return {name: found.get(_SYMBOLS + name, {}) for name in symbol_names}

    async def get_all_symbols(self) -> dict[str, str]:
        sql = "SELECT key, field, value FROM hotmesh.hashes WHERE app = $1 AND starts_with(key, $2)"
        symbols: dict[str, str] = {}
        for key, path, symbol in await self._db.read(sql, self._db.app, _SYMBOLS):
            name = key.removeprefix(_SYMBOLS)
            symbols[symbol] = path if name.startswith("$") else f"{name}/{path}"
        return symbols


class PostgresStatsStore(HashService, StatsStore):
    """See `StatsStore`."""

    async def set_stats(
        self,
        job_key: str,
        job_id: str,
        date_time: str,
        stats: Stats,
        app_version: AppVersion,
        transaction: Transaction | None = None,
    ) -> None:
        self._check_app(app_version.id)

        def key(key_type: KeyType, facet: str = "") -> str:
            return self.mint_key(key_type, KeyParams(job_key=job_key, date_time=date_time, facet=facet))

        lists = [(key(KeyType.JOB_STATS_INDEX, facet), job_id) for facet, _ in stats.index]
        lists += [(_samples(key(KeyType.JOB_STATS_MEDIAN, facet)), repr(float(value))) for facet, value in stats.median]
        await self._write(
            "SELECT hotmesh.add_stats($1, $2, $3, $4, $5, $6)",
            key(KeyType.JOB_STATS_GENERAL),
            [facet for facet, _ in stats.general],
            [float(amount) for _, amount in stats.general],
            [name for name, _ in lists],
            [value for _, value in lists],
            transaction=transaction,
            placeholder=None,
            decode=nothing,
        )

    async def get_job_stats(self, job_keys: Sequence[str]) -> dict[str, dict[str, float]]:
        stats: dict[str, dict[str, float]] = {key: {} for key in job_keys}
        sql = "SELECT key, facet, value FROM hotmesh.counters WHERE app = $1 AND key = ANY ($2)"
        for key, facet, value in await self._db.read(sql, self._db.app, list(job_keys)):
            stats[key][facet] = value
        return stats

    async def get_job_ids(self, index_keys: Sequence[str], id_range: tuple[int, int]) -> dict[str, list[str]]:
        sql = (
            "SELECT k, hotmesh.list_range($1, k, $3, $4) FROM unnest($2::text[]) WITH ORDINALITY AS u (k, n) ORDER BY n"
        )
        rows = await self._db.read(sql, self._db.app, list(index_keys), *id_range)
        return {row[0]: list(row[1]) for row in rows}

    async def get_job_medians(self, median_keys: Sequence[str]) -> dict[str, float | None]:
        sql = """SELECT (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value::float8)
                FROM hotmesh.lists WHERE app = $1 AND key = k)
            FROM unnest($2::text[]) WITH ORDINALITY AS u (k, n) ORDER BY n"""
        rows = await self._db.read(sql, self._db.app, [_samples(key) for key in median_keys])
        return {key: row[0] for key, row in zip(median_keys, rows, strict=True)}


def _samples(median_key: str) -> str:
    """Where samples are kept: a median and an index of one facet have the same key."""
    return f"samples/{median_key}"


class PostgresWorkListStore(HashService, WorkListStore):
    """See `WorkListStore`."""

    async def add_task_queues(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        await self._db.read(
            """INSERT INTO hotmesh.work_items (app, item)
            SELECT $1, k FROM unnest($2::text[]) WITH ORDINALITY AS u (k, n) ORDER BY n ON CONFLICT DO NOTHING""",
            self._db.app,
            list(keys),
        )

    async def get_active_task_queue(self) -> str | None:
        sql = "SELECT item FROM hotmesh.work_items WHERE app = $1 ORDER BY id LIMIT 1"
        item: str | None = scalar(await self._db.read(sql, self._db.app))
        return item

    async def process_task_queue(self, source_key: str, destination_key: str) -> str | None:
        sql = "SELECT hotmesh.list_move($1, $2, $3)"
        moved: Any = scalar(await self._db.fetch(sql, self._db.app, source_key, destination_key))
        return moved

    async def delete_processed_task_queue(
        self, work_item_key: str, key: str, processed_key: str, scrub: bool = False
    ) -> None:
        await self._db.fetch(
            "SELECT hotmesh.end_work_item($1, $2, $3, $4, $5, $6)",
            self._db.app,
            work_item_key,
            key,
            processed_key,
            scrub,
            stats_bucket_key(key),
        )
