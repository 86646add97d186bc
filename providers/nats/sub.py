"""SubService on core NATS: at most once, nothing is kept."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

from nats.aio.msg import Msg

from hotmesh_temporal.contracts.errors import InvalidArgument, NotSupported
from hotmesh_temporal.contracts.keys import mint_key, validate_names
from hotmesh_temporal.contracts.sub import SubscriptionCallback, SubService
from hotmesh_temporal.contracts.types import JsonObject, KeyParams, KeyType, Transaction

from .connection import Connection, Listening, header
from .names import Names, is_hashed, text_of

log = logging.getLogger(__name__)

_TOPIC = "Hotmesh-Topic"
"""Header with the topic (as JSON), where the subject cannot tell it."""


class NatsSub(SubService):
    """See `SubService`. A topic is a subject; patterns hear every topic and choose."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: Names | None = None
        self._exact: dict[str | None, list[SubscriptionCallback]] = {}
        self._patterns: dict[str, list[SubscriptionCallback]] = {}
        self._listening: dict[tuple[str, bool], Listening] = {}

    # -- session ----------------------------------------------------------------------------------------------

    async def init(self, namespace: str, app_id: str, engine_id: str) -> None:
        """See the contract."""
        validate_names(namespace, app_id)
        await self._connection.open()
        if self._names is None:
            self._names = Names(namespace, app_id)

    async def close(self) -> None:
        """See the contract."""
        self._exact.clear()
        self._patterns.clear()
        if self._names is not None:
            await self._settle()

    def transaction(self) -> Transaction:
        """See the contract."""
        raise NotSupported("notices are hints and are sent outside of transactions: publish after the commit")

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """See the contract."""
        names = self._names
        bound = ("", "") if names is None else (names.namespace, names.app_id)
        return mint_key(*bound, key_type, params)

    # -- subscriptions ----------------------------------------------------------------------------------------

    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._exact.setdefault(topic, []).append(callback)
        await self._settle()

    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._exact.pop(topic, None)
        await self._settle()

    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        if topic is None or not topic.endswith("*") or "*" in topic[:-1]:
            raise InvalidArgument(f"pattern {topic!r} must end in '*' and have no other one")
        self._patterns.setdefault(topic[:-1], []).append(callback)
        await self._settle()

    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        if topic is not None:
            self._patterns.pop(topic.removesuffix("*"), None)
            await self._settle()

    async def _settle(self) -> None:
        """Listen to what is wanted now and to nothing else."""
        names = self._bound
        wanted = {(names.topic(topic), False) for topic in self._exact}
        if self._patterns:
            wanted.add((f"{names.root}.n.*", True))
        for each in self._listening.keys() - wanted:
            await self._connection.unsubscribe(self._listening.pop(each))
        for subject, for_patterns in wanted - self._listening.keys():
            heard = partial(self._heard, for_patterns)
            self._listening[subject, for_patterns] = await self._connection.subscribe(subject, heard)

    def _heard(self, for_patterns: bool, message: Msg) -> None:
        try:
            topic = self._topic_of(message)
            content: dict[str, Any] = json.loads(message.data)
        except ValueError as error:
            log.warning("a notice was dropped because it cannot be read: %s", error)
            return
        if not for_patterns:
            self._call(self._exact.get(topic, ()), topic or "", content)
            return
        for prefix, callbacks in list(self._patterns.items()):
            if (topic or "").startswith(prefix):
                self._call(callbacks, topic or "", content)

    def _topic_of(self, message: Msg) -> str | None:
        if message.subject == self._bound.topic(None):
            return None
        token = message.subject.rpartition(".")[2]
        if is_hashed(token):
            topic: str = json.loads(header(message, _TOPIC))
            return topic
        return text_of(token[1:])

    @staticmethod
    def _call(callbacks: Any, topic: str, content: dict[str, Any]) -> None:
        for callback in list(callbacks):
            try:
                callback(topic, dict(content))
            except Exception:
                log.exception("a subscription callback of topic %r failed", topic)

    # -- publication ------------------------------------------------------------------------------------------

    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        """See the contract."""
        self._check(key_type, app_id)
        try:
            data = json.dumps(dict(message), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the message is not JSON: {error}") from error
        subject = self._bound.topic(topic)
        hashed = topic is not None and is_hashed(subject.rpartition(".")[2])
        await self._connection.publish(subject, data, {_TOPIC: json.dumps(topic)} if hashed else None)
        return True

    # -- names ------------------------------------------------------------------------------------------------

    @property
    def _bound(self) -> Names:
        self.mint_key(KeyType.HOTMESH, KeyParams())  # raises before `init`
        assert self._names is not None
        return self._names

    def _check(self, key_type: KeyType, app_id: str) -> None:
        bound = self._bound.app_id
        if key_type is not KeyType.QUORUM or app_id != bound:
            raise InvalidArgument(f"this service carries QUORUM messages of the app {bound!r} only")
