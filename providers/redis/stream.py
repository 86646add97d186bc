"""StreamService on Redis."""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from hotmesh_temporal.contracts.commit import MessageLease
from hotmesh_temporal.contracts.errors import ContractError
from hotmesh_temporal.contracts.inspection import StoredMessage
from hotmesh_temporal.contracts.stream import StreamService
from hotmesh_temporal.contracts.types import (
    DeadLetter,
    KeyParams,
    KeyType,
    StreamDepth,
    StreamFeatures,
    StreamMessage,
    StreamStats,
    Transaction,
)

from .commit import FEATURES, FORESEEN_MS, check_message, delivery
from .database import Database, blob, rows, texts
from .keys import wake_channel
from .listener import Listener
from .message_ids import real_ids, to_id
from .service import Service
from .wakeups import Wakeups

_MAINTENANCE_PAGE = 500

Row = Sequence[Any]
"""A delivered message: id, text, attempt, priority."""


class RedisStream(Service, StreamService):
    """The streams of one app. Store and stream share one database, so a store transaction may hold stream commands."""

    def __init__(self, database: Database, listener: Listener) -> None:
        super().__init__(database)
        self._listener = listener
        self._listening = ""
        self._abandoned: set[asyncio.Task[Any]] = set()
        self.wakeups = Wakeups(self._outlook, lambda: listener.connected)

    async def init(self, namespace: str, app_id: str) -> None:
        """See the contract."""
        await super().init(namespace, app_id)
        self.wakeups.closed = False

    async def close(self) -> None:
        """See the contract."""
        await self.wakeups.close()
        await asyncio.gather(*self._abandoned, return_exceptions=True)

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """See the contract."""
        return super().mint_key(key_type, replace(params, app_id=""))

    def get_provider_specific_features(self) -> StreamFeatures:
        """See the contract."""
        return FEATURES

    # -- streams and groups -----------------------------------------------------------------------------------

    async def create_stream(self, stream: str) -> bool:
        """See the contract."""
        return bool(await self._read("create_stream", stream))

    async def delete_stream(self, stream: str) -> bool:
        """See the contract."""
        return bool(await self._db.call("delete_stream", stream))

    async def create_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        return bool(await self._db.call("create_group", stream, group))

    async def delete_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        deleted = bool(await self._db.call("delete_group", stream, group))
        self.wakeups.wake([stream])
        return deleted

    # -- messages ---------------------------------------------------------------------------------------------

    async def publish_messages(
        self,
        stream: str,
        messages: Sequence[str],
        *,
        transaction: Transaction | None = None,
        visible_at_ms: int | None = None,
        priority: int = 0,
        lease: MessageLease | None = None,
    ) -> list[str]:
        """See the contract."""
        how = delivery(visible_at_ms, priority, lease)
        for message in messages:
            check_message(message)
        if not messages and transaction is None:
            return []
        wakes = [stream] if lease is None else []
        return await self._write(
            "publish", stream, list(messages), *how, transaction=transaction, placeholder=[], decode=texts, wakes=wakes
        )

    async def consume_messages(
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        batch_size: int = 1,
        block_timeout: int = 0,
        auto_ack: bool = False,
        lease_ms: int = 30_000,
    ) -> list[StreamMessage]:
        """See the contract."""
        claim = (stream, group, consumer, max(batch_size, 1), max(lease_ms, 0), auto_ack, FORESEEN_MS)
        if block_timeout <= 0:
            return (await self._claim(claim))[0]
        deadline = time.monotonic() + block_timeout / 1000
        # Listening begins before the first look, so that nothing can slip in between.
        await self._listen()
        event = self.wakeups.register(stream)
        try:
            return await self._claim_or_wait(claim, event, deadline)
        finally:
            self.wakeups.unregister(stream, event)

    async def ack_and_delete(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        *,
        transaction: Transaction | None = None,
        consumer: str | None = None,
        attempt: int | None = None,
    ) -> int:
        """See the contract."""
        return await self._dispose(stream, message_ids, transaction, consumer, attempt, None, False)

    async def acknowledge_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        return await self._dispose(stream, message_ids, transaction, None, None, group, False)

    async def delete_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        return await self._dispose(stream, message_ids, transaction, None, None, None, True)

    async def retry_messages(
        self,
        stream: str,
        group: str,
        *,
        consumer_name: str = "",
        min_idle_time: int = 0,
        message_ids: Sequence[str] | None = None,
        delay: int = 0,
        max_retries: int | None = None,
        limit: int | None = None,
        lease_ms: int = 30_000,
    ) -> list[StreamMessage]:
        """See the contract."""
        ids = None if message_ids is None else real_ids(message_ids)
        lease = max(lease_ms, 0)
        taken = await self._db.call(
            "retry",
            *(stream, group, consumer_name, max(min_idle_time, 0), ids, delay, max_retries, limit, lease, FORESEEN_MS),
        )
        if delay > 0:
            self.wakeups.wake([stream])
        return [_message(row) for row in rows(taken, 4)]

    # -- leases -----------------------------------------------------------------------------------------------

    async def extend_reservation(
        self, stream: str, group: str, message_id: str, consumer: str, attempt: int, lease_ms: int
    ) -> bool:
        """See the contract."""
        if not real_ids([message_id]):
            return False
        lease = max(lease_ms, 0)
        return bool(await self._db.call("extend", stream, message_id, group, consumer, attempt, lease, FORESEEN_MS))

    async def release_messages(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        *,
        consumer: str | None = None,
        attempt: int | None = None,
        delay: int = 0,
    ) -> int:
        """See the contract."""
        released = await self._db.call(
            "release", stream, real_ids(message_ids), consumer, attempt, group, max(delay, 0)
        )
        self.wakeups.wake([stream])
        return released

    # -- dead letters -----------------------------------------------------------------------------------------

    async def dead_letter_messages(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        reason: str = "",
        *,
        transaction: Transaction | None = None,
    ) -> int:
        """See the contract."""
        ids = real_ids(message_ids)
        return await self._write("bury", stream, ids, reason, transaction=transaction, placeholder=0)

    async def list_dead_letters(self, stream: str, limit: int = 100, after: str = "") -> list[DeadLetter]:
        """See the contract."""
        found = await self._read("dead_letters", stream, to_id(after), limit)
        return [
            DeadLetter(message_id.decode(), stream, data.decode(), attempt, reason.decode(), int(dead_at))
            for message_id, data, attempt, reason, dead_at in rows(found, 5)
        ]

    async def expire_job_messages(self, job_id: str) -> int:
        """See the contract. Looks at everything page by page, so that the server is never held up."""
        removed, after = 0, ""
        while True:
            page = await self.list_messages(after, _MAINTENANCE_PAGE)
            for message in page:
                if _job_of(message.data) == job_id:
                    ids = [message.message_id]
                    removed += await self._dispose(message.stream, ids, None, None, None, None, False)
            if len(page) < _MAINTENANCE_PAGE:
                return removed
            after = page[-1].message_id

    # -- monitoring and maintenance ---------------------------------------------------------------------------

    async def get_stream_stats(self, stream: str) -> StreamStats:
        """See the contract."""
        ready, delayed, in_flight, dead = await self._read("stream_stats", stream)
        return StreamStats(stream, ready + delayed + in_flight, ready, delayed, in_flight, dead)

    async def get_stream_depth(self, stream: str) -> int:
        """See the contract."""
        return (await self.get_stream_depths([stream]))[0].depth

    async def get_stream_depths(self, streams: Sequence[str]) -> list[StreamDepth]:
        """See the contract."""
        depths = await self._read("depths", list(streams))
        return [StreamDepth(stream, depth) for stream, depth in zip(streams, depths, strict=True)]

    async def get_ready_streams(self, streams: Sequence[str]) -> list[str]:
        """See the contract."""
        due = await self._outlook(streams)
        return [stream for stream, at in zip(streams, due, strict=True) if at == 0]

    async def trim_stream(
        self, stream: str, *, max_len: int | None = None, max_age: int | None = None, exact_limit: bool = True
    ) -> int:
        """See the contract. Trims exactly in either case."""
        return await self._db.call("trim", stream, max_len, max_age)

    async def list_messages(self, after: str = "", limit: int = 1000) -> list[StoredMessage]:
        """See the contract."""
        start, pages = to_id(after), list[list[StoredMessage]]()
        for stream in texts(await self._read("list_streams")):
            found = await self._read("list_messages", stream, start, limit)
            pages.append(
                [
                    StoredMessage(stream, message_id.decode(), data.decode(), attempt)
                    for message_id, data, attempt in rows(found, 3)
                ]
            )
        return list(heapq.merge(*pages, key=lambda message: message.message_id))[:limit]

    # -- consuming --------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Let other processes tell what they publish."""
        channel = wake_channel(self._db.root)
        if self._listening != channel:
            self._listening = channel
            self._listener.on_return.append(self.wakeups.wake_all)
            await self._listener.listen(channel, self._on_hint)

    def _on_hint(self, channel: str, hint: bytes) -> None:
        del channel
        sender, *streams = msgspec.msgpack.decode(hint, type=list[str])
        if sender != self._db.sender:
            self.wakeups.wake(streams)

    async def _outlook(self, streams: Sequence[str]) -> list[int]:
        return [int(at) for at in await self._read("outlook", list(streams))]

    async def _claim(self, claim: tuple[Any, ...]) -> tuple[list[StreamMessage], int]:
        """What could be taken; and when there will be something (see `Outlook`)."""
        task = asyncio.ensure_future(self._db.call("claim", *claim))
        try:
            taken, due = await asyncio.shield(task)
        except asyncio.CancelledError:
            # The script may run all the same: what it takes then is given back.
            self._later(self._give_back(task, claim))
            raise
        return [_message(row) for row in rows(taken, 4)], int(due)

    async def _claim_or_wait(
        self, claim: tuple[Any, ...], event: asyncio.Event, deadline: float
    ) -> list[StreamMessage]:
        while True:
            taken, due = await self._claim(claim)
            remaining = deadline - time.monotonic()
            if taken or remaining <= 0 or self.wakeups.closed:
                return taken
            due_in = due / 1000 - time.time() if due > 0 else remaining
            await self.wakeups.wait(event, min(due_in, remaining))
            if self.wakeups.closed:
                return []

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def _give_back(self, task: asyncio.Future[Any], claim: tuple[Any, ...]) -> None:
        """Undo a claim whose caller is gone."""
        stream, group, consumer, auto_ack = claim[0], claim[1], claim[2], claim[5]
        try:
            taken, _ = await task
            for message_id, data, attempt, priority in rows(taken, 4):
                if auto_ack:
                    await self._db.call("put_back", stream, message_id.decode(), blob(data), priority, attempt)
                else:
                    await self._db.call("release", stream, [message_id.decode()], consumer, attempt, group, 0)
        except ContractError:
            # The lease lapses.
            return
        self.wakeups.wake([stream])

    async def _dispose(
        self,
        stream: str,
        message_ids: Sequence[str],
        transaction: Transaction | None,
        *fence: Any,
    ) -> int:
        ids = real_ids(message_ids)
        return await self._write("dispose", stream, ids, *fence, transaction=transaction, placeholder=0)


def _message(row: Row) -> StreamMessage:
    return StreamMessage(row[0].decode(), row[1].decode(), row[2])


def _job_of(data: str) -> Any:
    """``metadata.jid`` of HotMesh's envelope; None for anything else."""
    try:
        envelope = json.loads(data)
        return envelope["metadata"]["jid"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
