"""Everything about messages that is not publishing and taking them: leases, dead letters, statistics, trimming."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from hotmesh_temporal.contracts.inspection import StoredMessage
from hotmesh_temporal.contracts.types import DeadLetter, StreamStats

from .log import Log
from .queues import Queue
from .records import Record, State, split_id

if TYPE_CHECKING:
    from .claims import Claim

_FREE: dict[str, Any] = {"group": "", "consumer": "", "taken": 0}


def changed(record: Record, state: State, seq: int) -> Record:
    """The record that replaced this one."""
    return replace(record, state=state, seq=seq)


async def release(log: Log, record: Record, delay: int) -> bool:
    """Give a lease back. False if the record is not the last one any more."""
    state = record.state.with_changes(at=log.now_ms() + delay if delay else 0, **_FREE)
    return await log.put(record.subject, record.data, state, record.seq) is not None


# -- taking over --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retry:
    """What `retry_messages` is asked for."""

    by: Claim
    min_idle_ms: int
    message_ids: Sequence[str] | None
    delay: int
    max_retries: int | None
    limit: int | None


async def retry(log: Log, queue: Queue, wanted: Retry) -> list[Record]:
    """Take over what is idle, oldest first."""
    only = None if wanted.message_ids is None else set(wanted.message_ids)
    idle: list[Record] = []
    async for page in log.pages(queue.all):
        latest = log.now_ms() - wanted.min_idle_ms
        for record in page:
            state = record.state
            is_idle = state.taken > 0 and not state.dead and state.group == wanted.by.group and state.taken <= latest
            if is_idle and (only is None or record.message_id in only):
                idle.append(record)
    idle.sort(key=lambda record: record.state.first)
    if wanted.limit is not None:
        idle = idle[: max(wanted.limit, 0)]
    taken = await asyncio.gather(*(_retry_one(log, queue, record, wanted) for record in idle))
    return [record for record in taken if record is not None]


async def _retry_one(log: Log, queue: Queue, record: Record, wanted: Retry) -> Record | None:
    if wanted.max_retries is not None and record.state.attempt > wanted.max_retries:
        await bury(log, queue, record, "max retries")
        return None
    if wanted.delay > 0:
        await release(log, record, wanted.delay)
        return None
    now = log.now_ms()
    state = record.state.with_changes(
        at=now + wanted.by.lease_ms,
        group=wanted.by.group,
        consumer=wanted.by.consumer,
        attempt=record.state.attempt + 1,
        taken=now,
    )
    stored = await log.put(record.subject, record.data, state, record.seq)
    return None if stored is None else changed(record, state, stored[0])


# -- dead letters -------------------------------------------------------------------------------------------------


async def bury(log: Log, queue: Queue, record: Record, reason: str) -> bool:
    """Set a message aside. False if the record is not the last one any more.

    It is dead where it lies, in one step; moving it out of the consumers' way comes after that.
    """
    state = record.state.with_changes(at=0, dead=log.now_ms(), reason=reason, **_FREE)
    stored = await log.put(record.subject, record.data, state, record.seq)
    if stored is None:
        return False
    await move_aside(log, queue, changed(record, state, stored[0]))
    return True


async def move_aside(log: Log, queue: Queue, record: Record) -> None:
    """Move a dead message to the dead letters; whoever finds one lying about may do it, again too."""
    await log.put(queue.dead_letter(record.message_id), record.data, record.state, 0)
    await log.delete(record.seq)


async def dead_letters(log: Log, queue: Queue, limit: int, after: str) -> list[DeadLetter]:
    """Those after an id, in order of publication."""
    first, found = split_id(after)[0], dict[str, Record]()
    for subjects in (queue.all, queue.dead):
        async for page in log.pages(subjects):
            found.update((record.token, record) for record in page if record.state.dead and record.state.first > first)
    letters = sorted(found.values(), key=lambda record: record.state.first)
    return [record.as_dead_letter() for record in letters[:limit]]


# -- looking ------------------------------------------------------------------------------------------------------


async def stats(log: Log, queue: Queue) -> StreamStats:
    """Counts by state."""
    ready = delayed = in_flight = 0
    dead: set[str] = set()
    async for page in log.pages(queue.all):
        now = log.now_ms()
        for record in page:
            if record.state.dead:
                dead.add(record.token)
            elif record.is_ready(now):
                ready += 1
            elif record.state.taken:
                in_flight += 1
            else:
                delayed += 1
    async for page in log.pages(queue.dead):
        dead.update(record.token for record in page)
    return StreamStats(queue.stream, ready + delayed + in_flight, ready, delayed, in_flight, len(dead))


async def list_messages(log: Log, subjects: str, after: str, limit: int) -> list[StoredMessage]:
    """Messages after an id, in order of publication. No record is older than its message."""
    first, found = split_id(after)[0], list[Record]()
    async for page in log.pages(subjects, after=first):
        found += [record for record in page if record.state.first > first and not record.state.dead]
    found.sort(key=lambda record: record.state.first)
    return [StoredMessage(each.stream, each.message_id, each.text, each.state.attempt) for each in found[:limit]]


# -- removing -----------------------------------------------------------------------------------------------------


async def trim(log: Log, queue: Queue, max_len: int | None, max_age: int | None) -> int:
    """Remove the oldest, by age and then by number, but none in flight."""
    records = [record async for page in log.pages(queue.all) for record in page if not record.state.dead]
    records.sort(key=lambda record: record.state.first)
    now = log.now_ms()
    idle = [record for record in records if not record.is_in_flight(now)]
    doomed = [record for record in idle if max_age is not None and record.state.born < now - max_age]
    if max_len is not None:
        too_many = len(records) - len(doomed) - max_len
        rest = [record for record in idle if record not in doomed]
        doomed += rest[: max(too_many, 0)]
    return sum(await asyncio.gather(*(log.delete(record.seq) for record in doomed)))


async def delete_job_messages(log: Log, subjects: str, job_id: str) -> int:
    """Remove what belongs to a job, whoever holds it."""
    removed = 0
    async for page in log.pages(subjects):
        for record in page:
            if not record.state.dead and _job_of(record) == job_id:
                removed += await _delete_latest(log, record)
    return removed


async def _delete_latest(log: Log, record: Record) -> bool:
    current: Record | None = record
    while current is not None and not current.state.dead:
        if await log.delete(current.seq):
            return True
        current = await log.last(record.subject)
    return False


def _job_of(record: Record) -> str | None:
    try:
        envelope = json.loads(record.data)
    except ValueError:
        return None
    metadata = cast("dict[str, Any]", envelope).get("metadata") if isinstance(envelope, dict) else None
    job_id = cast("dict[str, Any]", metadata).get("jid") if isinstance(metadata, dict) else None
    return job_id if isinstance(job_id, str) else None
