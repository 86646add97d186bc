"""Streams: taking over, leases, dead letters, monitoring, trimming."""

from __future__ import annotations

import asyncio

import pytest

from ..contracts.commit import MessageLease
from ..contracts.stream import StreamService
from ..contracts.types import DeadLetter, StreamDepth, StreamMessage, StreamStats
from .stream_delivery import take, texts
from .support import GROUP, now_ms, stream_name


async def retry(stream: StreamService, name: str, min_idle_time: int = 0) -> list[StreamMessage]:
    """Take over what is idle."""
    return await stream.retry_messages(name, GROUP, consumer_name="rescuer", min_idle_time=min_idle_time)


@pytest.mark.asyncio
class TestRetry:
    """retry_messages."""

    async def test_not_before_it_is_idle(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["unread", "taken"])
        (first,) = await take(stream, orders, 1)
        assert await retry(stream, orders, 250) == []
        await asyncio.sleep(0.3)
        assert await retry(stream, orders, 250) == [StreamMessage(first.message_id, "unread", 2)]
        assert await retry(stream, orders, 250) == []
        assert texts(await take(stream, orders)) == ["taken"]

    async def test_the_new_holder_has_the_lease(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        (lost,) = await take(stream, orders)
        (held,) = await retry(stream, orders)
        ids = [lost.message_id]
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="c", attempt=1) == 0
        assert await stream.ack_and_delete(orders, GROUP, ids, consumer="rescuer", attempt=held.attempt) == 1
        assert await retry(stream, orders) == []

    async def test_a_lapsed_lease_too(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        await take(stream, orders, lease_ms=10)
        await asyncio.sleep(0.05)
        assert [message.attempt for message in await retry(stream, orders, 30)] == [2]

    async def test_each_goes_to_one_of_racers(
        self, stream: StreamService, peer_stream: StreamService, orders: str
    ) -> None:
        await stream.publish_messages(orders, [str(n) for n in range(20)])
        await take(stream, orders)
        await asyncio.sleep(0.9)
        results = await asyncio.gather(*(retry(each, orders, 800) for each in (stream, peer_stream) * 4))
        taken = [message.data for messages in results for message in messages]
        assert sorted(taken) == sorted(str(n) for n in range(20))

    async def test_restrictions(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, list("abcde"))
        await take(stream, orders)
        some = await stream.retry_messages(orders, GROUP, consumer_name="r", message_ids=[ids[3], ids[1], "999999"])
        assert texts(some) == ["b", "d"]
        limited = await stream.retry_messages(orders, GROUP, consumer_name="r", limit=2, message_ids=ids[2:])
        assert texts(limited) == ["c", "d"]
        assert await stream.retry_messages(orders, GROUP, consumer_name="r", message_ids=[]) == []
        assert await stream.retry_messages(orders, "OTHER", consumer_name="r") == []

    async def test_with_a_delay(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        await take(stream, orders)
        assert await stream.retry_messages(orders, GROUP, delay=700) == []
        assert (await stream.get_stream_stats(orders)).delayed == 1
        assert await take(stream, orders) == []
        await asyncio.sleep(0.75)
        assert [message.attempt for message in await take(stream, orders)] == [2]

    async def test_too_many_retries(self, stream: StreamService, orders: str) -> None:
        (message_id,) = await stream.publish_messages(orders, ["a"])
        await take(stream, orders)
        retried = await stream.retry_messages(orders, GROUP, consumer_name="r", max_retries=1)
        assert [message.attempt for message in retried] == [2]
        assert await stream.retry_messages(orders, GROUP, consumer_name="r", max_retries=1) == []
        (letter,) = await stream.list_dead_letters(orders)
        assert (letter.message_id, letter.attempt, letter.reason) == (message_id, 2, "max retries")
        assert await stream.get_stream_depth(orders) == 0


@pytest.mark.asyncio
class TestLeaseKeeping:
    """extend_reservation, release_messages."""

    async def test_extending(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        (message,) = await take(stream, orders, lease_ms=150)
        assert await stream.extend_reservation(orders, GROUP, message.message_id, "c", 1, 10_000) is True
        await asyncio.sleep(0.2)
        assert await take(peer_stream, orders) == []
        assert await retry(peer_stream, orders, 600) == []
        assert await stream.extend_reservation(orders, GROUP, message.message_id, "c", 1, 50) is True
        await asyncio.sleep(0.1)
        (again,) = await take(peer_stream, orders, consumer="d")
        assert await stream.extend_reservation(orders, GROUP, message.message_id, "c", 1, 10_000) is False
        assert await stream.extend_reservation(orders, GROUP, message.message_id, "d", again.attempt, 1000) is True
        await stream.ack_and_delete(orders, GROUP, [message.message_id])
        assert await stream.extend_reservation(orders, GROUP, message.message_id, "d", again.attempt, 1000) is False
        assert await stream.extend_reservation(orders, GROUP, "999999999", "d", 1, 1000) is False

    async def test_releasing(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a", "b", "c"])
        await take(stream, orders, 2)
        assert await stream.release_messages(orders, GROUP, ids, consumer="other", attempt=1) == 0
        assert await stream.release_messages(orders, GROUP, [ids[0], ids[2], "999999"], consumer="c", attempt=1) == 1
        messages = await take(stream, orders)
        assert [(message.data, message.attempt) for message in messages] == [("a", 2), ("c", 1)]
        assert await stream.release_messages(orders, GROUP, ids) == 3
        assert await stream.ack_and_delete(orders, GROUP, ids[:1], consumer="c", attempt=2) == 0

    async def test_releasing_with_a_delay(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a"])
        await take(stream, orders)
        assert await stream.release_messages(orders, GROUP, ids, delay=700) == 1
        assert await take(stream, orders) == []
        await asyncio.sleep(0.75)
        assert len(await take(stream, orders)) == 1

    async def test_a_released_message_wakes_a_blocked_call(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a"])
        await take(stream, orders)
        blocked = asyncio.create_task(stream.consume_messages(orders, GROUP, "d", block_timeout=8000))
        await asyncio.sleep(0.1)
        await stream.release_messages(orders, GROUP, ids)
        assert texts(await asyncio.wait_for(blocked, 1.3)) == ["a"]


@pytest.mark.asyncio
class TestDeadLetters:
    """dead_letter_messages, list_dead_letters."""

    async def test_they_are_set_aside(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, ["a", "b", "c"])
        await take(stream, orders, 1)
        before = now_ms()
        assert await stream.dead_letter_messages(orders, GROUP, [*ids[:2], "999999"], "poison") == 2
        assert await stream.dead_letter_messages(orders, GROUP, ids[:2], "again") == 0
        letters = await peer_stream.list_dead_letters(orders)
        stamps = [letter.dead_at_ms for letter in letters]
        assert letters == [
            DeadLetter(ids[0], orders, "a", 1, "poison", stamps[0]),
            DeadLetter(ids[1], orders, "b", 0, "poison", stamps[1]),
        ]
        assert all(abs(stamp - before) < 5000 for stamp in stamps)
        assert texts(await take(stream, orders)) == ["c"]
        assert await stream.ack_and_delete(orders, GROUP, ids[:1]) == 0
        assert [message.data for message in await retry(stream, orders)] == ["c"]

    async def test_paging(self, stream: StreamService, orders: str) -> None:
        ids = await stream.publish_messages(orders, [str(n) for n in range(12)])
        await stream.dead_letter_messages(orders, GROUP, list(reversed(ids)))
        first = await stream.list_dead_letters(orders, 5)
        second = await stream.list_dead_letters(orders, 50, first[-1].message_id)
        assert [letter.message_id for letter in first + second] == ids
        assert await stream.list_dead_letters(orders, 5, ids[-1]) == []
        assert await stream.list_dead_letters(stream_name(stream, "other")) == []


@pytest.mark.asyncio
class TestMonitoring:
    """get_stream_stats, get_stream_depth, get_stream_depths, get_ready_streams."""

    async def test_stats_by_state(self, stream: StreamService, peer_stream: StreamService, orders: str) -> None:
        assert await stream.get_stream_stats(orders) == StreamStats(orders)
        ids = await stream.publish_messages(orders, list("abcdef"))
        await stream.publish_messages(orders, ["later"], visible_at_ms=now_ms() + 60_000)
        await take(stream, orders, 3)
        await stream.dead_letter_messages(orders, GROUP, ids[:1])
        await stream.ack_and_delete(orders, GROUP, ids[1:2])
        expected = StreamStats(orders, message_count=5, ready=3, delayed=1, in_flight=1, dead=1)
        assert await peer_stream.get_stream_stats(orders) == expected
        assert await peer_stream.get_stream_depth(orders) == 5

    async def test_a_lapsed_lease_counts_as_ready(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"], lease=MessageLease(GROUP, "c", 20))
        await asyncio.sleep(0.06)
        stats = await stream.get_stream_stats(orders)
        assert (stats.ready, stats.in_flight) == (1, 0)

    async def test_depths_are_aligned(self, stream: StreamService) -> None:
        one, two, none = (stream_name(stream, topic) for topic in ("one", "two", "none"))
        await stream.publish_messages(one, ["a"])
        await stream.publish_messages(two, ["b", "c"])
        asked = [two, none, one, two]
        depths = await stream.get_stream_depths(asked)
        assert depths == [StreamDepth(name, depth) for name, depth in zip(asked, (2, 0, 1, 2), strict=True)]
        assert await stream.get_stream_depths([]) == []
        assert await stream.get_stream_depth(none) == 0

    async def test_ready_streams(self, stream: StreamService, peer_stream: StreamService) -> None:
        topics = ("ready", "leased", "lapsed", "delayed", "dead", "empty", "second")
        names = {topic: stream_name(stream, topic) for topic in topics}
        for topic in ("second", "ready"):
            await stream.publish_messages(names[topic], ["a"])
        await stream.publish_messages(names["leased"], ["a"], lease=MessageLease(GROUP, "c", 60_000))
        await stream.publish_messages(names["lapsed"], ["a"], lease=MessageLease(GROUP, "c", 10))
        await stream.publish_messages(names["delayed"], ["a"], visible_at_ms=now_ms() + 60_000)
        dead = await stream.publish_messages(names["dead"], ["a"])
        await stream.dead_letter_messages(names["dead"], GROUP, dead)
        await asyncio.sleep(0.05)
        found = await peer_stream.get_ready_streams([names[topic] for topic in topics])
        assert found == [names[topic] for topic in ("ready", "lapsed", "second")]
        assert await stream.get_ready_streams([names["empty"]]) == []
        assert await stream.get_ready_streams([]) == []


@pytest.mark.asyncio
class TestTrimming:
    """trim_stream."""

    async def test_the_oldest_go_first(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, list("abcdef"))
        assert await stream.trim_stream(orders, max_len=2) == 4
        assert await stream.trim_stream(orders, max_len=2) == 0
        assert texts(await take(stream, orders)) == ["e", "f"]

    async def test_messages_in_flight_stay(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, list("abcd"))
        taken = await take(stream, orders, 2)
        assert await stream.trim_stream(orders, max_len=3) == 1
        assert await stream.trim_stream(orders, max_len=0) == 1
        ids = [message.message_id for message in taken]
        assert await stream.ack_and_delete(orders, GROUP, ids) == 2

    async def test_by_age(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["old"])
        await asyncio.sleep(0.35)
        await stream.publish_messages(orders, ["new"])
        assert await stream.trim_stream(orders, max_age=60_000) == 0
        assert await stream.trim_stream(orders, max_age=250) == 1
        assert texts(await take(stream, orders)) == ["new"]

    async def test_a_loose_limit_never_keeps_fewer(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, list("abcdef"))
        removed = await stream.trim_stream(orders, max_len=4, exact_limit=False)
        assert await stream.get_stream_depth(orders) == 6 - removed >= 4

    async def test_no_limit_and_no_stream(self, stream: StreamService, orders: str) -> None:
        await stream.publish_messages(orders, ["a"])
        assert await stream.trim_stream(orders) == 0
        assert await stream.trim_stream(stream_name(stream, "unknown"), max_len=0) == 0
