"""Watch every request to the store: how many, how long, how many failed."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..contracts.errors import ContractError, CurrentRunConflict, DuplicateMark, RevisionConflict
from .metrics import UNKNOWN, Metrics
from .tracing import Tracing

_PART_OF_WORK = (RevisionConflict, CurrentRunConflict, DuplicateMark)
"""Answers rather than failures: another process was faster."""


class WatchedStore:
    """Stands in for a store: what is called is the store's own, watched."""

    def __init__(self, store: Any, metrics: Metrics | None, tracing: Tracing | None) -> None:
        self._store = store
        self._metrics = metrics
        self._tracing = tracing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if inspect.iscoroutinefunction(found) and not name.startswith("_"):
            found = self._watched(name, found)
        if callable(found):
            self.__dict__[name] = found  # from now on it is found without asking here
        return found

    def _watched(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        operation = "".join(word.capitalize() for word in name.split("_"))
        watched = call
        if self._metrics is not None:
            watched = _counted(operation, watched, self._metrics)
        if self._tracing is not None and name == "commit":
            watched = self._tracing.around_commits(watched)
        return watched


def _counted(operation: str, call: Callable[..., Awaitable[Any]], metrics: Metrics) -> Callable[..., Awaitable[Any]]:
    labels = (UNKNOWN, operation, "history")

    async def counted(*args: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        metrics.persistence_requests.add(labels)
        try:
            return await call(*args, **options)
        except ContractError as error:
            if not isinstance(error, _PART_OF_WORK):
                metrics.persistence_errors.add((type(error).__name__, *labels))
            raise
        finally:
            metrics.persistence_latency.observe(labels, time.perf_counter() - begin)

    return counted
