"""SubService on Redis: its publish and subscribe."""

from __future__ import annotations

import json
import logging
from typing import Any

from hotmesh_temporal.contracts.errors import InvalidArgument, NotSupported
from hotmesh_temporal.contracts.sub import SubscriptionCallback, SubService
from hotmesh_temporal.contracts.types import JsonObject, KeyType

from .database import Database
from .keys import pattern_of, topic_channel, topic_of
from .listener import Listener
from .service import Service

log = logging.getLogger(__name__)


class RedisSub(Service, SubService):
    """Channels of one app."""

    def __init__(self, database: Database, listener: Listener) -> None:
        super().__init__(database)
        self._listener = listener
        self._callbacks: dict[tuple[bool, str], list[SubscriptionCallback]] = {}

    async def init(self, namespace: str, app_id: str, engine_id: str = "") -> None:
        """See the contract."""
        await super().init(namespace, app_id)

    async def close(self) -> None:
        """See the contract."""
        for pattern, name in list(self._callbacks):
            await self._leave(name, pattern=pattern)

    def transaction(self) -> Any:
        """Hints are sent outside of transactions: raises `NotSupported`."""
        raise NotSupported("messages are hints and cannot join a transaction: publish after the commit")

    # -- subscriptions ----------------------------------------------------------------------------------------

    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        await self._join(topic_channel(self._db.root, topic), callback, pattern=False)

    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        await self._leave(topic_channel(self._db.root, topic), pattern=False)

    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        await self._join(pattern_of(self._db.root, _prefix(topic)), callback, pattern=True)

    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        await self._leave(pattern_of(self._db.root, _prefix(topic)), pattern=True)

    async def _join(self, name: str, callback: SubscriptionCallback, *, pattern: bool) -> None:
        callbacks = self._callbacks.setdefault((pattern, name), [])
        callbacks.append(callback)
        try:
            await self._listener.listen(
                name, lambda channel, message: self._deliver(callbacks, channel, message), pattern=pattern
            )
        except BaseException:
            callbacks.remove(callback)
            raise

    async def _leave(self, name: str, *, pattern: bool) -> None:
        callbacks = self._callbacks.pop((pattern, name), None)
        if callbacks is not None:
            # Emptied too: what is on its way reaches nobody.
            callbacks.clear()
            await self._listener.unlisten(name, pattern=pattern)

    # -- messages ---------------------------------------------------------------------------------------------

    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        """See the contract."""
        self._check(key_type, app_id)
        await self._db.send(topic_channel(self._db.root, topic), _encode(message))
        return True

    def _deliver(self, callbacks: list[SubscriptionCallback], channel: str, message: bytes) -> None:
        topic = topic_of(self._db.root, channel)
        for callback in list(callbacks):
            try:
                callback(topic, json.loads(message))
            except Exception:
                log.exception("a subscriber of %r failed", topic)

    def _check(self, key_type: KeyType, app_id: str) -> None:
        if key_type is not KeyType.QUORUM:
            raise InvalidArgument(f"only {KeyType.QUORUM} can be published and subscribed to, not {key_type}")
        self._check_app(app_id)


def _prefix(pattern: str | None) -> str:
    if pattern is None or not pattern.endswith("*") or "*" in pattern[:-1]:
        raise InvalidArgument(f"pattern {pattern!r} must have exactly one '*', at its end")
    return pattern[:-1]


def _encode(message: JsonObject) -> bytes:
    try:
        return json.dumps(dict(message), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON object: {error}") from error
