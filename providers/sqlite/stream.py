"""StreamService on SQLite."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hotmesh_temporal.contracts.commit import MessageLease
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

from . import messages, upkeep
from .clock import now_ms
from .database import Database, Session
from .hints import QUEUE, HintBus
from .inspection import StreamInspectionGroup
from .messages import Claim, Delivery, Fence, Taken, check_delivery, check_message
from .waiting import WaitingRoom, wait_for_event

_LONGEST_PAUSE = 5.0
_LONGEST_PAUSE_DEAF = 0.5


@dataclass(frozen=True, slots=True)
class _Wanted:
    stream: str
    claim: Claim
    deadline: float


class SqliteStream(StreamInspectionGroup, StreamService):
    """The streams of one app. Store and stream share one database, so a store transaction may hold stream commands."""

    def __init__(self, database: Database, hints: HintBus | None) -> None:
        super().__init__(database)
        self._hints = hints
        self.waiting = WaitingRoom()

    async def init(self, namespace: str, app_id: str) -> None:
        """See the contract."""
        await super().init(namespace, app_id)
        self.waiting.closed = False

    async def close(self) -> None:
        """See the contract."""
        self.waiting.close()

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """See the contract."""
        return super().mint_key(key_type, replace(params, app_id=""))

    def get_provider_specific_features(self) -> StreamFeatures:
        """See the contract."""
        return messages.FEATURES

    def on_published(self, streams: set[tuple[int, str]]) -> None:
        """A commit of this process made these ``(scope, stream)`` worth a look."""
        self.waiting.wake([stream for scope, stream in streams if scope == self._bound_scope])

    # -- streams and groups -----------------------------------------------------------------------------------

    async def create_stream(self, stream: str) -> bool:
        """See the contract."""
        scope = self._scope
        await self._database.write(lambda session: messages.ensure_stream(session, scope, stream))
        return True

    async def delete_stream(self, stream: str) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: messages.delete_stream(session, scope, stream))

    async def create_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        scope = self._scope

        def work(session: Session) -> bool:
            return messages.ensure_group(session, messages.ensure_stream(session, scope, stream), group)

        return await self._database.write(work)

    async def delete_consumer_group(self, stream: str, group: str) -> bool:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: upkeep.delete_group(session, scope, stream, group))

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
        scope, batch, delivery = self._scope, tuple(messages), Delivery(visible_at_ms, priority, lease)
        check_delivery(delivery)
        for message in batch:
            check_message(message)
        if not batch and transaction is None:
            return []
        return await self._run(lambda session: _publish(session, scope, stream, batch, delivery), transaction, [])

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
        claim = Claim(group, consumer, max(batch_size, 1), lease_ms, auto_ack)
        wanted = _Wanted(stream, claim, time.monotonic() + block_timeout / 1000)
        if block_timeout <= 0:
            return await self._claim(wanted)
        # Listening begins before the first look, so that nothing can slip in between.
        self._listen()
        event = self.waiting.enter(stream)
        try:
            return await self._claim_or_wait(wanted, event)
        finally:
            self.waiting.leave(stream, event)

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
        return await self._dispose(stream, message_ids, transaction, Fence(consumer, attempt))

    async def acknowledge_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        return await self._dispose(stream, message_ids, transaction, Fence(group=group))

    async def delete_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """See the contract."""
        return await self._dispose(stream, message_ids, transaction, Fence(), dead_too=True)

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
        scope = self._scope
        by = Claim(group, consumer_name, -1 if limit is None else limit, lease_ms)
        retry = upkeep.Retry(by, min_idle_time, _rowids(message_ids), delay, max_retries)
        taken = await self._database.write(
            lambda session: upkeep.retry(session, scope, stream, retry, now_ms()),
            abandoned=lambda taken: self._give_back(stream, taken, by),
        )
        return [one.as_message() for one in taken]

    # -- leases -----------------------------------------------------------------------------------------------

    async def extend_reservation(
        self, stream: str, group: str, message_id: str, consumer: str, attempt: int, lease_ms: int
    ) -> bool:
        """See the contract."""
        scope, held = self._scope, (messages.to_rowid(message_id), group, consumer, attempt)
        return await self._database.write(
            lambda session: upkeep.extend(session, scope, stream, held, lease_ms, now_ms())
        )

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
        scope, ids, fence = self._scope, tuple(message_ids), Fence(consumer, attempt, group)
        return await self._database.write(
            lambda session: upkeep.release(session, scope, stream, ids, fence, delay, now_ms())
        )

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
        scope, ids = self._scope, tuple(message_ids)
        return await self._run(
            lambda session: upkeep.bury(session, scope, stream, ids, reason, now_ms()), transaction, 0
        )

    async def list_dead_letters(self, stream: str, limit: int = 100, after: str = "") -> list[DeadLetter]:
        """See the contract."""
        scope = self._scope
        return await self._database.scan(lambda session: upkeep.dead_letters(session, scope, stream, limit, after))

    async def expire_job_messages(self, job_id: str) -> int:
        """See the contract."""
        scope = self._scope
        return await self._database.write(lambda session: upkeep.delete_job_messages(session, scope, job_id))

    # -- monitoring and maintenance ---------------------------------------------------------------------------

    async def get_stream_stats(self, stream: str) -> StreamStats:
        """See the contract."""
        scope = self._scope
        return await self._database.scan(lambda session: upkeep.stats(session, scope, stream, now_ms()))

    async def get_stream_depth(self, stream: str) -> int:
        """See the contract."""
        return (await self.get_stream_depths([stream]))[0].depth

    async def get_stream_depths(self, streams: Sequence[str]) -> list[StreamDepth]:
        """See the contract."""
        scope, names = self._scope, tuple(streams)
        depths = await self._database.scan(lambda session: upkeep.depths(session, scope, names))
        return [StreamDepth(name, depths.get(name, 0)) for name in names]

    async def get_ready_streams(self, streams: Sequence[str]) -> list[str]:
        """See the contract."""
        scope, names = self._scope, tuple(streams)
        ready = await self._database.read(lambda session: upkeep.ready_streams(session, scope, names, now_ms()))
        return [name for name in names if name in ready]

    async def trim_stream(
        self, stream: str, *, max_len: int | None = None, max_age: int | None = None, exact_limit: bool = True
    ) -> int:
        """See the contract. Trims exactly in either case."""
        scope = self._scope
        return await self._database.write(
            lambda session: upkeep.trim(session, scope, stream, max_len, max_age, now_ms())
        )

    # -- consuming --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Let other processes tell what they publish; without that, look at least once a second."""
        heard = self._hints is not None and self._hints.receive(QUEUE, self._on_hint)
        self.waiting.longest_pause = _LONGEST_PAUSE if heard or self._database.in_memory else _LONGEST_PAUSE_DEAF

    def _on_hint(self, streams: list[Any]) -> None:
        self.on_published({(scope, stream) for scope, stream in streams})

    async def _claim(self, wanted: _Wanted) -> list[StreamMessage]:
        scope, stream, claim = self._scope, wanted.stream, wanted.claim
        taken = await self._database.write(
            lambda session: messages.claim(session, scope, stream, claim, now_ms()),
            abandoned=lambda taken: self._give_back(stream, taken, claim),
        )
        return [one.as_message() for one in taken]

    async def _claim_or_wait(self, wanted: _Wanted, event: asyncio.Event) -> list[StreamMessage]:
        tries = 0
        taken = await self._claim(wanted)
        while not taken and not self.waiting.closed:
            due_in = await self._due_in(wanted.stream)
            remaining = wanted.deadline - time.monotonic()
            if remaining <= 0:
                break
            if due_in is None or due_in > 0:
                # Looking again costs the writer nothing; only what is due is claimed.
                await wait_for_event(event, min(self.waiting.pause(tries, due_in), remaining))
                tries += 1
            else:
                taken = await self._claim(wanted)
        return taken

    async def _due_in(self, stream: str) -> float | None:
        """Seconds until a message can be delivered; None if there is none at all."""
        scope = self._scope
        available_at = await self._database.read(lambda session: messages.next_available(session, scope, stream))
        return None if available_at is None else (available_at - now_ms()) / 1000

    def _give_back(self, stream: str, taken: Sequence[Taken], by: Claim) -> None:
        scope = self._scope
        if taken:
            self._database.post(lambda session: messages.give_back(session, scope, stream, taken, by, now_ms()))

    async def _dispose(
        self,
        stream: str,
        message_ids: Sequence[str],
        transaction: Transaction | None,
        fence: Fence,
        *,
        dead_too: bool = False,
    ) -> int:
        scope, ids = self._scope, tuple(message_ids)
        return await self._run(
            lambda session: messages.dispose(session, scope, stream, ids, fence, dead_too=dead_too), transaction, 0
        )


def _publish(session: Session, scope: int, stream: str, batch: Sequence[str], delivery: Delivery) -> list[str]:
    now = now_ms()
    return [messages.publish(session, scope, stream, message, delivery, now) for message in batch]


def _rowids(message_ids: Sequence[str] | None) -> str | None:
    """Ids as one JSON parameter; None stays None."""
    return None if message_ids is None else json.dumps([messages.to_rowid(message_id) for message_id in message_ids])
