"""Streams: durable queues in one table, taken with SKIP LOCKED."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from hotmesh_temporal.contracts.commit import MessageLease
from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument
from hotmesh_temporal.contracts.keys import mint_key
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

from .commit import MAX_MESSAGE_BYTES, check_size, message_number
from .database import Database, scalar
from .driver import Row
from .inspection import PostgresStreamInspection
from .notices import Notices, hint_channel
from .queues import Queues, queue_of
from .wakeups import Wakeups

MAX_BATCH = 1000

_STATS = """
SELECT count(*) FILTER (WHERE lease_until <= hotmesh.now_ms() AND (NOT delayed OR deliver_at <= hotmesh.now_ms())),
    count(*) FILTER (WHERE delayed AND deliver_at > hotmesh.now_ms()),
    count(*) FILTER (WHERE lease_until > hotmesh.now_ms()),
    (SELECT count(*) FROM hotmesh.dead_letters d WHERE d.queue = $1)
FROM hotmesh.messages WHERE queue = $1"""
# Fenced by consumer and attempt where they are given.
_FENCE = "($4::text IS NULL OR consumer = $4) AND ($5::integer IS NULL OR attempt = $5)"


class PostgresStream(PostgresStreamInspection, StreamService):
    """See `StreamService`."""

    def __init__(self, database: Database, queues: Queues, notices: Notices) -> None:
        super().__init__(database, queues)
        self._notices = notices
        self._channel = ""
        self._listening = False
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._wakeups = Wakeups(self._outlook)

    # -- session ----------------------------------------------------------------------------------------------

    async def init(self, namespace: str, app_id: str) -> None:
        await super().init(namespace, app_id)
        self._channel = hint_channel(self._db.settings.schema, self._db.app)

    async def close(self) -> None:
        await self._wakeups.close()
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=2)

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        namespace, app_id = self._db.names
        return mint_key(namespace, app_id, key_type, replace(params, app_id=""))

    def get_provider_specific_features(self) -> StreamFeatures:
        return StreamFeatures(max_message_size=MAX_MESSAGE_BYTES, max_batch_size=MAX_BATCH)

    def _queue(self, stream: str) -> UUID:
        return queue_of(self._db.app, stream)

    # -- streams and groups -----------------------------------------------------------------------------------

    async def create_stream(self, stream: str) -> bool:
        sql = "INSERT INTO hotmesh.streams (app, queue, stream) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        await self._db.read(sql, self._db.app, self._queue(stream), stream)
        return True

    async def delete_stream(self, stream: str) -> bool:
        self._queues.forget(stream)
        existed: bool = scalar(await self._db.fetch("SELECT hotmesh.delete_stream($1)", self._queue(stream)))
        return existed

    async def create_consumer_group(self, stream: str, group: str) -> bool:
        sql = "SELECT hotmesh.create_group($1, $2, $3, $4)"
        created: bool = scalar(await self._db.fetch(sql, self._db.app, self._queue(stream), stream, group))
        self._queues.learn_group(stream, group)
        return created

    async def delete_consumer_group(self, stream: str, group: str) -> bool:
        self._queues.forget(stream, group)
        sql = "SELECT hotmesh.delete_group($1, $2)"
        existed: bool = scalar(await self._db.fetch(sql, self._queue(stream), group))
        self.wake([stream])
        return existed

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
        for message in messages:
            check_size(message)
        if lease is not None and visible_at_ms is not None:
            raise InvalidArgument("messages cannot be delayed and leased at once")

        return await self._write(
            "SELECT hotmesh.publish($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WHERE cardinality($4) > 0",
            self._queue(stream),
            stream,
            list(messages),
            visible_at_ms,
            priority,
            lease.group if lease else None,
            lease.consumer if lease else None,
            lease.lease_ms if lease else None,
            self._channel,
            transaction=transaction,
            placeholder=list[str](),
            decode=lambda rows: [str(number) for number in scalar(rows) or ()],
            after=lambda: self.wake([stream]),
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
        if not self._queues.knows_group(stream, group):
            await self.create_consumer_group(stream, group)
        queue = self._queue(stream)
        args = (queue, group, consumer, min(batch_size, MAX_BATCH), lease_ms, auto_ack)
        if block_timeout <= 0:
            return await self._take(args)
        await self._listen()
        event = self._wakeups.register(queue)
        try:
            return await self._take_or_wait(args, event, time.monotonic() + block_timeout / 1000)
        finally:
            self._wakeups.unregister(queue, event)

    async def _take_or_wait(self, args: tuple[Any, ...], event: asyncio.Event, deadline: float) -> list[StreamMessage]:
        while not self._wakeups.closed:
            event.clear()
            messages = await self._take(args)
            left = deadline - time.monotonic()
            if messages or left <= 0 or not await self._wakeups.wait(args[0], event, left):
                return messages
        return []

    async def _take(self, args: tuple[Any, ...]) -> list[StreamMessage]:
        """One claim. It runs to its end also when the caller is cancelled: then what it took is given back."""
        taking = asyncio.create_task(self._db.fetch("SELECT * FROM hotmesh.consume($1, $2, $3, $4, $5, $6)", *args))
        try:
            rows = await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._abandon(taking, args)
            raise
        return [_message(row) for row in rows]

    def _abandon(self, taking: asyncio.Task[list[Row]], args: tuple[Any, ...]) -> None:
        giving_back = asyncio.create_task(self._give_back(taking, args))
        self._abandoned.add(giving_back)
        giving_back.add_done_callback(self._abandoned.discard)

    async def _give_back(self, taking: asyncio.Task[list[Row]], args: tuple[Any, ...]) -> None:
        queue, group, consumer, _, _, auto_ack = args
        try:
            rows = await taking
            if auto_ack and rows:
                # Already deleted on delivery: the messages are published again, behind the others.
                sql = """INSERT INTO hotmesh.messages (queue, app, data)
                    SELECT $2, $1, m FROM unnest($3::text[]) AS m"""
                await self._db.fetch(sql, self._db.app, queue, [row[1] for row in rows])
            for row in () if auto_ack else rows:
                await self._release(queue, group, [row[0]], consumer, row[2], 0)
        except ContractError:
            return  # the lease lapses by itself
        self._wakeups.wake([queue])

    # -- disposal ---------------------------------------------------------------------------------------------

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
        fenced = consumer is not None or attempt is not None
        condition = f"{_FENCE} AND grp = $6" if fenced else f"{_FENCE} AND $6::text IS NOT NULL"
        return await self._delete(stream, message_ids, transaction, condition, consumer, attempt, group)

    async def acknowledge_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        return await self._delete(stream, message_ids, transaction, "attempt > 0 AND grp = $4", group)

    async def delete_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        # Dead ones too, in the same statement.
        return await self._write(
            """WITH live AS (DELETE FROM hotmesh.messages WHERE queue = $2 AND id = ANY ($3::bigint[]) RETURNING id),
                dead AS (DELETE FROM hotmesh.dead_letters WHERE queue = $2 AND id = ANY ($3) RETURNING id)
            SELECT (SELECT count(*) FROM live) + (SELECT count(*) FROM dead) WHERE $1::integer IS NOT NULL""",
            self._queue(stream),
            _numbers(message_ids),
            transaction=transaction,
            placeholder=0,
        )

    async def _delete(
        self, stream: str, message_ids: Sequence[str], transaction: Transaction | None, condition: str, *args: Any
    ) -> int:
        return await self._write(
            f"""DELETE FROM hotmesh.messages WHERE app = $1 AND queue = $2 AND id = ANY ($3::bigint[])
            AND {condition} RETURNING id""",
            self._queue(stream),
            _numbers(message_ids),
            *args,
            transaction=transaction,
            placeholder=0,
            decode=len,
        )

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
        rows = await self._db.fetch(
            "SELECT * FROM hotmesh.retry($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            self._queue(stream),
            group,
            consumer_name,
            min_idle_time,
            None if message_ids is None else _numbers(message_ids),
            delay,
            max_retries,
            MAX_BATCH if limit is None else limit,
            lease_ms,
        )
        return [_message(row) for row in rows]

    # -- leases -----------------------------------------------------------------------------------------------

    async def extend_reservation(
        self, stream: str, group: str, message_id: str, consumer: str, attempt: int, lease_ms: int
    ) -> bool:
        sql = """UPDATE hotmesh.messages SET leased_at = hotmesh.now_ms(), lease_until = hotmesh.now_ms() + $6
            WHERE queue = $1 AND id = $2 AND grp = $3 AND consumer = $4 AND attempt = $5 RETURNING true"""
        args = (self._queue(stream), message_number(message_id), group, consumer, attempt, lease_ms)
        return bool(await self._db.read(sql, *args))

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
        released = await self._release(
            self._queue(stream), group, _numbers(message_ids), consumer, attempt, max(delay, 0)
        )
        self.wake([stream])
        return released

    async def _release(
        self, queue: UUID, group: str, ids: list[int], consumer: str | None, attempt: int | None, delay: int
    ) -> int:
        sql = f"""UPDATE hotmesh.messages SET lease_until = 0, consumer = NULL, delayed = $6::bigint > 0,
                deliver_at = CASE WHEN $6 > 0 THEN hotmesh.now_ms() + $6 ELSE 0 END
            WHERE queue = $1 AND grp = $2 AND id = ANY ($3::bigint[]) AND lease_until > hotmesh.now_ms() AND {_FENCE}
            RETURNING id"""
        return len(await self._db.fetch(sql, queue, group, ids, consumer, attempt, delay))

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
        return await self._write(
            "SELECT hotmesh.bury($2, $3, $4, $5) WHERE $1::integer IS NOT NULL",
            self._queue(stream),
            group,
            _numbers(message_ids),
            reason,
            transaction=transaction,
            placeholder=0,
        )

    async def list_dead_letters(self, stream: str, limit: int = 100, after: str = "") -> list[DeadLetter]:
        sql = """SELECT id, data, attempt, reason, dead_at FROM hotmesh.dead_letters
            WHERE queue = $1 AND id > $2 ORDER BY id LIMIT $3"""
        rows = await self._db.read(sql, self._queue(stream), message_number(after), limit)
        return [DeadLetter(str(row[0]), stream, *row[1:]) for row in rows]

    async def expire_job_messages(self, job_id: str) -> int:
        sql = """DELETE FROM hotmesh.messages WHERE app = $1 AND position('"jid"' in data) > 0
            AND hotmesh.message_job(data) = $2 RETURNING id"""
        return len(await self._db.fetch(sql, self._db.app, job_id))

    # -- monitoring and maintenance ---------------------------------------------------------------------------

    async def get_stream_stats(self, stream: str) -> StreamStats:
        ready, delayed, in_flight, dead = (await self._db.read(_STATS, self._queue(stream)))[0]
        return StreamStats(stream, ready + delayed + in_flight, ready, delayed, in_flight, dead)

    async def get_stream_depth(self, stream: str) -> int:
        return (await self.get_stream_depths([stream]))[0].depth

    async def get_stream_depths(self, streams: Sequence[str]) -> list[StreamDepth]:
        sql = """SELECT (SELECT count(*) FROM hotmesh.messages WHERE queue = q)
            FROM unnest($1::uuid[]) WITH ORDINALITY AS u (q, n) ORDER BY n"""
        rows = await self._db.read(sql, [self._queue(stream) for stream in streams])
        return [StreamDepth(stream, row[0]) for stream, row in zip(streams, rows, strict=True)]

    async def get_ready_streams(self, streams: Sequence[str]) -> list[str]:
        wanted = {self._queue(stream) for stream in streams}
        ready = {queue for queue, is_ready, _ in await self._outlook(list(wanted)) if is_ready}
        return [stream for stream in streams if self._queue(stream) in ready]

    async def trim_stream(
        self, stream: str, *, max_len: int | None = None, max_age: int | None = None, exact_limit: bool = True
    ) -> int:
        removed: int = scalar(
            await self._db.fetch("SELECT hotmesh.trim($1, $2, $3)", self._queue(stream), max_len, max_age)
        )
        return removed

    # -- waking -----------------------------------------------------------------------------------------------

    def wake(self, streams: Sequence[str]) -> None:
        """Something may be ready in these streams: let blocked consumers of this process look."""
        self._wakeups.wake(self._queue(stream) for stream in streams)

    async def _listen(self) -> None:
        """Hear of publications in other processes, from the first blocked consumer on."""
        if not self._listening:
            self._listening = True
            await self._notices.listen(self._channel, lambda payload: self._wakeups.wake([UUID(payload)]))

    async def _outlook(self, queues: list[UUID]) -> list[tuple[UUID, bool, int | None]]:
        rows = await self._db.read("SELECT queue, ready, next_at FROM hotmesh.outlook($1)", queues)
        return [(UUID(int=row[0].int), row[1], row[2]) for row in rows]


def _message(row: Row) -> StreamMessage:
    return StreamMessage(str(row[0]), row[1], row[2])


def _numbers(message_ids: Sequence[str]) -> list[int]:
    return sorted({message_number(message_id) for message_id in message_ids})
