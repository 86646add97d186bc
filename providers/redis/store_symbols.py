"""Store: symbols and time-bucketed statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from hotmesh_temporal.contracts import symbols as rules
from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.store_symbols import StatsStore, SymbolStore
from hotmesh_temporal.contracts.symbols import SymbolType
from hotmesh_temporal.contracts.types import AppVersion, KeyParams, KeyType, Stats, StringMap, Transaction

from .database import flat, pairs, rows, texts
from .service import Service, nothing

_LARGEST_STEP = 1e100
"""A counter cannot leave the range of numbers in steps of this size, which a script could not take back."""


class SymbolGroup(Service, SymbolStore):
    """`SymbolStore` on Redis."""

    async def reserve_symbol_range(
        self, target: str, size: int, symbol_type: SymbolType
    ) -> tuple[int, int, dict[str, str]]:
        """See the contract."""
        rules.check_range_size(size)
        while True:
            stored, found = await self._read("get_range", target)
            if stored is not None:
                lower, taken_size = (int(part) for part in stored.split(b":"))
                return rules.range_result(lower, taken_size, pairs(found))
            lower = int(found)
            rules.check_cursor(lower + size)
            seeds = rules.seed_symbols(symbol_type, lower)
            if await self._db.call("reserve_range", target, lower, size, flat(seeds)):
                return rules.range_result(lower, size, {})

    async def get_symbols(self, activity_id: str) -> dict[str, str]:
        """See the contract."""
        return (await self.get_symbol_keys([activity_id]))[activity_id]

    async def add_symbols(self, activity_id: str, symbols: StringMap) -> bool:
        """See the contract."""
        if symbols:
            await self._read("add_symbols", activity_id, flat(symbols))
        return bool(symbols)

    async def get_symbol_values(self) -> dict[str, str]:
        """See the contract."""
        return pairs(await self._read("get_symbol_values"))

    async def add_symbol_values(self, symbol_values: StringMap) -> bool:
        """See the contract."""
        if symbol_values:
            await self._read("add_symbol_values", flat(symbol_values))
        return bool(symbol_values)

    async def get_symbol_keys(self, symbol_names: Sequence[str]) -> dict[str, dict[str, str]]:
        """See the contract."""
        maps = await self._read("get_symbols", list(symbol_names))
        return {name: pairs(stored) for name, stored in zip(symbol_names, maps, strict=True)}

    async def get_all_symbols(self) -> dict[str, str]:
        """See the contract."""
        found: dict[str, str] = {}
        for name, stored in rows(await self._read("get_all_symbols"), 2):
            target = name.decode()
            for path, symbol in pairs(stored).items():
                found[symbol] = path if target.startswith("$") else f"{target}/{path}"
        return found


class StatsGroup(Service, StatsStore):
    """`StatsStore` on Redis."""

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

        def key(key_type: KeyType, facet: str = "") -> str:
            return self.mint_key(key_type, KeyParams(job_key=job_key, date_time=date_time, facet=facet))

        counters = [part for facet, amount in stats.general for part in (facet, _step(amount))]
        lists = [key(KeyType.JOB_STATS_INDEX, facet) for facet, _ in stats.index]
        samples = [
            part for facet, value in stats.median for part in (key(KeyType.JOB_STATS_MEDIAN, facet), _step(value))
        ]
        await self._write(
            "set_stats",
            key(KeyType.JOB_STATS_GENERAL),
            counters,
            lists,
            job_id,
            samples,
            transaction=transaction,
            placeholder=None,
            decode=nothing,
        )

    async def get_job_stats(self, job_keys: Sequence[str]) -> dict[str, dict[str, float]]:
        """See the contract."""
        found = await self._read("get_counters", list(job_keys))
        return {
            key: {facet: float(value) for facet, value in pairs(stored).items()}
            for key, stored in zip(job_keys, found, strict=True)
        }

    async def get_job_ids(self, index_keys: Sequence[str], id_range: tuple[int, int]) -> dict[str, list[str]]:
        """See the contract."""
        found = await self._read("get_lists", list(index_keys), *id_range)
        return {key: texts(ids) for key, ids in zip(index_keys, found, strict=True)}

    async def get_job_medians(self, median_keys: Sequence[str]) -> dict[str, float | None]:
        """See the contract."""
        found = await self._read("get_medians", list(median_keys))
        return {
            key: median(float(value) for value in middle) if middle else None
            for key, middle in zip(median_keys, found, strict=True)
        }


def _step(number: float) -> str:
    if not math.isfinite(number) or abs(number) > _LARGEST_STEP:
        raise InvalidArgument(f"{number} cannot be counted")
    return repr(float(number))
