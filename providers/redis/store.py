"""StoreService on Redis."""

from __future__ import annotations

from hotmesh_temporal.contracts.store import StoreService

from .store_apps import AppGroup
from .store_execution import ExecutionGroup, StoreInspectionGroup
from .store_jobs import JobGroup
from .store_routing import RoutingGroup, SignalGroup, ThrottleGroup, TimeHookGroup, WorkListGroup
from .store_symbols import StatsGroup, SymbolGroup


class RedisStore(
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
