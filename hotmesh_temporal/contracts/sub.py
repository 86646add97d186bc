"""SubService: lossy broadcast, at most once. Hints only: nothing may depend on a message arriving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .types import JsonObject, KeyParams, KeyType, Transaction

SubscriptionCallback = Callable[[str, "dict[str, Any]"], None]
"""Called on the event loop with the topic that was published to ("" for none) and the message. Must not block.

An exception is logged and hurts neither other callbacks nor later messages.
"""


class SubService(ABC):
    """Channels of one app: the app-wide one (topic None) and one per topic (any text).

    ``key_type`` must be `KeyType.QUORUM` and ``app_id`` the app of `init`, else `InvalidArgument`. Messages of one
    publisher on one channel keep their order. After a lost connection subscriptions come back by themselves.
    """

    @abstractmethod
    async def init(self, namespace: str, app_id: str, engine_id: str) -> None:
        """Bind the names. Idempotent."""

    @abstractmethod
    async def close(self) -> None:
        """End every subscription of this service. Idempotent."""

    @abstractmethod
    def transaction(self) -> Transaction:
        """A transaction that publishes; raises `NotSupported` where messages cannot join one."""

    @abstractmethod
    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """``keys.mint_key`` with the names of `init`. Raises `NotInitialized` before `init`."""

    @abstractmethod
    async def subscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """Call ``callback`` for every message on exactly this channel; active when this returns.

        Several callbacks on one channel are all called, in order of subscription.
        """

    @abstractmethod
    async def unsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """Remove every callback that this service subscribed to the channel; none is called afterwards.

        Other services, also in this process, and patterns are not affected. Unknown channel: no-op.
        """

    @abstractmethod
    async def psubscribe(
        self, key_type: KeyType, callback: SubscriptionCallback, app_id: str, topic: str | None = None
    ) -> None:
        """As `subscribe`, for every topic that starts with the text before the trailing ``*`` (``*``: every channel).

        Raises `InvalidArgument` for a pattern that does not end in ``*`` (None too) or has another one.
        """

    @abstractmethod
    async def punsubscribe(self, key_type: KeyType, app_id: str, topic: str | None = None) -> None:
        """Remove every callback that this service subscribed to exactly this pattern. Unknown pattern: no-op."""

    @abstractmethod
    async def publish(self, key_type: KeyType, message: JsonObject, app_id: str, topic: str | None = None) -> bool:
        """Send a JSON object to every subscriber, this process's own too. True once it was handed over.

        Nobody listening is no error. Any size up to 1 MiB of JSON (as UTF-8) arrives. Raises `InvalidArgument` for
        what is not JSON.
        """
