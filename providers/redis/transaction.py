"""Transactions: calls that are queued here and run as one script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hotmesh_temporal.contracts.errors import AlreadyDone, CrossProviderTransaction
from hotmesh_temporal.contracts.types import Transaction

from .database import Database

T = TypeVar("T")


class Command(NamedTuple):
    """A call, how to read its result, and the streams that it makes worth a look."""

    name: str
    arguments: Sequence[Any]
    decode: Callable[[Any], Any]
    wakes: Sequence[str] = ()


class RedisTransaction(Transaction):
    """See `Transaction`. Nothing is sent before `exec`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commands: list[Command] = []
        self._done = False

    def add(self, database: Database, command: Command) -> None:
        """Queue a call. Raises `AlreadyDone`, and `CrossProviderTransaction` for another backend's service."""
        if database is not self._database:
            raise CrossProviderTransaction("the transaction belongs to another backend: take one from this service")
        if self._done:
            raise AlreadyDone("the transaction was executed already: begin a new one")
        self._commands.append(command)

    async def exec(self) -> list[Any]:
        """See `Transaction.exec`. `Unavailable` means that the outcome is unknown."""
        if self._done:
            raise AlreadyDone("the transaction was executed already: begin a new one")
        self._done = True
        return await run_commands(self._database, self._commands)


async def run_commands(database: Database, commands: Sequence[Command], *, repeatable: bool = False) -> list[Any]:
    """Run calls as one and tell the consumers of this process."""
    if not commands:
        return []
    calls = [(command.name, command.arguments) for command in commands]
    results = await database.run(calls, repeatable=repeatable)
    woken = [stream for command in commands for stream in command.wakes]
    if woken and database.published is not None:
        database.published(woken)
    return [command.decode(result) for command, result in zip(commands, results, strict=True)]


async def run_or_queue(database: Database, command: Command, transaction: Transaction | None, placeholder: T) -> T:
    """Run a call now, or queue it and return ``placeholder``."""
    if transaction is None:
        result: T = (await run_commands(database, [command]))[0]
        return result
    if not isinstance(transaction, RedisTransaction):
        raise CrossProviderTransaction("the transaction is not one of Redis: take one from this service")
    transaction.add(database, command)
    return placeholder
