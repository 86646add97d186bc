"""SubService on SQLite: callbacks of this process directly, other processes through `hints`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections import deque
from typing import Any, cast

from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument, NotSupported
from hotmesh_temporal.contracts.sub import SubscriptionCallback, SubService
from hotmesh_temporal.contracts.types import JsonObject, KeyType

from .clock import now_ms
from .database import Database, Session
from .hints import MAX_DATAGRAM, SUB, HintBus
from .service import Service

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_HINT_TTL_MS = 60_000

_STORE = "INSERT INTO hm_hints (scope, sender, topic, payload, created_at) VALUES (?, ?, ?, ?, ?)"
_FETCH = "SELECT topic, payload FROM hm_hints WHERE hint_id = ? AND scope = ?"
_FETCH_SINCE = """
SELECT hint_id, topic, payload FROM hm_hints WHERE hint_id > ? AND scope = ? AND sender <> ? ORDER BY hint_id
"""


class SqliteSub(Service, SubService):
    """Channels of one app."""

    def __init__(self, database: Database, hints: HintBus | None) -> None:
        super().__init__(database)
        self._hints = hints
        self._sender = secrets.token_hex(8)
        self._callbacks: dict[str, list[SubscriptionCallback]] = {}
        self._patterns: dict[str, list[SubscriptionCallback]] = {}
        self._incoming: deque[list[Any]] = deque()
        self._fetching: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    async def init(self, namespace: str, app_id: str, engine_id: str = "") -> None:
        """See the contract."""
        await super().init(namespace, app_id)

    async def close(self) -> None:
        """See the contract."""
        self._callbacks.clear()
        self._patterns.clear()
        for task in (self._fetching, self._polling):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._fetching = self._polling = None

    def transaction(self) -> Any:
        """Hints do not join transactions: raises `NotSupported`."""
        raise NotSupported("messages of the SQLite sub cannot join a transaction; publish after it")

    # -- subscribing ------------------------------------------------------------------------------------------

    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        await self._listen()
        self._callbacks.setdefault(topic or "", []).append(callback)

    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._callbacks.pop(topic or "", None)
        await self._rest_if_unused()

    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        prefix = _prefix(topic)
        await self._listen()
        self._patterns.setdefault(prefix, []).append(callback)

    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """See the contract."""
        self._check(key_type, app_id)
        self._patterns.pop(_prefix(topic), None)
        await self._rest_if_unused()

    def _check(self, key_type: KeyType, app_id: str) -> None:
        if key_type is not KeyType.QUORUM:
            raise InvalidArgument(f"only {KeyType.QUORUM} can be published and subscribed to, not {key_type}")
        self._check_app(app_id)

    # -- publishing -------------------------------------------------------------------------------------------

    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        """See the contract."""
        self._check(key_type, app_id)
        channel, payload = topic or "", _encode(message)
        asyncio.get_running_loop().call_soon(self._dispatch, channel, payload)
        if self._database.in_memory:
            return True
        if self._hints is not None and self._hints.available:
            await self._send(self._hints, channel, payload)
        else:
            await self._store(channel, payload)
        return True

    async def _send(self, hints: HintBus, channel: str, payload: str) -> None:
        if (len(channel) + len(payload)) * 4 <= MAX_DATAGRAM or _bytes(channel, payload) <= MAX_DATAGRAM:
            hints.send(SUB, [(self._scope, channel, payload)])
        elif hints.has_peers(SUB):
            hints.send(SUB, [(self._scope, await self._store(channel, payload))])

    async def _store(self, channel: str, payload: str) -> int:
        """Keep a message for the processes that will read it; returns its id."""
        scope, sender = self._scope, self._sender

        def work(session: Session) -> int:
            now = now_ms()
            session.execute("DELETE FROM hm_hints WHERE created_at <= ?", (now - _HINT_TTL_MS,))
            return session.execute(_STORE, (scope, sender, channel, payload, now)).lastrowid or 0

        return await self._database.write(work)

    # -- receiving --------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        if self._database.in_memory or self._polling is not None:
            return
        if self._hints is None or not self._hints.receive(SUB, self._received):
            last = await self._database.read(_last_hint)
            self._polling = asyncio.create_task(self._poll(last))

    async def _rest_if_unused(self) -> None:
        if self._polling is not None and not self._callbacks and not self._patterns:
            task, self._polling = self._polling, None
            task.cancel()

    def _received(self, items: list[Any]) -> None:
        """Items of other processes: ``[scope, topic, payload]``, or ``[scope, id]`` of a message too large to send."""
        self._incoming.extend(item for item in items if item[0] == self._bound_scope)
        while self._incoming and self._fetching is None:
            item = self._incoming.popleft()
            if len(item) == 3:
                self._dispatch(item[1], item[2])
            else:
                # What comes after it waits, so that the order is kept.
                self._fetching = asyncio.create_task(self._fetch(item[1]))

    async def _fetch(self, hint_id: int) -> None:
        key = (hint_id, self._bound_scope)
        try:
            row = await self._database.read(lambda session: session.execute(_FETCH, key).fetchone())
            if row is not None:
                self._dispatch(*row)
        except ContractError as error:
            logger.debug("a hint was lost: %s", error)
        finally:
            self._fetching = None
        self._received([])

    async def _poll(self, last: int) -> None:
        """Where sockets are missing: look for stored hints whenever another connection has committed."""
        seen = -1
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                version = await self._database.read(_data_version)
                if version != seen:
                    last, seen = await self._dispatch_stored(last), version
            except ContractError as error:
                logger.debug("hints could not be read: %s", error)

    async def _dispatch_stored(self, last: int) -> int:
        key = (last, self._scope, self._sender)
        rows = await self._database.read(lambda session: session.execute(_FETCH_SINCE, key).fetchall())
        for hint_id, topic, payload in rows:
            self._dispatch(topic, payload)
            last = hint_id
        return last

    def _dispatch(self, topic: str, payload: str) -> None:
        callbacks = list(self._callbacks.get(topic, ()))
        for prefix, pattern_callbacks in self._patterns.items():
            if topic.startswith(prefix):
                callbacks.extend(pattern_callbacks)
        for callback in callbacks:
            try:
                callback(topic, json.loads(payload))
            except Exception:
                logger.exception("a subscriber of %r failed", topic)


def _prefix(pattern: str | None) -> str:
    if pattern is None or not pattern.endswith("*") or "*" in pattern[:-1]:
        raise InvalidArgument(f"pattern {pattern!r} must have exactly one '*', at its end")
    return pattern[:-1]


def _encode(message: JsonObject) -> str:
    if not isinstance(cast("object", message), dict):
        message = dict(message)
    try:
        return json.dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"not a JSON object: {error}") from error


def _bytes(*texts: str) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _last_hint(session: Session) -> int:
    return session.execute("SELECT coalesce(max(hint_id), 0) FROM hm_hints").fetchone()[0]


def _data_version(session: Session) -> int:
    return session.execute("PRAGMA data_version").fetchone()[0]
