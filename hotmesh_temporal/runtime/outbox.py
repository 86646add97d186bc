"""The relay between a store and streams that are on another database.

A commit cannot reach the broker, so its messages are written to the store's outbox in the commit, and published after
it. The process that committed publishes them at once. If it dies before that, or the broker is away, they stay in the
outbox, and a scan in every process takes them up. The id of an entry is the broker's dedup id: a message that was
published, but not yet crossed out, is not published again. Where the broker does not know such ids it may be
delivered twice, and whoever gets it the second time finds its task taken.

Messages of the broker are acked after the commit that acts on them. If the process dies in between, the message is
delivered again, and is thrown away then.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from ..contracts.commit import Ack, OutboxEntry
from ..contracts.errors import ContractError, MessageTooLarge
from ..contracts.keys import parse_key
from ..contracts.store import StoreService
from ..contracts.stream import StreamService
from ..contracts.types import KeyParams, KeyType
from .clock import Clock
from .keys import ENGINE_QUEUE
from .matching import Matching, Offer

_LOG = logging.getLogger(__name__)

SCAN_SECONDS = 20.0
"""How often a process looks for entries that nobody publishes."""

_CLAIM_LEASE_MS = 5_000
_CLAIM_LIMIT = 100
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0
_PARALLEL = 64


class Outbox:
    """Publishes what commits have left for the streams, and acks what they have acted on."""

    def __init__(
        self, store: StoreService, stream: StreamService, matching: Matching, clock: Clock, engine_id: str
    ) -> None:
        self._store, self._stream, self._matching = store, stream, matching
        self._clock = clock
        self._engine_id = engine_id
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit = asyncio.Semaphore(_PARALLEL)
        self._published: list[str] = []
        self._crossing_out: asyncio.Task[None] | None = None
        self._acks: list[Ack] = []
        self._acking: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._scanner: asyncio.Task[None] | None = None
        self._is_away = self._was_claimed = False

    # -- after a commit -----------------------------------------------------------------------------------------

    def send(self, offers: Sequence[tuple[Offer, str]]) -> None:
        """Publish what was just committed: each offer with the id of its entry."""
        for offer, outbox_id in offers:
            self._begin(self._send(offer, outbox_id))

    async def _send(self, offer: Offer, outbox_id: str) -> None:
        try:
            async with self._limit:
                message_id = await self._stream.publish_once(
                    offer.stream, offer.message, dedup_id(outbox_id, offer.stream, offer.message), lease=offer.lease
                )
        except MessageTooLarge as error:
            self._matching.withdraw(offer)
            self._give_up(outbox_id, offer.stream, error)
        except ContractError as error:
            self._matching.withdraw(offer)
            self._note_away(error)
        except BaseException:
            self._matching.withdraw(offer)
            raise
        else:
            if message_id is None:
                # A scan was faster; the message is for anybody now.
                self._matching.withdraw(offer)
            self._matching.published(offer, message_id or "")
            self._cross_out([outbox_id])

    def settle(self, acks: Sequence[Ack]) -> None:
        """Dispose of messages that a commit has acted on."""
        self._acks += acks
        if self._acks and (self._acking is None or self._acking.done()):
            self._acking = self._begin(self._ack_all())

    async def _ack_all(self) -> None:
        while self._acks:
            acks, self._acks = self._acks, []
            await asyncio.gather(*(self._ack(ack) for ack in acks))

    async def _ack(self, ack: Ack) -> None:
        try:
            await self._stream.ack_and_delete(
                ack.stream, ack.group, [ack.message_id], consumer=ack.consumer, attempt=ack.attempt
            )
        except ContractError as error:
            _LOG.debug("a message comes again, and is thrown away then: %s", error)

    # -- crossing out -------------------------------------------------------------------------------------------

    def _cross_out(self, outbox_ids: Sequence[str]) -> None:
        """Remove entries soon; those of a moment share one statement."""
        self._published += outbox_ids
        if self._crossing_out is None or self._crossing_out.done():
            self._crossing_out = self._begin(self._cross_out_all())

    async def _cross_out_all(self) -> None:
        while self._published:
            outbox_ids, self._published = self._published, []
            try:
                await self._store.outbox_done(outbox_ids)
            except ContractError as error:
                _LOG.debug("entries of the outbox stay until the next scan: %s", error)
                self._look.set()
                return

    def _give_up(self, outbox_id: str, stream: str, error: ContractError) -> None:
        """Nobody can ever publish this one; it must not stand in the way of others."""
        _LOG.error("a message for %s cannot be published and is dropped: %s", stream, error)
        self._cross_out([outbox_id])

    # -- what was left behind -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to look for entries that nobody publishes."""
        self._scanner = asyncio.get_running_loop().create_task(self._scan_for_ever())

    async def publish_leftovers(self) -> None:
        """Look once: the streams were elsewhere before, and something may have stayed."""
        try:
            while await self._scan():
                pass
        except ContractError as error:
            _LOG.debug("the outbox could not be looked at: %s", error)

    async def close(self) -> None:
        """Finish what has begun; others take over what is left."""
        if self._scanner is not None:
            self._scanner.cancel()
            await asyncio.gather(self._scanner, return_exceptions=True)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _scan_for_ever(self) -> None:
        while True:
            self._look.clear()
            try:
                await self._scan_all()
            except Exception:
                # The scan is what covers for processes that died: it must not end.
                _LOG.exception("the outbox could not be scanned")
            await _wait(self._look, SCAN_SECONDS)
            # What was not published a moment ago is better left alone for a moment.
            await asyncio.sleep(_FIRST_PAUSE)

    async def _scan_all(self) -> None:
        """Publish all that waits; if the broker is away, when it is back."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if self._is_away:
                    # Nothing is claimed that cannot be published.
                    await self._stream.get_stream_depth(self._matching.stream_of(ENGINE_QUEUE))
                while await self._scan():
                    pass
            except ContractError as error:
                self._note_away(error)
            else:
                if not self._is_away:
                    return
                # What was claimed when the broker went away is free again after the lease.
                await asyncio.sleep(_CLAIM_LEASE_MS / 1000 if self._was_claimed else 0)
                self._note_back()
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _scan(self) -> bool:
        """Publish a batch of what waits. True if there may be more."""
        now = self._clock.now_ms()
        entries = await self._store.outbox_claim(self._engine_id, _CLAIM_LIMIT, _CLAIM_LEASE_MS, now)
        outcomes = await asyncio.gather(*(self._take_up(entry) for entry in entries), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            self._was_claimed = True
            raise errors[0]
        return len(entries) == _CLAIM_LIMIT

    async def _take_up(self, entry: OutboxEntry) -> None:
        # The streams may have had other names when it was written.
        stream = self._stream.mint_key(KeyType.STREAMS, KeyParams(topic=parse_key(entry.stream).id))
        try:
            async with self._limit:
                await self._stream.publish_once(
                    stream,
                    entry.message,
                    dedup_id(entry.outbox_id, entry.stream, entry.message),
                    visible_at_ms=entry.visible_at_ms,
                    priority=entry.priority,
                )
        except MessageTooLarge as error:
            self._give_up(entry.outbox_id, entry.stream, error)
            return
        self._matching.arrived(stream)
        self._cross_out([entry.outbox_id])

    # -- inside -------------------------------------------------------------------------------------------------

    def _note_away(self, error: ContractError) -> None:
        if not self._is_away:
            self._is_away = True
            _LOG.warning("messages wait in the outbox until they can be published: %s", error)
        self._look.set()

    def _note_back(self) -> None:
        if self._is_away:
            self._is_away = self._was_claimed = False
            _LOG.warning("the messages that waited in the outbox are published")

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("the relay of the outbox failed; the scan tries again", exc_info=error)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return


def dedup_id(outbox_id: str, stream: str, message: str) -> str:
    """The id of an entry, and what it says: after a restore from a backup the store may give an id again."""
    return f"{outbox_id}.{hashlib.sha256(f'{stream} {message}'.encode()).hexdigest()[:12]}"
