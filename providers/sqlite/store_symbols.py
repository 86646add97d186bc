"""Store: symbols and time-bucketed statistics."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from hotmesh_temporal.contracts import symbols as rules
from hotmesh_temporal.contracts.store_symbols import StatsStore, SymbolStore
from hotmesh_temporal.contracts.symbols import SymbolType
from hotmesh_temporal.contracts.types import AppVersion, KeyParams, KeyType, Stats, StringMap, Transaction

from .database import Session
from .service import Service

_MERGE_SYMBOL = """
INSERT INTO hm_symbols (scope, target, path, symbol) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, target, path) DO UPDATE SET symbol = excluded.symbol
"""

_MERGE_VALUE = """
INSERT INTO hm_symbol_values (scope, value, code) VALUES (?, ?, ?)
ON CONFLICT (scope, value) DO UPDATE SET code = excluded.code
"""


class SymbolGroup(Service, SymbolStore):
    """`SymbolStore` on SQLite."""

    async def reserve_symbol_range(
        self, target: str, size: int, symbol_type: SymbolType
    ) -> tuple[int, int, dict[str, str]]:
        """See the contract."""
        rules.check_range_size(size)
        scope = self._scope
        return await self._database.write(lambda session: _reserve(session, scope, target, size, symbol_type))

    async def get_symbols(self, activity_id: str) -> dict[str, str]:
        """See the contract."""
        scope = self._scope
        return await self._database.read(lambda session: read_symbols(session, scope, activity_id))

    async def add_symbols(self, activity_id: str, symbols: StringMap) -> bool:
        """See the contract."""
        scope, entries = self._scope, dict(symbols)
        if not entries:
            return False
        await self._database.write(lambda session: _merge_symbols(session, scope, activity_id, entries))
        return True

    async def get_symbol_values(self) -> dict[str, str]:
        """See the contract."""
        statement, key = "SELECT value, code FROM hm_symbol_values WHERE scope = ?", (self._scope,)
        return await self._database.read(lambda session: dict(session.execute(statement, key).fetchall()))

    async def add_symbol_values(self, symbol_values: StringMap) -> bool:
        """See the contract."""
        scope, entries = self._scope, dict(symbol_values)
        if not entries:
            return False

        def work(session: Session) -> None:
            for value, code in entries.items():
                session.execute(_MERGE_VALUE, (scope, value, code))

        await self._database.write(work)
        return True

    async def get_symbol_keys(self, symbol_names: Sequence[str]) -> dict[str, dict[str, str]]:
        """See the contract."""
        scope, names = self._scope, tuple(symbol_names)
        return await self._database.scan(lambda session: {name: read_symbols(session, scope, name) for name in names})

    async def get_all_symbols(self) -> dict[str, str]:
        """See the contract."""
        statement, key = "SELECT target, path, symbol FROM hm_symbols WHERE scope = ?", (self._scope,)
        rows = await self._database.read(lambda session: session.execute(statement, key).fetchall())
        return {symbol: path if target.startswith("$") else f"{target}/{path}" for target, path, symbol in rows}


def read_symbols(session: Session, scope: int, target: str) -> dict[str, str]:
    """The symbol map of one target."""
    rows = session.execute("SELECT path, symbol FROM hm_symbols WHERE scope = ? AND target = ?", (scope, target))
    return dict(rows.fetchall())


def _merge_symbols(session: Session, scope: int, target: str, symbols: StringMap) -> None:
    for path, symbol in symbols.items():
        session.execute(_MERGE_SYMBOL, (scope, target, path, symbol))


def _reserve(
    session: Session, scope: int, target: str, size: int, symbol_type: SymbolType
) -> tuple[int, int, dict[str, str]]:
    stored = session.execute(
        "SELECT lower, size FROM hm_symbol_ranges WHERE scope = ? AND target = ?", (scope, target)
    ).fetchone()
    if stored is not None:
        lower, taken_size = stored
        return rules.range_result(lower, taken_size, read_symbols(session, scope, target))
    lower = session.execute(
        "SELECT coalesce(max(lower + size), 0) FROM hm_symbol_ranges WHERE scope = ?", (scope,)
    ).fetchone()[0]
    rules.check_cursor(lower + size)
    session.execute(
        "INSERT INTO hm_symbol_ranges (scope, target, lower, size) VALUES (?, ?, ?, ?)", (scope, target, lower, size)
    )
    _merge_symbols(session, scope, target, rules.seed_symbols(symbol_type, lower))
    return rules.range_result(lower, size, {})


# -- statistics --------------------------------------------------------------------------------------------------------

_ADD_TO_COUNTER = """
INSERT INTO hm_counters (scope, bucket, facet, value) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, bucket, facet) DO UPDATE SET value = value + excluded.value
"""


class StatsGroup(Service, StatsStore):
    """`StatsStore` on SQLite."""

    async def set_stats(
        self,
        job_key: str,
        job_id: str,
        date_time: str,
        stats: Stats,
        app_version: AppVersion,
        transaction: Transaction | None = None,
    ) -> None:
        """See the contract."""
        scope = self._scope

        def key(key_type: KeyType, facet: str = "") -> str:
            return self.mint_key(key_type, KeyParams(job_key=job_key, date_time=date_time, facet=facet))

        bucket = key(KeyType.JOB_STATS_GENERAL)
        lists = [key(KeyType.JOB_STATS_INDEX, facet) for facet, _ in stats.index]
        samples = [(key(KeyType.JOB_STATS_MEDIAN, facet), value) for facet, value in stats.median]

        def work(session: Session) -> None:
            for facet, amount in stats.general:
                session.execute(_ADD_TO_COUNTER, (scope, bucket, facet, amount))
            for list_key in lists:
                append_to_list(session, scope, list_key, job_id)
            for sample_key, value in samples:
                session.execute(
                    "INSERT INTO hm_samples (scope, sample_key, value) VALUES (?, ?, ?)", (scope, sample_key, value)
                )

        await self._run(work, transaction, None)

    async def get_job_stats(self, job_keys: Sequence[str]) -> dict[str, dict[str, float]]:
        """See the contract."""
        scope, keys = self._scope, tuple(job_keys)
        statement = "SELECT facet, value FROM hm_counters WHERE scope = ? AND bucket = ?"
        return await self._database.scan(
            lambda session: {key: dict(session.execute(statement, (scope, key)).fetchall()) for key in keys}
        )

    async def get_job_ids(self, index_keys: Sequence[str], id_range: tuple[int, int]) -> dict[str, list[str]]:
        """See the contract."""
        scope, keys = self._scope, tuple(index_keys)
        return await self._database.scan(
            lambda session: {key: _read_list(session, scope, key, id_range) for key in keys}
        )

    async def get_job_medians(self, median_keys: Sequence[str]) -> dict[str, float | None]:
        """See the contract."""
        scope, keys = self._scope, tuple(median_keys)
        return await self._database.scan(lambda session: {key: _read_median(session, scope, key) for key in keys})


def append_to_list(session: Session, scope: int, list_key: str, value: str) -> None:
    """Add a value at the end of a list."""
    session.execute(
        """INSERT INTO hm_lists (scope, list_key, position, value) VALUES (?1, ?2, coalesce(
            (SELECT max(position) + 1 FROM hm_lists WHERE scope = ?1 AND list_key = ?2), 0), ?3)""",
        (scope, list_key, value),
    )


def _read_list(session: Session, scope: int, list_key: str, id_range: tuple[int, int]) -> list[str]:
    key = (scope, list_key)
    first, last = id_range
    if first < 0 or last < 0:
        count = session.execute("SELECT count(*) FROM hm_lists WHERE scope = ? AND list_key = ?", key).fetchone()[0]
        first = max(first + count, 0) if first < 0 else first
        last = last + count if last < 0 else last
    rows = session.execute(
        "SELECT value FROM hm_lists WHERE scope = ? AND list_key = ? ORDER BY position LIMIT ? OFFSET ?",
        (*key, max(last - first + 1, 0), first),
    )
    return [row[0] for row in rows]


_MIDDLE = """
SELECT value FROM hm_samples WHERE scope = ?1 AND sample_key = ?2 ORDER BY value LIMIT 2 - ?3 % 2 OFFSET (?3 - 1) / 2
"""


def _read_median(session: Session, scope: int, sample_key: str) -> float | None:
    count = session.execute(
        "SELECT count(*) FROM hm_samples WHERE scope = ? AND sample_key = ?", (scope, sample_key)
    ).fetchone()[0]
    rows = session.execute(_MIDDLE, (scope, sample_key, count)).fetchall() if count else []
    return median(row[0] for row in rows) if rows else None
