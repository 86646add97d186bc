"""The store: every group of the contract over one database."""

from __future__ import annotations

from hotmesh_temporal.contracts.store import StoreService

from .inspection import PostgresStoreInspection
from .store_apps import PostgresAppStore
from .store_execution import PostgresExecutionStore
from .store_jobs import PostgresJobStore
from .store_lists import PostgresStatsStore, PostgresSymbolStore, PostgresWorkListStore
from .store_routing import (
    PostgresRoutingStore,
    PostgresSignalStore,
    PostgresThrottleStore,
    PostgresTimeHookStore,
)


class PostgresStore(
    PostgresAppStore,
    PostgresJobStore,
    PostgresSymbolStore,
    PostgresStatsStore,
    PostgresRoutingStore,
    PostgresSignalStore,
    PostgresWorkListStore,
    PostgresTimeHookStore,
    PostgresThrottleStore,
    PostgresExecutionStore,
    PostgresStoreInspection,
    StoreService,
):
    """See `StoreService`."""
