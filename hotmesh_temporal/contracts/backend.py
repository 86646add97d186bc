"""A backend: the services of one database connection, opened and closed together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import TransactionUnusable
from .examination import Finding
from .joining import JoinedTransaction, UsersConnection
from .search import SearchService
from .store import StoreService
from .stream import StreamService
from .sub import SubService


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """How to reach a database, after the forms that a user may write were understood (see ``connection.py``).

    ``provider`` is the entry-point name. Exactly one of ``url``, ``options`` and ``existing`` (a pool or client of
    the user's, which is never closed by us) says where; ``options`` are the driver's own keyword arguments.
    """

    provider: str
    url: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    existing: Any = None


class Backend(ABC):
    """All that one database offers. A service that it does not offer is None.

    All services of one backend share one database: a store transaction may hold stream and search commands.
    A subclass is constructed with a `ConnectionSpec` alone, without I/O; it lives on the event loop that opened it.
    """

    store: StoreService | None = None
    stream: StreamService | None = None
    sub: SubService | None = None
    search: SearchService | None = None

    @property
    def stream_joins_store(self) -> bool:
        """A commit of the store may publish to and ack from the streams of this backend."""
        return self.store is not None and self.stream is not None

    @property
    def sub_joins_store(self) -> bool:
        """A transaction that was joined can hold notices of this backend, which are sent when it commits."""
        return False

    async def join(self, way: UsersConnection) -> JoinedTransaction:
        """Take part in the transaction that is open on a connection of the user's (extension).

        Raises `TransactionUnusable` if none is open, if it cannot be this database, or if this backend cannot do it.
        """
        raise TransactionUnusable(
            f"{self.identity.partition(':')[0]} cannot take part in transactions of an application: only Postgres and "
            f"SQLite can. What was given is a {type(way.connection).__name__}"
        )

    @abstractmethod
    async def open(self, namespace: str, app_id: str, engine_id: str) -> None:
        """Connect, bring the schema up to date (safe for many processes at once) and ``init`` every service.

        Raises `Unavailable` with what to do next when the database cannot be reached.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything that `open` acquired; an existing pool of the user's stays open. Idempotent."""

    async def examine(self) -> list[Finding]:
        """What an operator should know of the database: its version, rights, durability, clock (extension).

        The backend is open. One that has nothing to say returns nothing.
        """
        return []

    @property
    @abstractmethod
    def identity(self) -> str:
        """Two specs that reach the same database give the same text; used to share one engine per process. No
        secrets.
        """
