"""Read histories: from the batches in memory where they reach, else from the store. Batches are joined, not parsed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

from temporalio.api.history.v1 import History, HistoryEvent

from ..contracts.commit import EventBatch
from ..contracts.store import StoreService
from ..errors import workflow_not_found
from .draining import Patience
from .execution import Executions
from .keys import RunKey
from .loaded import Loaded
from .watching import Watching

PAGE_BYTES = 4 * 1024 * 1024
_BATCHES_PER_READ = 500
_CHECK_SECONDS = (1.0, 3.0, 6.0, 10.0)


class Histories:
    """Histories of all runs."""

    def __init__(self, store: StoreService, executions: Executions, watching: Watching) -> None:
        self._store = store
        self._executions = executions
        self._watching = watching

    async def read(
        self, loaded: Loaded, first: int, before: int, *, max_batches: int = _BATCHES_PER_READ
    ) -> tuple[History, int]:
        """Events ``first`` to at most ``before - 1``; and the id that the next page starts with (``before``: none).

        A page ends at the end of a batch, so it may hold fewer events or bytes than allowed, but at least one batch.
        """
        batches = await self._batches(loaded, first, before)
        taken: list[bytes] = []
        size, reached = 0, first
        for batch in batches[:max_batches]:
            if taken and size + len(batch.data) > PAGE_BYTES:
                break
            taken.append(batch.data)
            size += len(batch.data)
            reached = batch.next_event_id
        history = History.FromString(b"".join(taken))
        _cut(history, first, before)
        return history, min(reached, before)

    async def read_reverse(self, loaded: Loaded, before: int, max_batches: int) -> list[HistoryEvent]:
        """Events up to ``before - 1``, the newest first: those of at most ``max_batches`` batches."""
        batches = await self._store.get_events(
            loaded.job_id, 1, before_event_id=before, limit=min(max_batches, _BATCHES_PER_READ), reverse=True
        )
        taken: list[HistoryEvent] = []
        for batch in batches:
            events = History.FromString(batch.data).events
            taken.extend(event for event in reversed(events) if event.event_id < before)
        return taken

    async def event(self, loaded: Loaded, event_id: int) -> HistoryEvent:
        """One event."""
        history, _ = await self.read(loaded, event_id, event_id + 1)
        return history.events[0]

    async def _batches(self, loaded: Loaded, first: int, before: int) -> Sequence[EventBatch]:
        tail = loaded.tail
        if tail and tail[0].first_event_id <= first and tail[-1].next_event_id >= before:
            return [each for each in tail if each.next_event_id > first and each.first_event_id < before]
        stored = await self._store.get_events(loaded.job_id, first, before_event_id=before, limit=_BATCHES_PER_READ)
        if not loaded.tail and stored and stored[-1].next_event_id == loaded.state.next_event_id:
            self._executions.keep_history(loaded, stored)
        return stored

    async def batches(self, loaded: Loaded, first: int, before: int) -> AsyncIterator[EventBatch]:
        """The stored batches that hold events ``first`` to ``before - 1``, whole and in order, page by page."""
        while first < before:
            page = await self._batches(loaded, first, before)
            if not page:
                return
            for batch in page:
                yield batch
            first = page[-1].next_event_id

    async def wait_for_change(self, key: RunKey, loaded: Loaded, patience: Patience) -> Loaded:
        """The run once it is newer than ``loaded``, or as it is when the patience is over.

        Changes made by other processes are learnt from hints, and from a few looks at the store in case they are lost.
        Raises NOT_FOUND if the run is deleted meanwhile.
        """
        checks = [time.monotonic() + each for each in _CHECK_SECONDS]
        with self._watching.watch(loaded.job_id) as watch:
            while True:
                current = self._executions.cached(loaded.job_id) or loaded
                if current.revision > loaded.revision:
                    return current
                remaining = patience.remaining()
                if remaining <= 0:
                    return current
                hinted = await watch.wait(min([remaining, *(at - time.monotonic() for at in checks[:1])]))
                due = bool(checks) and time.monotonic() >= checks[0]
                if due:
                    checks.pop(0)
                unknown = self._executions.cached(loaded.job_id) is None
                if (hinted or due or unknown) and await self._executions.load(key) is None:
                    raise workflow_not_found(key.workflow_id, key.run_id)


def _cut(history: History, first: int, before: int) -> None:
    """Drop what the first and last batch hold beyond the range."""
    if history.events and history.events[0].event_id < first:
        del history.events[: first - history.events[0].event_id]
    if history.events and history.events[-1].event_id >= before:
        del history.events[before - history.events[0].event_id :]
