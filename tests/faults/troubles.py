"""Providers that do their worst within their contracts, for one process of the crowd.

A notice may be lost; a message may be there twice, may come late and out of order, and its lease may lapse while its
holder is at work; two scans may claim the same.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hotmesh_temporal.client import Client
from hotmesh_temporal.connection import resolve
from hotmesh_temporal.contracts.backend import Backend
from hotmesh_temporal.contracts.commit import Commit, CommitResult, DueTimers, OutboxEntry
from hotmesh_temporal.contracts.store import StoreService
from hotmesh_temporal.contracts.stream import StreamService
from hotmesh_temporal.contracts.sub import SubService
from hotmesh_temporal.contracts.types import JsonObject, KeyType, StreamMessage
from hotmesh_temporal.embedded import EngineHost
from hotmesh_temporal.frontend.server import Frontend

_PART = 0.15
"""The part of messages that something happens to."""

_SHORT_LEASE_MS = 30
_LATE_MS = 300


@dataclass(frozen=True)
class Meeting:
    """Where processes meet, and what goes wrong on their way there."""

    connections: Mapping[str, str]
    no_notices: bool = False
    careless_stream: bool = False
    two_scouts: bool = False

    async def client(self) -> Client:
        """A new client. Raises `RuntimeError` or a `ContractError` when a server is away."""
        if self.no_notices or self.careless_stream or self.two_scouts:
            # The client joins the engine that is there, which lives as long as the process.
            await EngineHost.acquire(resolve(connections=self.connections), self._frontend)
        return await Client.connect(connections=self.connections)

    def _frontend(self, backend: Backend) -> Frontend:
        return Frontend(_Troubled(backend, self))


class _Troubled(Backend):
    """A backend whose services have the troubles of a meeting."""

    def __init__(self, inner: Backend, meeting: Meeting) -> None:
        self._inner, self._meeting = inner, meeting

    @property
    def stream_joins_store(self) -> bool:
        return self._inner.stream_joins_store

    @property
    def identity(self) -> str:
        return self._inner.identity

    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        await self._inner.open(namespace, app_id, engine_id)
        self.store, self.stream = self._inner.store, self._inner.stream
        self.sub, self.search = self._inner.sub, self._inner.search
        assert self.store is not None
        assert self.stream is not None
        assert self.sub is not None
        if self._meeting.no_notices:
            lose_notices(self.sub)
        if self._meeting.careless_stream:
            be_careless(self.store, self.stream)
        if self._meeting.two_scouts:
            let_scouts_collide(self.store)

    async def close(self) -> None:
        await self._inner.close()


def lose_notices(sub: SubService) -> None:
    """Lose whatever is published."""

    async def publish(key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        del key_type, message, app_id, topic
        return True

    sub.publish = publish


def let_scouts_collide(store: StoreService) -> None:
    """Let everybody claim what is due, at once, whoever has it."""
    claim_timers, claim_entries = store.claim_due_timers, store.outbox_claim

    async def claim_due_timers(now_ms: int, limit: int, lease_ms: int) -> DueTimers:
        del lease_ms
        # The scan leaves to each process what has just come due; this one does not.
        return await claim_timers(max(now_ms, time.time_ns() // 1_000_000), limit, 1)

    async def outbox_claim(owner: str, limit: int, lease_ms: int, now_ms: int) -> list[OutboxEntry]:
        del lease_ms
        return await claim_entries(owner, limit, 1, now_ms)

    async def reserve_scout_role(scout_type: str, delay: int = 60, owner: str | None = None) -> bool:
        del scout_type, delay, owner
        return True

    store.claim_due_timers = claim_due_timers
    store.outbox_claim = outbox_claim
    store.reserve_scout_role = reserve_scout_role


def be_careless(store: StoreService, service: StreamService) -> None:
    """Publish some messages twice, deliver some late or in another order, let some leases lapse at once."""
    _commit_twice(store)
    _publish_twice(service)
    _deliver_badly(service)


def _commit_twice(store: StoreService) -> None:
    commit_once = store.commit

    async def commit_and_again(commit: Commit) -> CommitResult:
        again = tuple(replace(each, lease=None) for each in commit.publishes if _by_chance())
        result = await commit_once(replace(commit, publishes=commit.publishes + again))
        return replace(result, message_ids=result.message_ids[: len(commit.publishes)])

    store.commit = commit_and_again


def _publish_twice(service: StreamService) -> None:
    publish, publish_once = service.publish_messages, service.publish_once

    async def publish_messages(stream: str, messages: Sequence[str], **how: Any) -> list[str]:
        if _by_chance():
            await publish(stream, messages)
        return await publish(stream, messages, **how)

    async def publish_and_again(stream: str, message: str, dedup_id: str, **how: Any) -> str | None:
        if _by_chance():
            await publish(stream, [message])
        return await publish_once(stream, message, dedup_id, **how)

    service.publish_messages = publish_messages
    service.publish_once = publish_and_again


def _deliver_badly(service: StreamService) -> None:
    consume = service.consume_messages

    async def consume_messages(
        stream: str, group: str, consumer: str, *, lease_ms: int = 30_000, auto_ack: bool = False, **how: Any
    ) -> list[StreamMessage]:
        lapses = not auto_ack and _by_chance()
        lease_ms = _SHORT_LEASE_MS if lapses else lease_ms
        messages = await consume(stream, group, consumer, lease_ms=lease_ms, auto_ack=auto_ack, **how)
        random.shuffle(messages)
        if messages and not auto_ack and _by_chance():
            late = messages.pop()
            await service.release_messages(stream, group, [late.message_id], delay=_LATE_MS)
        if messages and lapses:
            # Others have got them by the time that this process begins.
            await asyncio.sleep(2 * _SHORT_LEASE_MS / 1000)
        return messages

    service.consume_messages = consume_messages


def _by_chance() -> bool:
    return random.random() < _PART
