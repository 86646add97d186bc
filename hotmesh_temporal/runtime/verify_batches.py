"""Verify batch operations: somebody will go on with each that is open, and nothing is left of those that are over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from . import batch_record as record
from .batch import WORK
from .keys import decode_task

_PAGE = 1000


async def wrong_batches(store: StoreService, stream: StreamService) -> set[tuple[str, str]]:
    """``(job id, what is wrong)``. A batch may go on between two reads: only what is wrong twice is wrong."""
    jobs = [job async for job in _jobs(store)]
    # A message is there before its batch, and until nothing is left to do; so it is read last.
    suspects = {(job, what) for job in jobs if (what := await _unfinished(store, job))}
    awaited = {job async for job in _messages(stream)} if suspects else set[str]()
    return {(job, what) for job, what in suspects if job not in awaited and await _unfinished(store, job) == what}


async def _jobs(store: StoreService) -> AsyncIterator[str]:
    cursor = "0"
    while True:
        cursor, found = await store.find_jobs("b/*", _PAGE, _PAGE, cursor)
        for job in found:
            yield job
        if cursor == "0":
            return


async def _unfinished(store: StoreService, job: str) -> str:
    """What has to be done about it by somebody who has its message; "" if nothing has."""
    batch = await record.read(store, job)
    if batch is None:
        return "it was not begun in full, and nobody will remove it" if await record.exists(store, job) else ""
    if not batch.closed:
        return "it is open, and nobody will go on with it"
    keys = [record.list_key(store, batch), record.taken_key(store, batch)]
    left = await store.get_job_ids(keys, (0, 0))
    is_queued = await store.get_active_task_queue() == batch.work_item
    return "it is over, and nobody will remove its lists" if is_queued or any(left.values()) else ""


async def _messages(stream: StreamService) -> AsyncIterator[str]:
    """The jobs of batches that there are messages for."""
    after = ""
    while True:
        page = await stream.list_messages(after, _PAGE)
        for each in page:
            try:
                message = decode_task(each.data)
            except msgspec.DecodeError:
                continue
            if message.work == WORK:
                yield message.job
        if len(page) < _PAGE:
            return
        after = page[-1].message_id
