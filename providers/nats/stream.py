"""StreamService on JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nats.nuid import NUID

from hotmesh_temporal.contracts.commit import MessageLease
from hotmesh_temporal.contracts.errors import CrossProviderTransaction, InvalidArgument, NotSupported
from hotmesh_temporal.contracts.inspection import StoredMessage
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

from . import upkeep
from .claims import Claim, Claims
from .connection import Connection
from .log import MAX_MESSAGE_SIZE, Log, check_size
from .names import Names, is_hashed, token
from .queues import Queue
from .records import Record, State, is_ready_soon
from .waiting import Waiting

T = TypeVar("T")

FEATURES = StreamFeatures(supports_transactions=False, supports_dedup=True, max_message_size=MAX_MESSAGE_SIZE)


class NatsStream(StreamService):
    """The streams of one app. See `records` for how a message is kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._log = Log(connection)
        self._names: Names | None = None
        self._nuid = NUID()
        self._claims = Claims(self._log)
        self._waiting = Waiting(connection, self._log.now_ms, is_ready_soon)

    # -- session ----------------------------------------------------------------------------------------------

    async def init(self, namespace: str, app_id: str) -> None:
        """See the contract."""
        self._names = await self._log.bind(namespace, app_id)
        self._waiting.closed = False

    async def close(self) -> None:
        """See the contract."""
        await self._waiting.close()

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """See the contract."""
        names = self._names
        bound = ("", "") if names is None else (names.namespace, names.app_id)
        return mint_key(*bound, key_type, replace(params, app_id=""))

    def transaction(self) -> Transaction:
        """See the contract."""
        raise NotSupported("JetStream has no transactions: messages of a commit go through the store's outbox")

    def get_provider_specific_features(self) -> StreamFeatures:
        """See the contract."""
        return FEATURES

    # -- streams and groups -----------------------------------------------------------------------------------

    async def create_stream(self, stream: str) -> bool:
        """See the contract."""
        await self._log.put(self._queue(stream).mark, b"", State(), 0)
        return True

    async def delete_stream(self, stream: str) -> bool:
        """See the contract. One without messages, groups and `create_stream` does not exist."""
        queue = self._queue(stream)
        purged = await asyncio.gather(*(self._log.purge(each) for each in (queue.all, queue.dead, queue.marks)))
        return sum(purged) > 0

    async def create_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        return await self._log.put(self._queue(stream).group(group), b"", State(), 0) is not None

    async def delete_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        queue = self._queue(stream)
        existed = await self._log.purge(queue.group(group)) > 0
        async for page in self._log.pages(queue.all):
            held = [record for record in page if record.state.group == group and record.state.taken]
            released = await asyncio.gather(*(upkeep.release(self._log, record, 0) for record in held))
            existed = existed or any(released)
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
        """See the contract. If the connection is lost meanwhile, a part of several messages may be there."""
        _refuse(transaction)
        queue, state = self._queue(stream), self._state(visible_at_ms, priority, lease)
        batch = [check_size(message) for message in messages]
        # What is sent over one connection is stored in the order in which it was sent.
        sent = [self._publish(queue, data, state, self._nuid.next().decode()) for data in batch]
        return [message_id for message_id in await _all(sent) if message_id is not None]

    async def publish_once(
        self,
        stream: str,
        message: str,
        dedup_id: str,
        *,
        visible_at_ms: int | None = None,
        priority: int = 0,
        lease: MessageLease | None = None,
    ) -> str | None:
        """See the contract."""
        queue, state = self._queue(stream), self._state(visible_at_ms, priority, lease)
        # One that is still there has the subject, one that is gone is remembered by JetStream for some minutes.
        return await self._publish(queue, check_size(message), state, f"o{token(dedup_id)}", dedup_id)

    async def _publish(self, queue: Queue, data: bytes, state: State, name: str, dedup_id: str = "") -> str | None:
        if is_hashed(queue.token):
            state = state.with_changes(stream=queue.stream)
        stored = await self._log.put(queue.message(name, state.priority), data, state, 0, dedup_id)
        if stored is None or not stored[1]:
            return None
        message_id = f"{stored[0]}.{name}"
        if state.taken:
            self._claims.remember(message_id, state.consumer, state.attempt, stored[0])
        return message_id

    def _state(self, visible_at_ms: int | None, priority: int, lease: MessageLease | None) -> State:
        if lease is None:
            return State(priority=priority, at=visible_at_ms or 0)
        if visible_at_ms is not None:
            raise InvalidArgument("a message cannot be leased and delayed at once")
        now = self._log.now_ms()
        return State(
            priority=priority, at=now + lease.lease_ms, group=lease.group, consumer=lease.consumer, attempt=1, taken=now
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
        queue, claim = self._queue(stream), Claim(group, consumer, max(batch_size, 1), lease_ms, auto_ack)
        if block_timeout <= 0:
            taken = (await self._claims.take(queue, claim)).taken
        else:
            taken = await self._waiting.take(queue.all, block_timeout, lambda: self._claims.take(queue, claim))
        return [record.as_message() for record in taken]

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
        _refuse(transaction)
        queue = self._queue(stream)

        async def dispose(message_id: str) -> bool:
            seq = self._claims.forget(message_id, consumer, attempt)
            if seq is not None and await self._log.delete(seq):
                return True
            return await self._change(
                queue, message_id, lambda record: record.is_held_by(consumer, attempt), self._delete
            )

        return await _count(dispose, message_ids)

    async def acknowledge_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        _refuse(transaction)
        queue = self._queue(stream)

        def is_delivered(record: Record) -> bool:
            return not record.state.dead and record.state.taken > 0 and record.state.group == group

        return await _count(lambda each: self._change(queue, each, is_delivered, self._delete), message_ids)

    async def delete_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        _refuse(transaction)
        queue = self._queue(stream)

        async def remove(message_id: str) -> bool:
            alive = await self._change(queue, message_id, lambda _: True, self._delete)
            buried = await self._log.purge(queue.dead_letter(message_id)) > 0 if queue.has(message_id) else False
            return alive or buried

        return await _count(remove, message_ids)

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
        claim = Claim(group, consumer_name, 0 if limit is None else limit, lease_ms)
        retry = upkeep.Retry(claim, min_idle_time, message_ids, delay, max_retries, limit)
        taken = await upkeep.retry(self._log, self._queue(stream), retry)
        for record in taken:
            self._claims.keep(record)
        return [record.as_message() for record in taken]

    # -- leases -----------------------------------------------------------------------------------------------

    async def extend_reservation(
        self, stream: str, group: str, message_id: str, consumer: str, attempt: int, lease_ms: int
    ) -> bool:
        """See the contract."""

        async def extend(record: Record) -> bool:
            now = self._log.now_ms()
            state = record.state.with_changes(at=now + lease_ms, taken=now)
            stored = await self._log.put(record.subject, record.data, state, record.seq)
            if stored is not None:
                self._claims.remember(record.message_id, consumer, attempt, stored[0])
            return stored is not None

        def is_held(record: Record) -> bool:
            return record.is_held_by(consumer, attempt) and record.state.group == group

        return await self._change(self._queue(stream), message_id, is_held, extend)

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
        queue = self._queue(stream)

        def is_held(record: Record) -> bool:
            own = record.state.group == group and record.state.taken > 0
            return own and record.is_held_by(consumer, attempt)

        async def give_back(record: Record) -> bool:
            return await upkeep.release(self._log, record, delay)

        return await _count(lambda each: self._change(queue, each, is_held, give_back), message_ids)

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
        _refuse(transaction)
        queue = self._queue(stream)

        async def bury(record: Record) -> bool:
            return await upkeep.bury(self._log, queue, record, reason)

        def is_alive(record: Record) -> bool:
            return not record.state.dead

        return await _count(lambda each: self._change(queue, each, is_alive, bury), message_ids)

    async def list_dead_letters(self, stream: str, limit: int = 100, after: str = "") -> list[DeadLetter]:
        """See the contract."""
        return await upkeep.dead_letters(self._log, self._queue(stream), limit, after)

    async def expire_job_messages(self, job_id: str) -> int:
        """See the contract."""
        return await upkeep.delete_job_messages(self._log, f"{self._bound.root}.q.>", job_id)

    # -- monitoring and maintenance ---------------------------------------------------------------------------

    async def get_stream_stats(self, stream: str) -> StreamStats:
        """See the contract."""
        return await upkeep.stats(self._log, self._queue(stream))

    async def get_stream_depth(self, stream: str) -> int:
        """See the contract."""
        return await self._log.count(self._queue(stream).all)

    async def get_stream_depths(self, streams: Sequence[str]) -> list[StreamDepth]:
        """See the contract. One request for each, all at once."""
        depths = await asyncio.gather(*(self.get_stream_depth(stream) for stream in streams))
        return [StreamDepth(stream, depth) for stream, depth in zip(streams, depths, strict=True)]

    async def get_ready_streams(self, streams: Sequence[str]) -> list[str]:
        """See the contract. One request, unless very many messages wait."""
        if not streams:
            return []
        queues = {stream: self._queue(stream) for stream in streams}
        records = await self._log.all_of([queue.all for queue in queues.values()])
        if records is None:
            heads = await asyncio.gather(*(self._log.page(queue.all, 100) for queue in queues.values()))
            records = [record for page, _ in heads for record in page]
        now = self._log.now_ms()
        ready = {record.stream for record in records if record.is_ready(now)}
        return [stream for stream in streams if stream in ready]

    async def trim_stream(
        self, stream: str, *, max_len: int | None = None, max_age: int | None = None, exact_limit: bool = True
    ) -> int:
        """See the contract. Trims exactly in either case."""
        return await upkeep.trim(self._log, self._queue(stream), max_len, max_age)

    async def list_messages(self, after: str = "", limit: int = 1000) -> list[StoredMessage]:
        """See the contract."""
        return await upkeep.list_messages(self._log, f"{self._bound.root}.q.>", after, limit)

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _bound(self) -> Names:
        self.mint_key(KeyType.HOTMESH, KeyParams())  # raises before `init`
        assert self._names is not None
        return self._names

    def _queue(self, stream: str) -> Queue:
        return Queue(self._bound, stream)

    async def _change(
        self,
        queue: Queue,
        message_id: str,
        applies: Callable[[Record], bool],
        change: Callable[[Record], Awaitable[bool]],
    ) -> bool:
        """Change a message if ``applies`` holds; decided anew when somebody else was faster."""
        while True:
            record = await queue.find(self._log, message_id)
            if record is None or not applies(record):
                return False
            if await change(record):
                return True

    async def _delete(self, record: Record) -> bool:
        return await self._log.delete(record.seq)


def _refuse(transaction: Transaction | None) -> None:
    if transaction is not None:
        raise CrossProviderTransaction("JetStream cannot join a transaction of another database")


async def _all(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Send all at once, in order."""
    return list(await asyncio.gather(*calls))


async def _count(change: Callable[[str], Awaitable[bool]], message_ids: Sequence[str]) -> int:
    """How many of the messages were changed; one that is named twice counts once."""
    return sum(await asyncio.gather(*(change(each) for each in dict.fromkeys(message_ids))))
