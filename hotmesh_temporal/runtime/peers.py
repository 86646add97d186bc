"""Questions to the other engines of the database: the workers that they know, and who polls a queue there.

The question goes to the quorum's channel, the answers to a channel of the asker's own. It waits for the engines that it
knows of, and for no more than `ANSWER_SECONDS`: an answer that got lost is missing in what the caller is told.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..contracts.sub import SubService
from ..contracts.types import KeyType
from .hints import Hints
from .keys import APP_ID, QueueKey, queue_of_topic
from .matching import Matching, Poller
from .workers import Heartbeat, Workers, latest

CHANNEL = "quorum"
"""Where engines listen."""

ANSWER_SECONDS = 1.0

_MESSAGE_BYTES = 400_000


class Ask(msgspec.Struct, omit_defaults=True, tag_field="type", tag="ask"):
    """A question. ``originator``: the channel for the answers; ``guid``: of the asker."""

    originator: str
    guid: str
    question: str


class AskWorkers(Ask, tag="workers"):
    """Which workers of the namespace report there; with ``key`` only that one."""

    namespace: str = ""
    key: str | None = None


class AskQueue(Ask, tag="queue"):
    """Who polls a task queue there, and how fast tasks are added and taken."""

    topic: str = ""


class QueueReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task queue in one process, or in all: who polls it; tasks per second that were added, handed out, and that a
    worker has asked for as the most; whether the process has its share of the queue's rate.
    """

    pollers: list[Poller] = []
    add_rate: float = 0.0
    dispatch_rate: float = 0.0
    asked_rate: float | None = None
    shares: bool = False


class Reply(msgspec.Struct, omit_defaults=True, tag_field="type", tag="reply"):
    """An answer, or a part of it: ``more`` follow."""

    guid: str
    question: str
    more: bool = False
    workers: list[Heartbeat] = []
    queue: QueueReport = QueueReport()


@dataclass(slots=True)
class _Gathering:
    missing: set[str]
    replies: list[Reply] = field(default_factory=list[Reply])
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Peers:
    """This process and the others, as one."""

    def __init__(self, sub: SubService, engine_id: str, hints: Hints, matching: Matching, workers: Workers) -> None:
        self._sub = sub
        self._engine_id = engine_id
        self._hints = hints
        self._matching = matching
        self._workers = workers
        self._channel = f"engine-{engine_id}"
        self._listening: asyncio.Task[None] | None = None
        self._gatherings: dict[str, _Gathering] = {}
        self.asked_rate: Callable[[QueueKey], float | None] = lambda key: None
        """Tasks per second that a worker of this process has asked for as the most of a queue."""
        self.begins_to_poll: Callable[[QueueKey], bool] = lambda key: False
        """A worker of this process is about to poll a queue."""

    async def close(self) -> None:
        """Stop listening for answers."""
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)
            await self._sub.unsubscribe(KeyType.QUORUM, APP_ID, self._channel)

    # -- asking -----------------------------------------------------------------------------------------------

    async def workers(self, namespace: str, key: str | None = None) -> list[Heartbeat]:
        """The last heartbeats of the workers of a namespace, or of the one with this key, in the order of keys."""
        own = self._workers.of(namespace, key)
        if key is not None and own:
            return own
        replies = await self._ask(AskWorkers(self._channel, self._engine_id, uuid.uuid4().hex, namespace, key))
        return latest([*own, *(each for reply in replies for each in reply.workers)])

    async def queue(self, key: QueueKey) -> QueueReport:
        """Who polls a task queue, in all processes."""
        replies = await self._ask(AskQueue(self._channel, self._engine_id, uuid.uuid4().hex, key.topic))
        reports = [self._report(key), *(reply.queue for reply in replies)]
        seen: dict[str, Poller] = {}
        for poller in (each for report in reports for each in report.pollers):
            before = seen.get(poller.identity)
            if before is None or before.seen_at < poller.seen_at:
                seen[poller.identity] = poller
        asked = [each.asked_rate for each in reports if each.asked_rate is not None]
        return QueueReport(
            list(seen.values()),
            sum(each.add_rate for each in reports),
            sum(each.dispatch_rate for each in reports),
            asked[0] if asked else None,
        )

    async def sharers(self, key: QueueKey) -> int:
        """How many processes poll a task queue; this one counts as one, as it is about to."""
        replies = await self._ask(AskQueue(self._channel, self._engine_id, uuid.uuid4().hex, key.topic))
        return 1 + sum(reply.queue.shares for reply in replies)

    async def _ask(self, question: Ask) -> list[Reply]:
        gathering = _Gathering(self._hints.peers())
        if not gathering.missing:
            return []
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(
                self._sub.subscribe(KeyType.QUORUM, self._hear, APP_ID, self._channel)
            )
        await asyncio.shield(self._listening)
        self._gatherings[question.question] = gathering
        try:
            await self._sub.publish(KeyType.QUORUM, msgspec.to_builtins(question), APP_ID, CHANNEL)
            await asyncio.wait_for(gathering.done.wait(), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            pass
        finally:
            del self._gatherings[question.question]
        return gathering.replies

    def _hear(self, _: str, message: dict[str, Any]) -> None:
        gathering = self._gatherings.get(message.get("question", ""))
        if gathering is None:
            return
        reply = msgspec.convert(message, Reply)
        gathering.replies.append(reply)
        if not reply.more:
            gathering.missing.discard(reply.guid)
        if not gathering.missing:
            gathering.done.set()

    # -- answering --------------------------------------------------------------------------------------------

    async def answer(self, question: Ask) -> None:
        """Tell another engine what this process knows."""
        if question.guid == self._engine_id:
            return
        for reply in self._replies(question):
            await self._sub.publish(KeyType.QUORUM, msgspec.to_builtins(reply), APP_ID, question.originator)

    def _replies(self, question: Ask) -> Iterator[Reply]:
        if isinstance(question, AskWorkers):
            part, size = list[Heartbeat](), 0
            for each in self._workers.of(question.namespace, question.key):
                if part and size + len(each.data) > _MESSAGE_BYTES:
                    yield Reply(self._engine_id, question.question, more=True, workers=part)
                    part, size = [], 0
                part.append(each)
                size += len(each.data)
            yield Reply(self._engine_id, question.question, workers=part)
        elif isinstance(question, AskQueue):
            key = queue_of_topic(question.topic)
            report = self._report(key) if key is not None else QueueReport()
            yield Reply(self._engine_id, question.question, queue=report)

    def _report(self, key: QueueKey) -> QueueReport:
        added, dispatched = self._matching.rates(key)
        pollers = self._matching.pollers(key)
        shares = bool(pollers) or self.begins_to_poll(key)
        return QueueReport(pollers, added, dispatched, self.asked_rate(key), shares)
