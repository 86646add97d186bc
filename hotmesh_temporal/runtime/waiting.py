"""What waits for a worker: pending workflow tasks and activities, by type and queue, from the states of runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

from ..contracts.search import Order, SearchService
from ..contracts.store import StoreService
from ..engine.model import ExecutionState, decode_state
from .registered import Place
from .visibility import RUNNING

_PAGE = 200
_EXAMPLES = 5


@dataclass(slots=True)
class Pending:
    """What of one type waits on one queue. ``since``: the oldest, nanoseconds since the epoch."""

    place: Place
    count: int = 0
    since: int = 0
    workflow_ids: list[str] = field(default_factory=list[str])

    def add(self, workflow_id: str, since: int) -> None:
        """One more."""
        self.count += 1
        self.since = min(self.since or since, since)
        if len(self.workflow_ids) < _EXAMPLES and workflow_id not in self.workflow_ids:
            self.workflow_ids.append(workflow_id)


async def pending_work(
    store: StoreService, search: SearchService, namespace: str, limit: int
) -> tuple[list[Pending], bool]:
    """What waits in the open runs of a namespace, the oldest first; and whether there are more than ``limit`` runs."""
    found: dict[Place, Pending] = {}
    async for state in open_runs(store, search, namespace, limit):
        for place, since in waits_of(state):
            found.setdefault(place, Pending(place)).add(state.workflow_id, since)
    count = sum((await search.count(namespace, RUNNING)).values())
    return sorted(found.values(), key=lambda each: each.since), count > limit


async def open_runs(
    store: StoreService, search: SearchService, namespace: str, limit: int
) -> AsyncIterator[ExecutionState]:
    """The states of the open runs of a namespace, the oldest first, at most ``limit``."""
    token = b""
    while limit > 0:
        order = (Order("StartTime", descending=False),)
        page = await search.query(namespace, RUNNING, order=order, page_size=min(_PAGE, limit), page_token=token)
        for state in await _load(store, (each.doc_id for each in page.documents)):
            yield state
        limit -= len(page.documents)
        token = page.next_page_token
        if not token:
            return


async def _load(store: StoreService, job_ids: Iterable[str]) -> list[ExecutionState]:
    # One after the other: a look must not take the connections of those who work.
    records = [await store.load_run(job_id) for job_id in job_ids]
    return [decode_state(each.state) for each in records if each is not None and each.state]


def waits_of(state: ExecutionState) -> Iterator[tuple[Place, int]]:
    """What a run waits for, and since when.

    A task that failed before counts too, because a worker without the type fails it again and again.
    """
    if not state.running:
        return
    task = state.task
    if task is not None and (not task.started_at or task.attempt > 1):
        place = Place("workflow", state.namespace, state.task_queue, state.workflow_type)
        yield place, task.original_scheduled_at
    for activity in state.activities.values():
        if not activity.paused and (not activity.started or activity.attempt > 1):
            place = Place("activity", state.namespace, activity.queue, activity.activity_type)
            yield place, activity.first_scheduled_at
