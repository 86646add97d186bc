"""StoreService on SQLite."""

from __future__ import annotations

from hotmesh_temporal.contracts.store import StoreService

from .inspection import StoreInspectionGroup
from .store_apps import AppGroup
from .store_execution import ExecutionGroup
from .store_jobs import JobGroup
from .store_routing import RoutingGroup, SignalGroup, ThrottleGroup
from .store_symbols import StatsGroup, SymbolGroup
from .store_tasks import TimeHookGroup, WorkListGroup


class SqliteStore(
    AppGroup,
    SymbolGroup,
    StatsGroup,
    JobGroup,
    RoutingGroup,
    SignalGroup,
    WorkListGroup,
    TimeHookGroup,
    ThrottleGroup,
    ExecutionGroup,
    StoreInspectionGroup,
    StoreService,
):
    """The durable state of one app, by group."""
