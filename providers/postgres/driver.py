"""The one place that touches asyncpg, which has no type information: what we use of it, typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  the driver ships without types

T = TypeVar("T")

Row = Any
"""A result row: its columns by position and by name."""

asyncpg_module: Any = asyncpg


class RowTransaction(Protocol):
    """A transaction block."""

    async def start(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


class Connection(Protocol):
    """The part of ``asyncpg.Connection`` that this provider uses."""

    async def fetch(self, query: str, *args: Any) -> list[Row]: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    async def remove_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    def transaction(self) -> RowTransaction: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    def terminate(self) -> None: ...
    async def close(self, *, timeout: float | None = None) -> None: ...


async def atomically(connection: Connection, work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` in one transaction of the connection; rolled back if it raises. Driver errors pass through."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        result = await work()
    except Exception:
        # A cancellation does not come here: the connection is then thrown away, which rolls back as well.
        await _roll_back(connection, transaction)
        raise
    await transaction.commit()
    return result


async def _roll_back(connection: Connection, transaction: RowTransaction) -> None:
    try:
        await transaction.rollback()
    except (OSError, asyncpg_module.PostgresError, asyncpg_module.InterfaceError):
        connection.terminate()


class Placeholders:
    """Collects the arguments of a statement that is put together from parts."""

    def __init__(self, args: Iterable[Any] = ()) -> None:
        self.args: list[Any] = list(args)

    def add(self, value: Any) -> str:
        """Take an argument; returns the text that stands for it."""
        self.args.append(value)
        return f"${len(self.args)}"
