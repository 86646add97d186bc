"""Task queues: bring tasks and pollers together.

When a worker of this process waits for a task, it gets the task in the very decision that schedules it (`reserve`): the
commit has it started, and there is no message at all. Otherwise a task is a message of a stream, and a hint tells the
other processes of it. A message for a poller that is not a worker's is published as already delivered to it (`offer`).
A queue is only read while somebody polls it and there may be something: after the first poll, after a hint, and in the
sweep that covers for lost hints and lapsed leases. Tasks of a throttled queue are always messages, read one by one at
its pace, so that they keep their order; one that is paused is not read.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ..contracts.commit import MessageLease
from ..contracts.errors import ContractError
from ..contracts.stream import StreamService
from ..contracts.types import KeyParams, KeyType, StreamMessage
from ..engine.effects import TaskDispatch
from ..engine.turn import Turn
from .hints import Hints
from .keys import ENGINE_QUEUE, QueueKey
from .loaded import Loaded
from .rates import Meter
from .throttle import Pace, Throttle

_LOG = logging.getLogger(__name__)

LEASE_MS = 10_000
"""How long a process may take between getting a message and committing that a worker has it."""

_SWEEP_FIRST, _SWEEP_LAST = 1.0, 20.0
_POLLER_MEMORY = 10.0
_KEEP_SECONDS = 0.5
_RESERVED_SECONDS = 5.0
"""How much longer than asked a poll waits for the commit that is about to give it a task."""

_DISCARD_SECONDS = LEASE_MS / 1000 + 1
_GONE = "gone/"
_GONE_KEPT = 1000
_POLLER_SHOWN = 300 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the hands of this process, to be acked in the commit that acts on it."""

    stream: str
    message: StreamMessage
    taken_at: float


@dataclass(frozen=True, slots=True)
class Started:
    """A task that the decision which scheduled it has started for the poller: ``task`` is what `Take` returned."""

    task: Any
    loaded: Loaded


Found = Delivery | Started
"""What a poll ends with, if anything came."""

Take = Callable[[Turn, TaskDispatch], Any]
"""Start the task for the worker that polls, within the decision that schedules it; None if that cannot be."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A poll that waits. ``take`` is None if it wants messages. ``reserved``: a commit is about to end it."""

    stream: str
    found: asyncio.Future[Found]
    take: Take | None = None
    reserved: bool = False


@dataclass(slots=True)
class Offer:
    """A message about to be published, for an idle poller of this process if ``lease`` is set."""

    queue: QueueKey
    stream: str
    message: str
    lease: MessageLease | None = None
    waiter: Waiter | None = None


@dataclass(frozen=True, slots=True)
class Poller:
    """A worker that polls. ``seen_at``: nanoseconds since the epoch."""

    identity: str
    seen_at: int
    build_id: str = ""


@dataclass(frozen=True, slots=True)
class PolledQueue:
    """A queue that workers of this process poll. ``serves``: the queue whose tasks a sticky one takes, else itself.

    ``polls`` are those that wait right now.
    """

    key: QueueKey
    serves: QueueKey
    stream: str
    pollers: list[Poller]
    polls: int


@dataclass(slots=True)
class _Queue:
    stream: str
    key: QueueKey | None = None
    serves: QueueKey | None = None
    pace: Pace = field(default_factory=Pace)
    waiting: deque[Waiter] = field(default_factory=deque[Waiter])
    in_hand: deque[Delivery] = field(default_factory=deque[Delivery])
    may_have_more: bool = True
    fetching: asyncio.Task[None] | None = None
    due: asyncio.TimerHandle | None = None
    polled_at: float = 0.0
    pollers: dict[str, Poller] = field(default_factory=dict[str, Poller])


@dataclass(slots=True)
class _Meters:
    added: Meter = field(default_factory=Meter)
    dispatched: Meter = field(default_factory=Meter)


