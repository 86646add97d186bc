"""Store contract, part 2: symbols (short field names) and time-bucketed statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .symbols import SymbolType
from .types import AppVersion, Stats, StringMap, Transaction


class SymbolStore(ABC):
    """Symbol maps (path to symbol) of activities and, under ``$<topic>``, of jobs. Returned maps are the caller's
    own.
    """

    @abstractmethod
    async def reserve_symbol_range(
        self, target: str, size: int, symbol_type: SymbolType
    ) -> tuple[int, int, dict[str, str]]:
        """Allot ``size`` slots to ``target`` once and for all: ``(first free slot, last slot, existing symbols)``.

        The first call takes the next block of the app, stores the metadata symbols (``symbols.seed_symbols``) and
        returns ``(lower + 26, lower + size - 1, {})``. Later calls, whatever their size, return
        ``symbols.range_result`` of the stored block. One atomic step: racing callers of one target see one block,
        those of distinct targets disjoint ones. Raises `InvalidArgument` for ``size`` <= 26 and when the app has no
        slots left (nothing is taken).
        """

    @abstractmethod
    async def get_symbols(self, activity_id: str) -> dict[str, str]:
        """The symbol map of an activity or ``$<topic>``; ``{}`` if none."""

    @abstractmethod
    async def add_symbols(self, activity_id: str, symbols: StringMap) -> bool:
        """Merge symbols into a map. True if anything was written; False for an empty map."""

    @abstractmethod
    async def get_symbol_values(self) -> dict[str, str]:
        """The app's table of short codes for frequent values."""

    @abstractmethod
    async def add_symbol_values(self, symbol_values: StringMap) -> bool:
        """Merge codes into that table. True if anything was written; False for an empty map."""

    @abstractmethod
    async def get_symbol_keys(self, symbol_names: Sequence[str]) -> dict[str, dict[str, str]]:
        """The symbol map of each name, ``{}`` for an unknown one; one round trip."""

    @abstractmethod
    async def get_all_symbols(self) -> dict[str, str]:
        """Symbol to full path (``<activity>/<path>``; ``<path>`` for a job's) of every map of the app."""


class StatsStore(ABC):
    """Counters, id lists and medians per time bucket. Keys are those of ``mint_key``, with ``job_key`` and
    ``date_time``.
    """

    @abstractmethod
    async def set_stats(
        self,
        job_key: str,
        job_id: str,
        date_time: str,
        stats: Stats,
        app_version: AppVersion,
        transaction: Transaction | None = None,
    ) -> None:
        """Apply all of ``stats`` to one bucket, atomically.

        ``general``: add the number to the counter ``facet`` of the bucket (`JOB_STATS_GENERAL`). ``index``: append
        ``job_id`` to the list ``facet`` (`JOB_STATS_INDEX`; the second item is not used). ``median``: keep the number
        as one more sample of ``facet`` (`JOB_STATS_MEDIAN`), equal ones too. Not idempotent.
        """

    @abstractmethod
    async def get_job_stats(self, job_keys: Sequence[str]) -> dict[str, dict[str, float]]:
        """The counters of each `JOB_STATS_GENERAL` key, in the order asked; ``{}`` for an unknown one."""

    @abstractmethod
    async def get_job_ids(self, index_keys: Sequence[str], id_range: tuple[int, int]) -> dict[str, list[str]]:
        """Job ids of each `JOB_STATS_INDEX` key, oldest first; ``[]`` for an unknown one.

        ``id_range`` is ``(first, last)``, both included, from 0; negative ones count from the end (-1: the last).
        """

    @abstractmethod
    async def get_job_medians(self, median_keys: Sequence[str]) -> dict[str, float | None]:
        """The median of each `JOB_STATS_MEDIAN` key (of an even count: the mean of the middle two); None if no sample.

        Extension: HotMesh writes the samples and leaves reading them to the user.
        """
