"""Consumers that wait: what is published is heard as it is, so nobody has to ask the server again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from .claims import Taken
from .connection import Connection, Listening
from .records import Record

_LOOKS = (0.0, 0.02, 0.1, 0.4)
"""Pauses between looks after something was heard: it is heard a little before it can be read."""

_LONGEST_PAUSE = 20.0


class _Room:
    """All waiters of one stream, with one subscription."""

    def __init__(self) -> None:
        self.events: set[asyncio.Event] = set()
        self.listening: asyncio.Future[Listening] | None = None


class Waiting:
    """Blocked consumers of one process."""

    def __init__(self, connection: Connection, now_ms: Callable[[], int], is_wanted: Callable[[Msg], bool]) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._is_wanted = is_wanted
        self._rooms: dict[str, _Room] = {}
        self.closed = False
        self._ending: set[asyncio.Future[None]] = set()
        connection.reconnected.append(self._wake_all)

    async def close(self) -> None:
        """Let everybody go."""
        self.closed = True
        self._wake_all()

    async def take(self, subjects: str, timeout_ms: int, take: Callable[[], Awaitable[Taken]]) -> list[Record]:
        """What ``take`` finds, now or when something is published to the subjects; nothing after the time given."""
        deadline, event = time.monotonic() + timeout_ms / 1000, asyncio.Event()
        room = self._rooms.setdefault(subjects, _Room())
        room.events.add(event)
        try:
            await self._listen(subjects, room)
            return await self._take(deadline, event, take)
        finally:
            room.events.discard(event)
            if not room.events:
                del self._rooms[subjects]
                if room.listening is not None:
                    room.listening.add_done_callback(self._end)

    async def _take(self, deadline: float, event: asyncio.Event, take: Callable[[], Awaitable[Taken]]) -> list[Record]:
        looks = len(_LOOKS)
        while True:
            found = await take()
            left = deadline - time.monotonic()
            if found.taken or left <= 0 or self.closed:
                return found.taken
            pause = _LOOKS[looks] if looks < len(_LOOKS) else _LONGEST_PAUSE
            if found.next_at:
                pause = min(pause, max(found.next_at - self._now_ms(), 5) / 1000)
            try:
                await asyncio.wait_for(event.wait(), min(pause, left))
                looks = 0
            except asyncio.TimeoutError:
                looks += 1
            event.clear()

    async def _listen(self, subjects: str, room: _Room) -> None:
        def heard(message: Msg) -> None:
            if self._is_wanted(message):
                _wake(room)

        if room.listening is None:
            room.listening = asyncio.ensure_future(self._connection.subscribe(subjects, heard))
        await asyncio.shield(room.listening)

    def _end(self, listening: asyncio.Future[Listening]) -> None:
        """Nobody waits any more; the subscription may be there only now."""
        if listening.cancelled() or listening.exception() is not None:
            return
        task = asyncio.ensure_future(self._connection.unsubscribe(listening.result()))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _wake_all(self) -> None:
        for room in self._rooms.values():
            _wake(room)


def _wake(room: _Room) -> None:
    for event in room.events:
        event.set()
