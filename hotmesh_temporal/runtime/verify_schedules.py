"""Verify schedules: each will wake when it has to, hears of the ends of its runs, and is listed as it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from google.protobuf.message import DecodeError

from ..contracts.commit import RunRecord
from ..contracts.search import SearchService
from ..contracts.store import StoreService
from ..engine.limits import Limits
from ..engine.model import decode_state
from ..engine.schedules.draft import Draft
from ..engine.schedules.state import Run
from ..errors import RpcError
from .keys import ENGINE_QUEUE, pointer_id, run_key, schedule_of_job
from .namespaces import Namespaces
from .schedule_documents import document
from .verify_run import Surroundings

_PAGE = 1000
_ALL = "s/*"


class ScheduleCheck:
    """Looks at all schedules. What is found may only have changed between two reads: it counts if it is found twice."""

    def __init__(
        self,
        store: StoreService,
        search: SearchService,
        namespaces: Namespaces,
        surroundings: Callable[[], Awaitable[Surroundings]],
    ) -> None:
        self._store = store
        self._search = search
        self._namespaces = namespaces
        self._surroundings = surroundings

    async def wrong(self) -> set[tuple[str, str]]:
        """``(job id, what is wrong)``."""
        found = set[tuple[str, str]]()
        records = [record async for record in self._records()]
        around = await self._surroundings() if records else None
        for record in records:
            if around is not None and (problems := [each async for each in self._problems(record, around)]):
                after = await self._store.load_run(record.job_id, record.revision)
                if after is not None and after.revision == record.revision:
                    found.update((record.job_id, each) for each in problems)
        return found

    async def _records(self) -> AsyncIterator[RunRecord]:
        cursor = "0"
        while True:
            cursor, jobs = await self._store.find_jobs(_ALL, _PAGE, _PAGE, cursor)
            for job in jobs:
                record = await self._store.load_run(job)
                if record is not None:
                    yield record
            if cursor == "0":
                return

    async def _problems(self, stored: RunRecord, around: Surroundings) -> AsyncIterator[str]:
        namespace, _ = schedule_of_job(stored.job_id) or ("", "")
        try:
            view = await self._namespaces.view(namespace)
        except RpcError:
            return  # its namespace is being deleted
        try:
            draft = Draft.of(stored.state, time.time_ns(), Limits(), view.id)
        except (msgspec.DecodeError, DecodeError) as error:
            yield f"its record cannot be read: {error}"
            return
        for each in _timer_problems(draft, around.timers.get(stored.job_id, 0)):
            yield each
        found = await self._search.get(stored.job_id)
        if found is None or dict(found.fields) != dict(document(draft, view).fields):
            yield "lists do not show it as it is"
        for run in draft.record.running:
            if not await self._is_open(namespace, run) and not await self._is_on_its_way(run):
                yield f"the run {run.run_id} of {run.workflow_id!r} has ended, but it will not hear of it"

    async def _is_open(self, namespace: str, run: Run) -> bool:
        current = await self._store.load_current_run(pointer_id(namespace, run.workflow_id))
        state = decode_state(current.state) if current is not None else None
        return state is not None and state.first_run_id == run.run_id and state.running

    async def _is_on_its_way(self, run: Run) -> bool:
        """Word of the end of such a workflow lies in the engine's queue, now that it has ended."""
        now = await self._surroundings()
        engine = now.stream_of(ENGINE_QUEUE)
        return any(stream == engine and run_key(job).workflow_id == run.workflow_id for stream, job, _, _ in now.offers)


def _timer_problems(draft: Draft, timer_at: int) -> list[str]:
    """It has the timer that it believes to have, and that is not too late."""
    record = draft.record
    problems: list[str] = []
    if timer_at != record.armed_at_ms:
        problems.append(f"it has a timer for {timer_at}, and should have one for {record.armed_at_ms}")
    wanted = draft.wakes_at_ms()
    if wanted and (not record.armed_at_ms or record.armed_at_ms > wanted) and not record.backfills:
        problems.append(f"nobody will wake it at {wanted}")
    return problems
