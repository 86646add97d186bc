"""Taking part in a transaction that is not ours: one that the user has begun on a connection of theirs (extension).

A commit of the engine then becomes durable with the user's own rows or, if they roll back, not at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from .execution import RunStore
from .types import JsonObject

T = TypeVar("T")


class UsersConnection(Protocol):
    """The way to a connection that belongs to another event loop than the engine's."""

    @property
    def connection(self) -> Any:
        """The driver's connection. Only `run` may work with it."""
        ...

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` where the connection belongs, as the only one; to its end, also if the caller is cancelled."""
        ...


class JoinedTransaction(RunStore, ABC):
    """Runs as they are inside of the user's transaction.

    Every method raises `TransactionUnusable` if there is no open transaction, and `TransactionAborted` if the database
    has given it up. A commit that raises anything else has changed nothing, and the transaction goes on.
    """

    @abstractmethod
    async def say(self, message: JsonObject, app_id: str) -> None:
        """Send a notice as ``sub.publish`` with ``QUORUM`` does, if and when the user commits.

        Only called if the backend's ``sub_joins_store`` is true.
        """

    @abstractmethod
    def is_over(self) -> bool:
        """No transaction is open on the connection. May be called from any thread."""
