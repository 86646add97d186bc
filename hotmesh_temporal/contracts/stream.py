"""StreamService: durable queues with competing consumers, delivered at least once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from .commit import MessageLease
from .inspection import StreamInspection
from .types import (
    DeadLetter,
    KeyParams,
    KeyType,
    StreamDepth,
    StreamFeatures,
    StreamMessage,
    StreamStats,
    Transaction,
)


class StreamService(StreamInspection):
    """Streams of text messages.

    A message is *delayed* until its visible time, then *ready*, *in flight* while a consumer of a group holds a lease
    on it, and gone when it is disposed of. A lease is named by consumer and attempt (the delivery's number, from 1);
    it lapses after ``lease_ms`` and the message is ready again, but its last holder may still dispose of it or extend
    until it is delivered anew. A stream serves one group at a time in HotMesh; if several consume it, they compete.

    Order of delivery: higher priority first, then order of publication. A stream comes to be when it is created or
    first published to. All clocks are the provider's; times are milliseconds. Every method may raise `Unavailable`.
    """

    # -- session ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names and make the schema ready. Idempotent; safe for many processes at once."""

    @abstractmethod
    async def close(self) -> None:
        """Release what `init` acquired; blocked consumers return ``[]``. Idempotent."""

    @abstractmethod
    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """``keys.mint_key`` with the names of `init`; ``params.app_id`` is not used. `NotInitialized` before `init`."""

    @abstractmethod
    def transaction(self) -> Transaction:
        """A transaction of this database; where store and stream share one, the same as the store's.

        Raises `NotSupported` if ``supports_transactions`` is False.
        """

    @abstractmethod
    def get_provider_specific_features(self) -> StreamFeatures:
        """What this provider can do; constant, and may be asked before `init`."""

    # -- streams and groups -----------------------------------------------------------------------------------

    @abstractmethod
    async def create_stream(self, stream: str) -> bool:
        """Make the stream exist. True. Idempotent."""

    @abstractmethod
    async def delete_stream(self, stream: str) -> bool:
        """Drop the stream with its messages (in flight and dead ones too) and groups. False if it did not exist."""

    @abstractmethod
    async def create_consumer_group(self, stream: str, group: str) -> bool:
        """Make stream and group exist. True if the group is new, else False and nothing changes.

        A new group gets the messages that were published before it. Consuming creates a missing group.
        """

    @abstractmethod
    async def delete_consumer_group(self, stream: str, group: str) -> bool:
        """Drop a group; what it had in flight is ready again, for a later group. False if it did not exist."""

    # -- messages ---------------------------------------------------------------------------------------------

    @abstractmethod
    async def publish_messages(
        self,
        stream: str,
        messages: Sequence[str],
        *,
        transaction: Transaction | None = None,
        visible_at_ms: int | None = None,
        priority: int = 0,
        lease: MessageLease | None = None,
    ) -> list[str]:
        """Append messages in order, all or none; returns their ids (opaque, unique, never used again).

        ``visible_at_ms``: not delivered before. ``lease``: published as delivered to that consumer, attempt 1. No
        messages: ``[]``. Raises `MessageTooLarge` (by bytes of UTF-8) at once, also with a transaction,
        `InvalidArgument` for a ``lease`` together with ``visible_at_ms``, `CrossProviderTransaction`.
        """

    async def publish_once(
        self,
        stream: str,
        message: str,
        dedup_id: str,
        *,
        visible_at_ms: int | None = None,
        priority: int = 0,
        lease: MessageLease | None = None,
    ) -> str | None:
        """Publish a message unless one with this ``dedup_id`` was published before: then None (extension).

        Where ``supports_dedup`` is False it is published again; else it is recognised while the first one is there, and
        for some minutes after it was disposed of. Raises as `publish_messages`.
        """
        del dedup_id
        ids = await self.publish_messages(
            stream, [message], visible_at_ms=visible_at_ms, priority=priority, lease=lease
        )
        return ids[0]

    @abstractmethod
    async def consume_messages(
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        batch_size: int = 1,
        block_timeout: int = 0,
        auto_ack: bool = False,
        lease_ms: int = 30_000,
    ) -> list[StreamMessage]:
        """Take up to ``batch_size`` ready messages under a lease. ``[]`` if none came within ``block_timeout`` ms.

        Returns as soon as it has one: a message that arrives, becomes visible or falls back wakes a blocked call early
        (within 1 s where no notice reaches this process). Two calls never get the same delivery. ``auto_ack`` disposes
        of them on delivery. A cancelled call loses nothing: what it had taken is ready again, at the latest when the
        lease lapses.
        """

    @abstractmethod
    async def ack_and_delete(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        *,
        transaction: Transaction | None = None,
        consumer: str | None = None,
        attempt: int | None = None,
    ) -> int:
        """Dispose of messages for good; returns how many this call removed (unknown, gone or dead: 0).

        With ``consumer`` and ``attempt``: only those whose last delivery these name, so a lost lease gives 0.
        """

    @abstractmethod
    async def acknowledge_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """Dispose of messages that were delivered to ``group`` (ones never delivered stay); returns how many."""

    @abstractmethod
    async def delete_messages(
        self, stream: str, group: str, message_ids: Sequence[str], *, transaction: Transaction | None = None
    ) -> int:
        """Remove messages in any state: unread, in flight, dead. Returns how many. Nothing brings them back."""

    @abstractmethod
    async def retry_messages(
        self,
        stream: str,
        group: str,
        *,
        consumer_name: str = "",
        min_idle_time: int = 0,
        message_ids: Sequence[str] | None = None,
        delay: int = 0,
        max_retries: int | None = None,
        limit: int | None = None,
        lease_ms: int = 30_000,
    ) -> list[StreamMessage]:
        """Take over messages that ``group`` was delivered (or extended) at least ``min_idle_time`` ms ago, lapsed or
        not.

        They are leased to ``consumer_name`` with the next attempt and returned, oldest first; of racing callers one
        gets each. ``message_ids`` and ``limit`` restrict. ``delay`` > 0: instead they are given back, to be delivered
        after ``delay`` ms, and not returned. One whose attempt is above ``max_retries`` becomes a dead letter (reason
        ``max retries``) and is not returned. Disposed ones never come back.
        """

    # -- leases (extensions) ----------------------------------------------------------------------------------

    @abstractmethod
    async def extend_reservation(
        self, stream: str, group: str, message_id: str, consumer: str, attempt: int, lease_ms: int
    ) -> bool:
        """Let the lease of a delivery last ``lease_ms`` from now. False: it was lost (extension)."""

    @abstractmethod
    async def release_messages(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        *,
        consumer: str | None = None,
        attempt: int | None = None,
        delay: int = 0,
    ) -> int:
        """Give leases back: ready again at once, or after ``delay`` ms. The attempt counter stays (extension).

        Fenced as in `ack_and_delete`. Returns how many were given back; messages that are not in flight count 0.
        """

    # -- dead letters (extensions) ----------------------------------------------------------------------------

    @abstractmethod
    async def dead_letter_messages(
        self,
        stream: str,
        group: str,
        message_ids: Sequence[str],
        reason: str = "",
        *,
        transaction: Transaction | None = None,
    ) -> int:
        """Set messages aside: never delivered again, kept for `list_dead_letters`. Idempotent; returns how many
        (extension).
        """

    @abstractmethod
    async def list_dead_letters(self, stream: str, limit: int = 100, after: str = "") -> list[DeadLetter]:
        """Dead letters in order of publication, those after the message id ``after`` (extension)."""

    @abstractmethod
    async def expire_job_messages(self, job_id: str) -> int:
        """Remove every message of the app, in any stream and state but dead, that belongs to a job (extension).

        Such a message is a JSON object with ``metadata.jid`` equal to ``job_id`` (HotMesh's envelope); others are never
        touched. It may look at every queued message: for maintenance. Returns how many were removed.
        """

    # -- monitoring and maintenance ---------------------------------------------------------------------------

    @abstractmethod
    async def get_stream_stats(self, stream: str) -> StreamStats:
        """Counts by state; all 0 for an unknown stream. A lapsed lease counts as ready."""

    @abstractmethod
    async def get_stream_depth(self, stream: str) -> int:
        """Messages not disposed of: ready, delayed and in flight. 0 for an unknown stream."""

    @abstractmethod
    async def get_stream_depths(self, streams: Sequence[str]) -> list[StreamDepth]:
        """Depth of each stream, one for one in the order asked, duplicates too, in one round trip."""

    @abstractmethod
    async def get_ready_streams(self, streams: Sequence[str]) -> list[str]:
        """Those of ``streams``, in the order asked, with a message that could be delivered now; one round trip
        (extension).
        """

    @abstractmethod
    async def trim_stream(
        self, stream: str, *, max_len: int | None = None, max_age: int | None = None, exact_limit: bool = True
    ) -> int:
        """Remove the oldest messages: those published more than ``max_age`` ms ago, then down to a depth of
        ``max_len``.

        Messages in flight are never removed, dead ones neither. ``exact_limit`` False may keep more, never fewer.
        Returns how many were removed.
        """
