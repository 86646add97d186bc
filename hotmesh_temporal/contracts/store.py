"""StoreService: durable state. HotMesh's 57 methods, by group, and the extensions for executions and inspection."""

from __future__ import annotations

from .execution import ExecutionStore
from .inspection import StoreInspection
from .store_apps import AppStore
from .store_jobs import JobStore
from .store_routing import RoutingStore, SignalStore, ThrottleStore, TimeHookStore, WorkListStore
from .store_symbols import StatsStore, SymbolStore


class StoreService(
    AppStore,
    SymbolStore,
    StatsStore,
    JobStore,
    RoutingStore,
    SignalStore,
    WorkListStore,
    TimeHookStore,
    ThrottleStore,
    ExecutionStore,
    StoreInspection,
):
    """Everything that a store does.

    Every method may raise `Unavailable` (the database cannot be reached) and lets no driver error through. A method
    given a ``transaction`` queues one command and returns a placeholder; see ``types.Transaction``.
    """
