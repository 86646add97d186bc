"""Hints between processes: "this run has changed", "there is work in this queue". Losing them costs only time.

What is said within a few milliseconds goes out as one message, after the commits that it speaks of. Processes announce
themselves, so that one that is alone says nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from ..contracts.errors import ContractError
from ..contracts.sub import SubService
from ..contracts.types import KeyType
from .keys import APP_ID

_LOG = logging.getLogger(__name__)

COALESCE_SECONDS = 0.004
ANNOUNCE_SECONDS = 60.0
_FORGET_SECONDS = 3.5 * ANNOUNCE_SECONDS
_TOPICS_PER_MESSAGE = 200


class Hints:
    """Sends and receives hints over a `SubService`. Topics are job ids, names of streams, and other short texts."""

    def __init__(self, sub: SubService, engine_id: str, received: Callable[[str], None]) -> None:
        """``received`` is called with each topic that another process speaks of."""
        self._sub = sub
        self._engine_id = engine_id
        self._received = received
        self._peers: dict[str, float] = {}
        self._pending: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self._announcer: asyncio.Task[None] | None = None
        self._closed = False
        self.transaction_committed: Callable[[str], None] = lambda name: None
        """Called when a transaction of the user's has committed, with the name of what was done in it."""

    async def start(self) -> None:
        """Begin to listen, and let the others know."""
        await self._sub.subscribe(KeyType.QUORUM, self._on_message, APP_ID)
        self._announcer = asyncio.get_running_loop().create_task(self._announce())

    async def close(self) -> None:
        """Say what is pending and good-bye, then stop."""
        self._closed = True
        if self._announcer is not None:
            self._announcer.cancel()
        if self._sender is not None:
            await self._sender
        if self._peers:
            await self._publish({"bye": True})
        await self._sub.unsubscribe(KeyType.QUORUM, APP_ID)

    def say(self, topic: str) -> None:
        """Tell the other processes soon, if there are any."""
        if self._closed or not self.has_peers():
            return
        self._pending.add(topic)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    def has_peers(self) -> bool:
        """Other processes have been heard of lately."""
        if not self._peers:
            return False
        oldest = time.monotonic() - _FORGET_SECONDS
        self._peers = {peer: heard for peer, heard in self._peers.items() if heard >= oldest}
        return bool(self._peers)

    def peers(self) -> set[str]:
        """The engines of other processes that have been heard of lately."""
        return set(self._peers) if self.has_peers() else set()

    async def _send(self) -> None:
        while self._pending:
            await asyncio.sleep(COALESCE_SECONDS)
            topics = [self._pending.pop() for _ in range(min(len(self._pending), _TOPICS_PER_MESSAGE))]
            await self._publish({"topics": topics})

    async def _announce(self) -> None:
        while True:
            await self._publish({"here": True})
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def _publish(self, message: dict[str, Any]) -> None:
        try:
            await self._sub.publish(KeyType.QUORUM, {"from": self._engine_id, **message}, APP_ID)
        except ContractError as error:
            _LOG.debug("a hint was not sent: %s", error)

    def _on_message(self, _: str, message: dict[str, Any]) -> None:
        if "transaction" in message and not self._closed:
            # It comes from the database itself, for all, the process that was part of it included.
            self.transaction_committed(str(message["transaction"]))
            self._receive_all(message)
            return
        sender = str(message.get("from", ""))
        if not sender or sender == self._engine_id or self._closed:
            return
        if message.get("bye"):
            self._peers.pop(sender, None)
            return
        known = sender in self._peers
        self._peers[sender] = time.monotonic()
        if not known:
            # The newcomer has to hear of this process too.
            self.say(_GREETING)
        self._receive_all(message)

    def _receive_all(self, message: dict[str, Any]) -> None:
        for topic in message.get("topics", ()):
            self._received(topic)


_GREETING = "here"
