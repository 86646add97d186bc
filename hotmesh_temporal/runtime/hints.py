"""Hints between processes: "this run has changed", "there is work in this queue". Losing them costs only time.

What is said within a few milliseconds goes out as one message, after the commits that it speaks of. A process that is
alone says nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..contracts.errors import ContractError
from ..contracts.sub import SubService
from ..contracts.types import KeyType
from .keys import APP_ID

_LOG = logging.getLogger(__name__)

COALESCE_SECONDS = 0.004
_TOPICS_PER_MESSAGE = 200


class Hints:
    """Sends and receives hints over a `SubService`. Topics are job ids and names of streams."""

    def __init__(self, sub: SubService, engine_id: str, received: Callable[[str], None]) -> None:
        """``received`` is called with each topic that another process speaks of."""
        self._sub = sub
        self._engine_id = engine_id
        self._received = received
        self._pending: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Begin to listen."""
        await self._sub.subscribe(KeyType.QUORUM, self._on_message, APP_ID)

    async def close(self) -> None:
        """Say what is pending, then stop."""
        self._closed = True
        if self._sender is not None:
            await self._sender
        await self._sub.unsubscribe(KeyType.QUORUM, APP_ID)

    def say(self, topic: str) -> None:
        """Tell the other processes soon."""
        if self._closed:
            return
        self._pending.add(topic)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._pending:
            await asyncio.sleep(COALESCE_SECONDS)
            topics = [self._pending.pop() for _ in range(min(len(self._pending), _TOPICS_PER_MESSAGE))]
            try:
                await self._sub.publish(KeyType.QUORUM, {"from": self._engine_id, "topics": topics}, APP_ID)
            except ContractError as error:
                _LOG.debug("a hint was not sent: %s", error)

    def _on_message(self, _: str, message: dict[str, Any]) -> None:
        if message.get("from") == self._engine_id:
            return
        for topic in message.get("topics", ()):
            self._received(topic)
