"""Streams: publishing, delivery, disposal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..contracts.commit import MessageLease
from ..contracts.errors import CrossProviderTransaction, InvalidArgument, MessageTooLarge, NotSupported
from ..contracts.stream import StreamService
from ..contracts.types import KeyParams, KeyType, StreamMessage
from .support import GROUP, ForeignTransaction, now_ms, outcome, stream_name


async def take(
    stream: StreamService, name: str, limit: int = 1000, *, consumer: str = "c", lease_ms: int = 30_000
) -> list[StreamMessage]:
    """Take what is ready."""
    return await stream.consume_messages(name, GROUP, consumer, batch_size=limit, lease_ms=lease_ms)


def texts(messages: list[StreamMessage]) -> list[str]:
    """Their data."""
    return [message.data for message in messages]


@pytest.mark.asyncio
class TestStreams:
    """create_stream, delete_stream and consumer groups."""

    async def test_creating(self, stream: StreamService, orders: str) -> None:
        assert await stream.create_stream(orders) is True
        assert await stream.create_stream(orders) is True
        assert await stream.get_stream_depth(orders) == 0

    async def test_deleting(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        assert await stream.delete_stream(orders) is False
        await stream.publish_messages(orders, ["a", "b", "c"])
        await take(stream, orders, 1)
        await stream.dead_letter_messages(orders, GROUP, [(await take(stream, orders, 1))[0].message_id])
        assert await peer_stream.delete_stream(orders) is True
        stats = await stream.get_stream_stats(orders)
        assert (stats.message_count, stats.dead) == (0, 0)
        assert await stream.delete_stream(orders) is False
        await stream.publish_messages(orders, ["new"])
        assert texts(await take(stream, orders)) == ["new"]

    async def test_a_created_stream_exists(self, stream: StreamService, orders: str) -> None:
        await stream.create_stream(orders)
        assert await stream.delete_stream(orders) is True

    async def test_a_late_group_gets_the_earlier_messages(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["early"])
        assert await stream.create_consumer_group(orders, GROUP) is True
        assert await stream.create_consumer_group(orders, GROUP) is False
        assert texts(await take(stream, orders)) == ["early"]

    async def test_creating_a_group_again_does_not_reset_it(self, stream: StreamService, orders: str) -> None:
        await stream.create_consumer_group(orders, GROUP)
        await stream.publish_messages(orders, ["a"])
        await take(stream, orders)
        await stream.create_consumer_group(orders, GROUP)
        assert await take(stream, orders) == []

    async def test_a_deleted_group_loses_no_message(self, stream: StreamService, orders: str) -> None:
        assert await stream.delete_consumer_group(orders, GROUP) is False
        await stream.create_consumer_group(orders, GROUP)
        await stream.publish_messages(orders, ["a", "b"])
        await take(stream, orders, 1)
        assert await stream.delete_consumer_group(orders, GROUP) is True
        assert await stream.delete_consumer_group(orders, GROUP) is False
        messages = await stream.consume_messages(orders, "LATER", "c", batch_size=9)
        assert sorted(texts(messages)) == ["a", "b"]

    @pytest.mark.parametrize("topic", ["", "a:b.c", "ü *>$ /%_'\"", "x" * 500])
    async def test_any_topic(self, stream: StreamService, topic: str) -> None:
        name, other = stream_name(stream, topic), stream_name(stream, f"{topic}1")
        await stream.publish_messages(name, ["a"])
        assert await take(stream, other) == []
        assert texts(await take(stream, name)) == ["a"]


@pytest.mark.asyncio
class TestPublishing:
    """publish_messages."""

    async def test_order_and_ids(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a", "b", "c"])
        ids += await stream.publish_messages(orders, ["d"])
        messages = await take(stream, orders)
        assert [(message.message_id, message.data) for message in messages] == list(zip(ids, "abcd", strict=True))
        assert len(set(ids)) == 4
        assert {message.attempt for message in messages} == {1}

    async def test_ids_are_never_used_again(self, stream: StreamService, orders: str) -> None:
        first = await stream.publish_messages(orders, ["a"])
        await stream.delete_messages(orders, GROUP, first)
        assert await stream.publish_messages(orders, ["b"]) != first

    async def test_no_message(self, stream: StreamService, orders: str) -> None:
        assert await stream.publish_messages(orders, []) == []

    @pytest.mark.parametrize("data", ["", "not json {", "ü🙂\n\t\\", "x" * 1_000_000])
    async def test_any_text(self, stream: StreamService, orders: str, data: str) -> None:
        await stream.publish_messages(orders, [data, "next"])
        assert texts(await take(stream, orders)) == [data, "next"]

    async def test_many_at_once(self, stream: StreamService, orders: str) -> None:
        size = stream.get_provider_specific_features().max_batch_size
        data = [str(n) for n in range(size)]
        assert len(await stream.publish_messages(orders, data)) == size
        assert texts(await take(stream, orders, size)) == data

    async def test_too_large(self, stream: StreamService, orders: str) -> None:
        size = stream.get_provider_specific_features().max_message_size
        with pytest.raises(MessageTooLarge):
            await stream.publish_messages(orders, ["small", "x" * (size + 1)])
        with pytest.raises(MessageTooLarge):
            await stream.publish_messages(orders, ["ü" * (size // 2 + 1)])
        assert await stream.get_stream_depth(orders) == 0

    async def test_publishing_once(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        message_id = await stream.publish_once(orders, "a", "id/1")
        again = await peer_stream.publish_once(orders, "a", "id/1")
        other = await peer_stream.publish_once(orders, "b", "id/2", lease=MessageLease(GROUP, "mine", 30_000))
        assert message_id is not None
        assert other not in (None, message_id)
        if not stream.get_provider_specific_features().supports_dedup:
            assert again not in (None, message_id)
            return
        assert again is None
        assert await take(stream, orders) == [StreamMessage(message_id, "a", 1)]
        assert await stream.publish_once(orders, "a", "id/1") is None
        assert await stream.ack_and_delete(orders, GROUP, [message_id, str(other)]) == 2
        assert await peer_stream.publish_once(orders, "a", "id/1") is None
        assert await stream.get_stream_depth(orders) == 0

    async def test_a_delayed_message(self, stream: StreamService, orders: str) -> None:
        at = now_ms() + 300
        await stream.publish_messages(orders, ["later"], visible_at_ms=at)
        await stream.publish_messages(orders, ["now"])
        assert texts(await take(stream, orders)) == ["now"]
        messages = await stream.consume_messages(orders, GROUP, "c", block_timeout=3000)
        assert texts(messages) == ["later"]
        assert -20 < now_ms() - at < 1100

    async def test_priority(self, stream: StreamService, orders: str) -> None:
        for priority, data in ((0, "a"), (5, "b"), (-1, "c"), (5, "d"), (0, "e")):
            await stream.publish_messages(orders, [data], priority=priority)
        assert texts(await take(stream, orders)) == ["b", "d", "a", "e", "c"]
        await stream.publish_messages(orders, ["low"])
        await stream.publish_messages(orders, ["high"], priority=1)
        assert texts(await take(stream, orders, 1)) == ["high"]

    async def test_published_under_a_lease(self, stream: StreamService, orders: str) -> None:
        lease = MessageLease(GROUP, "mine", 200)
        (message_id,) = await stream.publish_messages(orders, ["m"], lease=lease)
        assert await take(stream, orders) == []
        assert (await stream.get_stream_stats(orders)).in_flight == 1
        await asyncio.sleep(0.25)
        assert await take(stream, orders) == [StreamMessage(message_id, "m", 2)]

    async def test_a_lease_can_be_acked_by_its_holder(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["m"], lease=MessageLease(GROUP, "mine", 30_000))
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="other", attempt=1) == 0
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="mine", attempt=1) == 1

    async def test_lease_and_delay_exclude_each_other(self, stream: StreamService, orders: str) -> None:
        with pytest.raises(InvalidArgument):
            await stream.publish_messages(
                orders, ["m"], lease=MessageLease(GROUP, "mine", 100), visible_at_ms=now_ms() + 100
            )


@pytest.mark.asyncio
class TestConsuming:
    """consume_messages."""

    async def test_batch_size(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, list("abcde"))
        assert texts(await stream.consume_messages(orders, GROUP, "c")) == ["a"]
        assert texts(await take(stream, orders, 3)) == ["b", "c", "d"]
        assert texts(await take(stream, orders, 3)) == ["e"]
        assert await take(stream, orders) == []

    async def test_consumers_compete(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, [str(n) for n in range(60)])
        calls = [each.consume_messages(orders, GROUP, "c", batch_size=7) for each in (stream, peer_stream) * 6]
        taken = [message.data for messages in await asyncio.gather(*calls) for message in messages]
        assert sorted(taken) == sorted(str(n) for n in range(60))

    async def test_a_lapsed_lease_is_delivered_again(
        self, stream: StreamService, peer_stream: StreamService, orders: str
    ) -> None:
        await stream.publish_messages(orders, ["a"])
        (first,) = await take(stream, orders, lease_ms=150)
        assert await take(peer_stream, orders) == []
        await asyncio.sleep(0.2)
        (second,) = await take(peer_stream, orders)
        assert (second.message_id, second.attempt) == (first.message_id, 2)

    async def test_an_empty_stream_blocks_for_the_time_given(self, stream: StreamService, orders: str) -> None:
        start = time.monotonic()
        assert await stream.consume_messages(orders, GROUP, "c") == []
        assert time.monotonic() - start < 0.2
        start = time.monotonic()
        assert await stream.consume_messages(orders, GROUP, "c", block_timeout=300) == []
        assert 0.25 < time.monotonic() - start < 1.0

    async def test_a_message_wakes_a_blocked_call(
        self, stream: StreamService, peer_stream: StreamService, orders: str
    ) -> None:
        for publisher in (stream, peer_stream):
            blocked = asyncio.create_task(stream.consume_messages(orders, GROUP, "c", block_timeout=8000))
            await asyncio.sleep(0.1)
            start = time.monotonic()
            await publisher.publish_messages(orders, ["wake"])
            assert texts(await blocked) == ["wake"]
            assert time.monotonic() - start < (0.3 if publisher is stream else 1.3)

    async def test_each_message_wakes_one_of_many(self, stream: StreamService, orders: str) -> None:
        blocked = [
            asyncio.create_task(stream.consume_messages(orders, GROUP, f"c{n}", block_timeout=5000)) for n in range(10)
        ]
        await asyncio.sleep(0.05)
        for n in range(10):
            await stream.publish_messages(orders, [str(n)])
        taken = [texts(messages) for messages in await asyncio.gather(*blocked)]
        assert sorted(taken) == [[str(n)] for n in range(10)]

    async def test_a_lapsing_lease_wakes_a_blocked_call(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        await take(stream, orders, lease_ms=200)
        start = time.monotonic()
        (message,) = await stream.consume_messages(orders, GROUP, "c", block_timeout=5000)
        assert message.attempt == 2
        assert 0.1 < time.monotonic() - start < 1.4

    async def test_auto_ack(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a", "b"])
        messages = await stream.consume_messages(orders, GROUP, "c", auto_ack=True, lease_ms=1)
        assert texts(messages) == ["a"]
        await asyncio.sleep(0.02)
        assert await stream.get_stream_depth(orders) == 1
        assert texts(await take(stream, orders)) == ["b"]

    async def test_cancelled_calls_lose_nothing(self, stream: StreamService, orders: str) -> None:
        total = 30
        taken: list[str] = []
        for n in range(total):
            call = asyncio.create_task(stream.consume_messages(orders, GROUP, "c", block_timeout=2000, lease_ms=300))
            publish = asyncio.create_task(stream.publish_messages(orders, [str(n)]))
            await asyncio.sleep(n % 6 * 0.0005)
            call.cancel()
            await publish
            messages = await asyncio.gather(call, return_exceptions=True)
            if isinstance(messages[0], list):
                taken += texts(messages[0])
                await stream.ack_and_delete(orders, GROUP, [message.message_id for message in messages[0]])
        await asyncio.sleep(0.4)
        assert sorted(taken + texts(await take(stream, orders))) == sorted(str(n) for n in range(total))

    async def test_a_closed_service_ends_blocked_calls(self, peer_stream: StreamService, orders: str) -> None:
        blocked = asyncio.create_task(peer_stream.consume_messages(orders, GROUP, "c", block_timeout=20_000))
        await asyncio.sleep(0.1)
        await peer_stream.close()
        assert await asyncio.wait_for(outcome(blocked), 3) == []


@pytest.mark.asyncio
class TestDisposal:
    """ack_and_delete, acknowledge_messages, delete_messages."""

    async def test_acked_is_gone_for_good(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a", "b"])
        ids = [message.message_id for message in await take(stream, orders, lease_ms=50)]
        assert await stream.ack_and_delete(orders, GROUP, [*ids, "999999999"]) == 2
        assert await stream.ack_and_delete(orders, GROUP, ids) == 0
        assert await stream.ack_and_delete(orders, GROUP, []) == 0
        await asyncio.sleep(0.1)
        assert await take(stream, orders) == []
        assert await stream.get_stream_depth(orders) == 0

    async def test_an_id_given_twice_counts_once(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a", "b", "c", "d"])
        await take(stream, orders)
        assert await stream.release_messages(orders, GROUP, ids[:1] * 2) == 1
        assert await stream.ack_and_delete(orders, GROUP, ids[:1] * 2) == 1
        assert await stream.acknowledge_messages(orders, GROUP, ids[1:2] * 2) == 1
        assert await stream.dead_letter_messages(orders, GROUP, ids[2:3] * 2) == 1
        assert await stream.delete_messages(orders, GROUP, ids[3:] * 2) == 1

    async def test_one_of_racing_acks_counts(
        self, stream: StreamService, peer_stream: StreamService, orders: str
    ) -> None:
        ids = await stream.publish_messages(orders, ["a"])
        counts = await asyncio.gather(*(each.ack_and_delete(orders, GROUP, ids) for each in (stream, peer_stream) * 5))
        assert sum(counts) == 1

    async def test_a_lost_lease_cannot_ack(
        self, stream: StreamService, peer_stream: StreamService, orders: str
    ) -> None:
        await stream.publish_messages(orders, ["a"])
        (slow,) = await take(stream, orders, consumer="slow", lease_ms=50)
        await asyncio.sleep(0.1)
        (held,) = await take(peer_stream, orders, consumer="fast")
        ids = [slow.message_id]
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="slow", attempt=slow.attempt) == 0
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="fast", attempt=slow.attempt) == 0
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="slow", attempt=held.attempt) == 0
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="fast", attempt=held.attempt) == 1

    async def test_a_lapsed_lease_that_nobody_took_can_ack(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        (message,) = await take(stream, orders, lease_ms=30)
        await asyncio.sleep(0.08)
        assert await stream.ack_and_delete(orders, GROUP, [message.message_id], consumer="c", attempt=1) == 1

    async def test_acknowledging(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a", "b"])
        await take(stream, orders, 1, lease_ms=30)
        assert await stream.acknowledge_messages(orders, GROUP, ids) == 1
        assert await stream.acknowledge_messages(orders, GROUP, ids) == 0
        assert await stream.get_stream_depth(orders) == 1
        await asyncio.sleep(0.05)
        assert texts(await take(stream, orders)) == ["b"]

    async def test_deleting_in_any_state(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["flight", "dead", "unread"])
        ids += await stream.publish_messages(orders, ["delayed"], visible_at_ms=now_ms() + 50)
        await take(stream, orders, 2)
        await stream.dead_letter_messages(orders, GROUP, ids[1:2])
        assert await stream.delete_messages(orders, GROUP, ids) == 4
        assert await stream.delete_messages(orders, GROUP, ids) == 0
        assert await stream.retry_messages(orders, GROUP, consumer_name="c") == []
        assert await stream.list_dead_letters(orders) == []
        await asyncio.sleep(0.1)
        assert await take(stream, orders) == []

    async def test_disposal_in_a_transaction(self, stream: StreamService, orders: str) -> None:
        if not stream.get_provider_specific_features().supports_transactions:
            pytest.skip("the provider has no transactions")
        ids = await stream.publish_messages(orders, ["a", "b", "c", "d"])
        await take(stream, orders)
        transaction = stream.transaction()
        assert await stream.ack_and_delete(orders, GROUP, ids[:1], transaction=transaction) == 0
        await stream.acknowledge_messages(orders, GROUP, ids[1:2], transaction=transaction)
        await stream.delete_messages(orders, GROUP, ids[2:3], transaction=transaction)
        await stream.dead_letter_messages(orders, GROUP, ids[3:], "why", transaction=transaction)
        await stream.ack_and_delete(orders, GROUP, ids[:1], consumer="c", attempt=1, transaction=transaction)
        assert await stream.get_stream_depth(orders) == 4
        assert await transaction.exec() == [1, 1, 1, 1, 0]
        assert await stream.get_stream_depth(orders) == 0

    async def test_no_transactions_where_there_are_none(self, stream: StreamService, orders: str) -> None:
        if stream.get_provider_specific_features().supports_transactions:
            pytest.skip("the provider has transactions")
        with pytest.raises(NotSupported):
            stream.transaction()
        foreign = ForeignTransaction()
        ids = await stream.publish_messages(orders, ["a"])
        calls: list[Callable[[], Any]] = [
            lambda: stream.publish_messages(orders, ["b"], transaction=foreign),
            lambda: stream.ack_and_delete(orders, GROUP, ids, transaction=foreign),
            lambda: stream.acknowledge_messages(orders, GROUP, ids, transaction=foreign),
            lambda: stream.delete_messages(orders, GROUP, ids, transaction=foreign),
            lambda: stream.dead_letter_messages(orders, GROUP, ids, transaction=foreign),
        ]
        for call in calls:
            with pytest.raises(CrossProviderTransaction):
                await call()
        assert texts(await take(stream, orders)) == ["a"]

    async def test_one_stream_does_not_touch_another(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a"])
        other = stream_name(stream, "other")
        assert await stream.ack_and_delete(other, GROUP, ids) == 0
        assert await stream.delete_messages(other, GROUP, ids) == 0
        assert await stream.get_stream_depth(orders) == 1


@pytest.mark.asyncio
class TestJobMessages:
    """expire_job_messages."""

    async def test_only_the_jobs_messages_go(self, stream: StreamService, peer_stream: StreamService) -> None:
        def envelope(job_id: str) -> str:
            return json.dumps({"metadata": {"jid": job_id}, "data": {}})

        first, second = (stream_name(stream, topic) for topic in ("one", "two"))
        others = [envelope("other"), "not json jid gone", '"gone"', "[1]", '{"metadata":"gone"}', '{"jid":"gone"}']
        await stream.publish_messages(first, [envelope("gone"), *others])
        await stream.publish_messages(second, [envelope("gone")], visible_at_ms=now_ms() + 60_000)
        await stream.publish_messages(second, [envelope("gone")], lease=MessageLease(GROUP, "c", 60_000))
        assert await peer_stream.expire_job_messages("gone") == 3
        assert await peer_stream.expire_job_messages("gone") == 0
        assert texts(await take(stream, first)) == others
        assert await stream.get_stream_depth(second) == 0


@pytest.mark.asyncio
class TestFeatures:
    """get_provider_specific_features."""

    async def test_they_are_constant(self, stream: StreamService, peer_stream: StreamService) -> None:
        features = stream.get_provider_specific_features()
        assert features == peer_stream.get_provider_specific_features()
        assert features.max_message_size >= 1_000_000
        assert features.max_batch_size >= 1

    async def test_keys_are_of_the_own_app(self, stream: StreamService) -> None:
        assert stream.mint_key(KeyType.STREAMS, KeyParams(app_id="other", topic="t")).split(":")[1] == "app"
