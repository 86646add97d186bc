"""Lossy broadcast over LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument, NotSupported
from hotmesh_temporal.contracts.keys import mint_key
from hotmesh_temporal.contracts.sub import SubscriptionCallback, SubService
from hotmesh_temporal.contracts.types import JsonObject, KeyParams, KeyType, Transaction

from .database import Database, scalar
from .jsontext import json_text
from .notice_poller import NoticePoller
from .notices import Notices, channel_name

log = logging.getLogger(__name__)


class PostgresSub(SubService):
    """See `SubService`. Subscribers of a topic LISTEN on its channel, those of a pattern on one for all topics."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._db = database
        self._notices = notices
        self._poller = NoticePoller(database, self._hear)
        self._exact: dict[str | None, list[SubscriptionCallback]] = {}
        self._patterns: dict[str, list[SubscriptionCallback]] = {}
        self._inbox: deque[tuple[bool, str]] = deque()
        self._reader: asyncio.Task[None] | None = None

    # -- session ----------------------------------------------------------------------------------------------

    async def init(self, namespace: str, app_id: str, engine_id: str) -> None:
        await self._db.bind(namespace, app_id)

    async def close(self) -> None:
        self._exact.clear()
        self._patterns.clear()
        await self._poller.stop()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def transaction(self) -> Transaction:
        raise NotSupported("notices are hints and are sent outside of transactions: publish after the commit")

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        return mint_key(*self._db.names, key_type, params)

    # -- subscriptions ----------------------------------------------------------------------------------------

    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        self._check(key_type, app_id)
        self._exact.setdefault(topic, []).append(callback)
        await self._attach(self._channel(topic), from_all=False)

    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        self._check(key_type, app_id)
        if self._exact.pop(topic, None) is not None:
            await self._detach(self._channel(topic))

    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        self._check(key_type, app_id)
        self._patterns.setdefault(_prefix(topic), []).append(callback)
        await self._attach(self._all_channel, from_all=True)

    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        self._check(key_type, app_id)
        if topic is None or self._patterns.pop(topic.removesuffix("*"), None) is None:
            return
        if not self._patterns:
            await self._detach(self._all_channel)

    async def _attach(self, channel: str, *, from_all: bool) -> None:
        if self._db.settings.pooler:
            await self._poller.start(self._all_channel)
        else:
            await self._notices.listen(channel, lambda payload: self._receive(from_all, payload))

    async def _detach(self, channel: str) -> None:
        await self._notices.unlisten(channel)
        if not self._exact and not self._patterns:
            await self._poller.stop()

    # -- publication ------------------------------------------------------------------------------------------

    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        self._check(key_type, app_id)
        sql, args = self.notice(message, topic)
        await self._db.read(sql, *args)
        return True

    def notice(self, message: JsonObject, topic: str | None) -> tuple[str, tuple[Any, ...]]:
        """The statement that publishes, with its arguments; in a transaction it does so when that commits."""
        payload = json_text({"topic": topic, "message": dict(message)}, readable=True)
        sql = "SELECT hotmesh.send_notice($1, $2, $3, $4)"
        return sql, (self._db.app, self._channel(topic), self._all_channel, payload)

    # -- reception --------------------------------------------------------------------------------------------

    def _hear(self, payload: str) -> None:
        """A polled notice: it serves topics and patterns alike."""
        self._deliver(payload, exact=True, patterns=True)

    def _receive(self, from_all: bool, payload: str) -> None:
        """A notification. One that only refers to its text is fetched, and those behind it wait: order is kept."""
        if not payload.startswith("@") and not self._inbox:
            self._deliver(payload, exact=not from_all, patterns=from_all)
            return
        self._inbox.append((from_all, payload))
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_inbox(), name="hotmesh-notices")

    async def _read_inbox(self) -> None:
        while self._inbox:
            from_all, payload = self._inbox[0]
            if payload.startswith("@"):
                payload = await self._fetch(int(payload[1:]))
            self._inbox.popleft()
            if payload is not None:
                self._deliver(payload, exact=not from_all, patterns=from_all)

    async def _fetch(self, notice_id: int) -> str | None:
        try:
            text: str | None = scalar(
                await self._db.read("SELECT payload FROM hotmesh.notices WHERE id = $1", notice_id)
            )
        except ContractError as error:
            log.debug("notice %d is lost: %s", notice_id, error)
            return None
        return text

    def _deliver(self, payload: str, *, exact: bool, patterns: bool) -> None:
        try:
            notice: dict[str, Any] = json.loads(payload)
            topic: str | None = notice["topic"]
            message: dict[str, Any] = notice["message"]
        except (ValueError, KeyError, TypeError) as error:
            log.warning("a notice was dropped because it cannot be read: %s", error)
            return
        if exact:
            self._call(self._exact.get(topic, ()), topic or "", message)
        if patterns:
            for prefix, callbacks in list(self._patterns.items()):
                if (topic or "").startswith(prefix):
                    self._call(callbacks, topic or "", message)

    def _call(self, callbacks: Any, topic: str, message: dict[str, Any]) -> None:
        for callback in list(callbacks):
            try:
                callback(topic, dict(message))
            except Exception:
                log.exception("a subscription callback of topic %r failed", topic)

    # -- names ------------------------------------------------------------------------------------------------

    def _channel(self, topic: str | None) -> str:
        name = "" if topic is None else f"t{topic}"
        return channel_name(self._db.settings.schema, self._db.app, "topic", name)

    @property
    def _all_channel(self) -> str:
        return channel_name(self._db.settings.schema, self._db.app, "all")

    def _check(self, key_type: KeyType, app_id: str) -> None:
        bound = self._db.names[1]
        if key_type is not KeyType.QUORUM or app_id != bound:
            raise InvalidArgument(f"this service carries QUORUM messages of the app {bound!r} only")


def _prefix(pattern: str | None) -> str:
    if pattern is None or not pattern.endswith("*") or "*" in pattern[:-1]:
        raise InvalidArgument(f"pattern {pattern!r} must end in '*' and have no other one")
    return pattern[:-1]
