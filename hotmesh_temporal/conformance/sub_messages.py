"""Broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ..contracts.errors import InvalidArgument, NotInitialized, NotSupported
from ..contracts.sub import SubService
from ..contracts.types import KeyParams, KeyType, Transaction
from .fixtures import Connect
from .support import eventually

APP = "app"
Q = KeyType.QUORUM


class Inbox:
    """A callback that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, topic: str, message: dict[str, Any]) -> None:
        """Keep a message."""
        self.messages.append((topic, message))

    async def expect(self, *messages: tuple[str, dict[str, Any]]) -> None:
        """Exactly these messages arrive, in this order, and no more within a moment."""

        async def enough() -> bool:
            return len(self.messages) >= len(messages)

        await eventually(enough)
        await asyncio.sleep(0.05)
        assert self.messages == list(messages)


def failing(topic: str, message: dict[str, Any]) -> None:
    """A callback that raises."""
    raise ValueError(f"callback failed on purpose: {topic} {message}")


@pytest.mark.asyncio
class TestSubscriptions:
    """subscribe, unsubscribe, publish."""

    async def test_active_when_it_returns(self, sub: SubService, peer_sub: SubService) -> None:
        inbox = Inbox()
        await sub.subscribe(Q, inbox, APP, "topic")
        assert await peer_sub.publish(Q, {"n": 1, "deep": {"ü": [None, 1.5]}}, APP, "topic") is True
        await inbox.expect(("topic", {"n": 1, "deep": {"ü": [None, 1.5]}}))

    async def test_own_messages_arrive(self, sub: SubService) -> None:
        inbox = Inbox()
        await sub.subscribe(Q, inbox, APP)
        await sub.publish(Q, {"n": 1}, APP)
        await inbox.expect(("", {"n": 1}))

    async def test_channels_are_apart(self, sub: SubService, peer_sub: SubService) -> None:
        wide, one = Inbox(), Inbox()
        await sub.subscribe(Q, wide, APP)
        await sub.subscribe(Q, one, APP, "one")
        for topic in ("two", None, "one", "one.more", "on"):
            await peer_sub.publish(Q, {"to": topic}, APP, topic)
        await wide.expect(("", {"to": None}))
        await one.expect(("one", {"to": "one"}))

    async def test_order_is_kept(self, sub: SubService, peer_sub: SubService) -> None:
        inbox = Inbox()
        await sub.subscribe(Q, inbox, APP, "topic")
        for n in range(50):
            await peer_sub.publish(Q, {"n": n}, APP, "topic")
        await inbox.expect(*(("topic", {"n": n}) for n in range(50)))

    async def test_nobody_listens(self, sub: SubService) -> None:
        assert await sub.publish(Q, {"n": 1}, APP, "topic") is True

    @pytest.mark.parametrize("size", [9_000, 200_000, 1_000_000])
    async def test_large_messages(self, sub: SubService, peer_sub: SubService, size: int) -> None:
        inbox = Inbox()
        await sub.subscribe(Q, inbox, APP, "topic")
        await peer_sub.publish(Q, {"data": "ü" * (size // 2)}, APP, "topic")
        await peer_sub.publish(Q, {"data": "small"}, APP, "topic")
        await inbox.expect(("topic", {"data": "ü" * (size // 2)}), ("topic", {"data": "small"}))

    async def test_every_callback_is_called(self, sub: SubService, peer_sub: SubService) -> None:
        first, second, other = Inbox(), Inbox(), Inbox()
        await sub.subscribe(Q, first, APP, "topic")
        await sub.subscribe(Q, failing, APP, "topic")
        await sub.subscribe(Q, second, APP, "topic")
        await peer_sub.subscribe(Q, other, APP, "topic")
        for n in range(2):
            await peer_sub.publish(Q, {"n": n}, APP, "topic")
        for inbox in (first, second, other):
            await inbox.expect(("topic", {"n": 0}), ("topic", {"n": 1}))

    async def test_unsubscribing(self, sub: SubService, peer_sub: SubService) -> None:
        gone, kept, elsewhere, pattern = Inbox(), Inbox(), Inbox(), Inbox()
        await sub.unsubscribe(Q, APP, "topic")
        await sub.subscribe(Q, gone, APP, "topic")
        await sub.subscribe(Q, gone, APP, "topic")
        await sub.subscribe(Q, kept, APP, "kept")
        await sub.psubscribe(Q, pattern, APP, "to*")
        await peer_sub.subscribe(Q, elsewhere, APP, "topic")
        await sub.unsubscribe(Q, APP, "topic")
        for topic in ("topic", "kept"):
            await peer_sub.publish(Q, {}, APP, topic)
        await kept.expect(("kept", {}))
        await elsewhere.expect(("topic", {}))
        await pattern.expect(("topic", {}))
        assert gone.messages == []

    async def test_subscribing_again(self, sub: SubService) -> None:
        inbox = Inbox()
        for n in range(3):
            await sub.subscribe(Q, inbox, APP, "topic")
            await sub.publish(Q, {"n": n}, APP, "topic")
            await inbox.expect(*(("topic", {"n": m}) for m in range(n + 1)))
            await sub.unsubscribe(Q, APP, "topic")

    @pytest.mark.parametrize("base", ["a.b", "a b", "*", ">", "x:y:z", "ü'\"%", "x" * 300])
    async def test_any_topic(self, sub: SubService, peer_sub: SubService, base: str) -> None:
        one, two = Inbox(), Inbox()
        await sub.subscribe(Q, one, APP, f"{base}1")
        await sub.subscribe(Q, two, APP, f"{base}2")
        await peer_sub.publish(Q, {}, APP, f"{base}1")
        await one.expect((f"{base}1", {}))
        assert two.messages == []

    async def test_a_closed_service_hears_nothing(self, sub: SubService, peer_sub: SubService) -> None:
        gone, kept = Inbox(), Inbox()
        await sub.subscribe(Q, kept, APP, "topic")
        await peer_sub.subscribe(Q, gone, APP, "topic")
        await peer_sub.close()
        await sub.publish(Q, {}, APP, "topic")
        await kept.expect(("topic", {}))
        assert gone.messages == []

    async def test_wrong_arguments(self, sub: SubService) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: sub.subscribe(KeyType.STREAMS, failing, APP, "t"),
            lambda: sub.subscribe(Q, failing, "other", "t"),
            lambda: sub.publish(KeyType.STREAMS, {}, APP, "t"),
            lambda: sub.publish(Q, {}, "other", "t"),
            lambda: sub.publish(Q, {"x": object()}, APP, "t"),
        ]
        for call in calls:
            with pytest.raises(InvalidArgument):
                await call()


@pytest.mark.asyncio
class TestPatterns:
    """psubscribe, punsubscribe."""

    async def test_a_prefix(self, sub: SubService, peer_sub: SubService) -> None:
        some, everything = Inbox(), Inbox()
        await sub.psubscribe(Q, some, APP, "order.*")
        await sub.psubscribe(Q, everything, APP, "*")
        for topic in ("order.placed", "order", "orderXpaid", None, "order."):
            await peer_sub.publish(Q, {}, APP, topic)
        await some.expect(("order.placed", {}), ("order.", {}))
        await everything.expect(("order.placed", {}), ("order", {}), ("orderXpaid", {}), ("", {}), ("order.", {}))

    async def test_ending_it(self, sub: SubService) -> None:
        gone, kept, exact = Inbox(), Inbox(), Inbox()
        await sub.psubscribe(Q, gone, APP, "a*")
        await sub.psubscribe(Q, kept, APP, "ab*")
        await sub.subscribe(Q, exact, APP, "abc")
        await sub.punsubscribe(Q, APP, "unknown*")
        await sub.punsubscribe(Q, APP, "a*")
        await sub.publish(Q, {}, APP, "abc")
        await kept.expect(("abc", {}))
        await exact.expect(("abc", {}))
        assert gone.messages == []

    @pytest.mark.parametrize("pattern", [None, "a", "*a", "a*b*"])
    async def test_only_a_trailing_star(self, sub: SubService, pattern: str | None) -> None:
        with pytest.raises(InvalidArgument):
            await sub.psubscribe(Q, failing, APP, pattern)


@pytest.mark.asyncio
class TestSubSession:
    """transaction, mint_key."""

    async def test_a_transaction_or_a_refusal(self, sub: SubService) -> None:
        try:
            transaction = sub.transaction()
        except NotSupported:
            return
        assert isinstance(transaction, Transaction)

    async def test_no_key_before_init(self, connect: Connect) -> None:
        sub = connect().sub
        if sub is not None:  # a backend may make its services in open
            with pytest.raises(NotInitialized):
                sub.mint_key(Q, KeyParams(engine_id="e"))