class Matching:
    """All task queues that this process polls or publishes to."""

    def __init__(self, stream: StreamService, engine_id: str, throttle: Throttle) -> None:
        self._service = stream
        self._engine_id = engine_id
        self._throttle = throttle
        throttle.changed = self._pace_changed
        self._queues: dict[str, _Queue] = {}
        self._names: dict[QueueKey, str] = {}
        self._groups: dict[str, str] = {}
        self._metered: dict[str, _Meters] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._sweep_now = asyncio.Event()
        self._gone: dict[str, None] = {}
        self._discarding: dict[str, asyncio.TimerHandle] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False
        self.hints: Hints = None  # type: ignore[assignment]  # set by the service that owns both

    # -- publishing -------------------------------------------------------------------------------------------

    def reserve(self, key: QueueKey) -> Waiter | None:
        """An idle worker of this process that takes tasks of the queue; to be given one (`give`), or to be freed."""
        queue = self._queues.get(self.stream_of(key))
        waiter = _pop_waiting(queue) if queue is not None and not queue.pace.delay else None
        if waiter is not None and waiter.take is None:
            self.free(waiter)
            return None
        return waiter

    def give(self, waiter: Waiter, started: Started) -> None:
        """What the waiter has taken is committed. If its poll has ended meanwhile, another worker gets it."""
        self._meters(waiter.stream).added.note()
        other: Waiter | None = waiter
        while other is not None and other.found.done():
            other = _pop_waiting(self._queue(waiter.stream))
        if other is None:
            _LOG.warning("a worker was gone when it was given a task of %s: the task will time out", waiter.stream)
        else:
            other.found.set_result(started)

    def free(self, waiter: Waiter) -> None:
        """Nothing was committed: the poller goes on waiting."""
        waiter.reserved = False
        if not waiter.found.done():
            self._queue(waiter.stream).waiting.appendleft(waiter)

    def offer(self, key: QueueKey, message: str) -> Offer:
        """Prepare a message for publication, reserving an idle poller of this process if there is one."""
        offer = Offer(key, self.stream_of(key), message)
        queue = self._queues.get(offer.stream)
        offer.waiter = _pop_waiting(queue) if queue is not None and not queue.pace.delay else None
        if offer.waiter is not None:
            offer.lease = MessageLease(key.group, self._engine_id, LEASE_MS)
        return offer

    def published(self, offer: Offer, message_id: str) -> None:
        """The message is in the stream: hand it over, or tell the others that it is there."""
        self._meters(offer.stream).added.note()
        if offer.lease is None:
            self.arrived(offer.stream)
            return
        delivery = Delivery(offer.stream, StreamMessage(message_id, offer.message), time.monotonic())
        if offer.waiter is not None and not offer.waiter.found.done():
            offer.waiter.found.set_result(delivery)
        else:
            self._hand_over(self._queue(offer.stream), delivery)

    def added(self, stream: str) -> None:
        """A transaction of the user's has put a task into the stream; who polls it hears of it otherwise."""
        self._meters(stream).added.note()

    def withdraw(self, offer: Offer) -> None:
        """Nothing was published for it: the poller goes on waiting."""
        if offer.waiter is not None:
            self.free(offer.waiter)
        offer.waiter = offer.lease = None

    def arrived(self, stream: str) -> None:
        """A message for anybody is in the stream."""
        self._arrived(stream)
        self.hints.say(stream)

    def discard(self, key: QueueKey, age_ms: int) -> None:
        """Soon remove the messages of a sticky queue that nobody took in ``age_ms``: they stand for nothing any more.

        Not before the leases have lapsed that a dead worker's process may hold. Queries in the queue are younger: they
        wait for a few seconds at most.
        """
        stream, age = self.stream_of(key), max(age_ms, int(_DISCARD_SECONDS * 1000))
        if stream not in self._discarding:
            loop = asyncio.get_running_loop()
            self._discarding[stream] = loop.call_later(
                _DISCARD_SECONDS, lambda: self._in_background(self._trim(stream, age))
            )

    async def _trim(self, stream: str, age_ms: int) -> None:
        del self._discarding[stream]
        try:
            await self._service.trim_stream(stream, max_age=age_ms)
        except ContractError as error:
            _LOG.debug("messages of no use stay in %s: %s", stream, error)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # -- polling ----------------------------------------------------------------------------------------------

    async def poll(
        self,
        key: QueueKey,
        timeout: float,
        identity: str = "",
        take: Take | None = None,
        serves: QueueKey | None = None,
        build_id: str = "",
    ) -> Found | None:
        """The next task of the queue, or None after ``timeout`` seconds. ``identity`` is the worker's.

        With ``take`` it may be a task that is started already. ``serves``: the queue whose tasks a sticky one takes.
        """
        queue = self._queue(self.stream_of(key))
        queue.pollers[identity] = Poller(identity, time.time_ns(), build_id)
        found = await self._poll(queue, key, timeout, take, serves)
        if found is not None:
            self._meters(queue.stream).dispatched.note()
        return found

    async def _poll(
        self, queue: _Queue, key: QueueKey, timeout: float, take: Take | None, serves: QueueKey | None
    ) -> Found | None:
        if key != ENGINE_QUEUE:
            queue.key, queue.serves = key, serves or key
            queue.pace = self._throttle.pace(queue.serves)
        queue.polled_at = time.monotonic()
        delivery = self._from_hand(queue)
        if delivery is not None:
            return delivery
        waiter = Waiter(queue.stream, asyncio.get_running_loop().create_future(), take)
        queue.waiting.append(waiter)
        if queue.may_have_more:
            self._fetch(queue)
        self._sweep_now.set()
        try:
            await asyncio.wait([waiter.found], timeout=timeout)
            if waiter.reserved and not waiter.found.done():
                await asyncio.wait([waiter.found], timeout=_RESERVED_SECONDS)
        except asyncio.CancelledError:
            self._pass_on(waiter, self._leave(queue, waiter))
            raise
        return self._leave(queue, waiter)

    def _pass_on(self, waiter: Waiter, found: Found | None) -> None:
        """The poll that it reached was cancelled in the same moment."""
        if isinstance(found, Delivery):
            self.put_back(found)
        elif found is not None:
            self.give(waiter, found)

    def end_polls(self) -> None:
        """Answer the polls of workers that wait, empty. One that is about to be given a task still gets it."""
        for queue in self._queues.values():
            if queue.key is not None:
                for waiter in queue.waiting:
                    waiter.found.cancel()

    def put_back(self, delivery: Delivery) -> None:
        """The poller that it was for is gone: somebody else may have it."""
        self._hand_over(self._queue(delivery.stream), delivery)

    def has_poller(self, key: QueueKey) -> bool:
        """Somebody in this process waits for tasks of this queue right now."""
        queue = self._queues.get(self.stream_of(key))
        return queue is not None and any(not waiter.found.done() for waiter in queue.waiting)

    def polled_lately(self, key: QueueKey, seconds: float = _POLLER_MEMORY) -> bool:
        """Somebody in this process has polled the queue within that time, or does now."""
        queue = self._queues.get(self.stream_of(key))
        if queue is None:
            return False
        return self.has_poller(key) or time.monotonic() - queue.polled_at < seconds

    def pollers(self, key: QueueKey) -> list[Poller]:
        """Who has polled the queue in this process within the last minutes."""
        queue, oldest = self._queues.get(self.stream_of(key)), time.time_ns() - _POLLER_SHOWN
        if queue is None:
            return []
        return [poller for poller in queue.pollers.values() if poller.seen_at >= oldest]

    def rates(self, key: QueueKey) -> tuple[float, float]:
        """Tasks per second that this process has added to the queue, and has given to its workers."""
        meters = self._metered.get(self.stream_of(key))
        return (meters.added.rate(), meters.dispatched.rate()) if meters is not None else (0.0, 0.0)

    def _meters(self, stream: str) -> _Meters:
        meters = self._metered.get(stream)
        if meters is None:
            meters = self._metered[stream] = _Meters()
        return meters

    def polled(self) -> list[PolledQueue]:
        """All queues that workers of this process poll, or have polled a moment ago."""
        return [
            PolledQueue(queue.key, queue.serves, queue.stream, self.pollers(queue.key), len(queue.waiting))
            for queue in self._queues.values()
            if queue.key is not None and queue.serves is not None and self.polled_lately(queue.key)
        ]

    def forget(self, key: QueueKey) -> None:
        """The worker of a sticky queue says good-bye; the other processes are told."""
        stream = self.stream_of(key)
        self._note_gone(stream)
        self.hints.say(_GONE + stream)

    def is_gone(self, key: QueueKey) -> bool:
        """No worker polls this sticky queue any more, as far as this process knows: none of its own has in the last
        seconds, or none ever and no other process is there.
        """
        stream = self.stream_of(key)
        if stream in self._gone:
            return True
        queue = self._queues.get(stream)
        if queue is None or not queue.polled_at:
            return not self.hints.has_peers()
        return not self.polled_lately(key)

    def _note_gone(self, stream: str) -> None:
        self._gone[stream] = None
        while len(self._gone) > _GONE_KEPT:
            del self._gone[next(iter(self._gone))]

    def stream_of(self, key: QueueKey) -> str:
        """The stream's name."""
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self._service.mint_key(KeyType.STREAMS, KeyParams(topic=key.topic))
            self._groups[name] = key.group
        return name

    def hinted(self, topic: str) -> None:
        """Another process has published to this stream, or its worker has left it."""
        if topic.startswith(_GONE):
            self._note_gone(topic.removeprefix(_GONE))
        elif topic in self._queues:
            self._arrived(topic)

    # -- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin the sweep."""
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def close(self) -> None:
        """Stop; waiting polls end empty and messages in hand are given back."""
        self._closed = True
        for discarding in self._discarding.values():
            discarding.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for queue in self._queues.values():
            self._stop_waiting(queue)
            if queue.fetching is not None:
                queue.fetching.cancel()
                await asyncio.gather(queue.fetching, return_exceptions=True)
            for waiter in queue.waiting:
                waiter.found.cancel()
            await self._release(list(queue.in_hand))
            queue.in_hand.clear()

    # -- inside -----------------------------------------------------------------------------------------------

    def _queue(self, stream: str) -> _Queue:
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = _Queue(stream)
        return queue

    def _arrived(self, stream: str) -> None:
        queue = self._queues.get(stream)
        if queue is None:
            return
        queue.may_have_more = True
        if queue.waiting:
            self._fetch(queue)

    def _from_hand(self, queue: _Queue) -> Delivery | None:
        while queue.in_hand and not queue.pace.remaining():
            delivery = queue.in_hand.popleft()
            if time.monotonic() - delivery.taken_at < LEASE_MS / 2000:
                queue.pace.note()
                return delivery
            queue.may_have_more = True
        return None

    def _hand_over(self, queue: _Queue, delivery: Delivery) -> None:
        waiter = _pop_waiting(queue) if not queue.pace.remaining() else None
        if waiter is not None:
            queue.pace.note()
            waiter.found.set_result(delivery)
            return
        queue.in_hand.append(delivery)
        asyncio.get_running_loop().call_later(_KEEP_SECONDS, self._give_back, queue)

    def _give_back(self, queue: _Queue) -> None:
        """Nobody here wants what is in hand: maybe somebody elsewhere does."""
        if queue.in_hand and not self._closed:
            deliveries = list(queue.in_hand)
            queue.in_hand.clear()
            self._in_background(self._release(deliveries))

    @staticmethod
    def _leave(queue: _Queue, waiter: Waiter) -> Found | None:
        """A poll ends, maybe in the same moment in which a task reaches it; one still on its way goes elsewhere."""
        queue.polled_at = time.monotonic()
        if waiter in queue.waiting:
            queue.waiting.remove(waiter)
        if waiter.found.done() and not waiter.found.cancelled():
            return waiter.found.result()
        waiter.found.cancel()
        return None

    def _fetch(self, queue: _Queue) -> None:
        pause = queue.pace.remaining()
        if pause:
            self._fetch_after(queue, pause)
        elif queue.fetching is None or queue.fetching.done():
            queue.fetching = asyncio.get_running_loop().create_task(self._fetch_all(queue))

    def _fetch_after(self, queue: _Queue, seconds: float) -> None:
        """The pace does not allow to read the queue now. A paused one is read when that changes."""
        if queue.due is None and seconds != math.inf and not self._closed:
            queue.due = asyncio.get_running_loop().call_later(seconds, self._fetch_due, queue)

    def _fetch_due(self, queue: _Queue) -> None:
        self._stop_waiting(queue)
        if queue.waiting and queue.may_have_more:
            self._fetch(queue)

    @staticmethod
    def _stop_waiting(queue: _Queue) -> None:
        if queue.due is not None:
            queue.due.cancel()
            queue.due = None

    def _pace_changed(self) -> None:
        """Rates were changed: whoever waits for its time looks again."""
        for queue in self._queues.values():
            self._stop_waiting(queue)
            if queue.key is not None:
                self._arrived(queue.stream)
        self._sweep_now.set()

    async def _fetch_all(self, queue: _Queue) -> None:
        while queue.waiting and queue.may_have_more:
            pause = queue.pace.remaining()
            if pause:
                self._fetch_after(queue, pause)
                return
            wanted = len(queue.waiting) if not queue.pace.delay else 1
            queue.may_have_more = False
            try:
                messages = await self._service.consume_messages(
                    queue.stream, self._groups[queue.stream], self._engine_id, batch_size=wanted, lease_ms=LEASE_MS
                )
            except ContractError as error:
                _LOG.debug("task queue %s could not be read, the sweep tries again: %s", queue.stream, error)
                queue.may_have_more = True
                self._sweep_now.set()
                return
            now = time.monotonic()
            for message in messages:
                self._hand_over(queue, Delivery(queue.stream, message, now))
            if len(messages) >= wanted:
                queue.may_have_more = True

    async def _sweep(self) -> None:
        """Look after all polled queues with one statement, ever more seldom while nothing is found."""
        pause = _SWEEP_FIRST
        while True:
            await asyncio.sleep(pause)
            polled = [queue for queue in self._queues.values() if queue.waiting and not queue.pace.remaining()]
            if not polled:
                self._sweep_now.clear()
                await self._sweep_now.wait()
                continue
            found = await self._find_ready(polled)
            pause = _SWEEP_FIRST if found else min(pause * 2, _SWEEP_LAST)

    async def _find_ready(self, polled: list[_Queue]) -> bool:
        try:
            ready = set(await self._service.get_ready_streams([queue.stream for queue in polled]))
        except ContractError as error:
            _LOG.debug("task queues could not be swept: %s", error)
            return True
        except Exception:
            # The sweep is what covers for everything else: it must not end.
            _LOG.exception("task queues could not be swept")
            return True
        for queue in polled:
            if queue.stream in ready:
                self._arrived(queue.stream)
        return bool(ready)

    async def _release(self, deliveries: list[Delivery]) -> None:
        for each in deliveries:
            try:
                await self._service.release_messages(
                    each.stream,
                    self._groups[each.stream],
                    [each.message.message_id],
                    consumer=self._engine_id,
                    attempt=each.message.attempt,
                )
            except ContractError as error:
                _LOG.debug("a task is given back when its lease lapses: %s", error)
            else:
                self._arrived(each.stream)
                self.hints.say(each.stream)


def _pop_waiting(queue: _Queue) -> Waiter | None:
    """The poller that has waited longest, reserved for what is about to come."""
    while queue.waiting:
        waiter = queue.waiting.popleft()
        if not waiter.found.done():
            waiter.reserved = True
            return waiter
    return None
