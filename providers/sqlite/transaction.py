"""Transactions: calls queued here and run as one unit of work on the writer."""

from __future__ import annotations

from typing import Any, TypeVar

from hotmesh_temporal.contracts.errors import AlreadyDone, CrossProviderTransaction
from hotmesh_temporal.contracts.types import Transaction

from .database import Database, Session, Work

T = TypeVar("T")


class SqliteTransaction(Transaction):
    """Commands for one database; nothing is locked before `exec`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._commands: list[Work[Any]] = []
        self._executed = False

    def add(self, work: Work[Any]) -> None:
        """Queue one command. Raises `AlreadyDone` after `exec`."""
        if self._executed:
            raise AlreadyDone("this transaction was executed already; begin a new one")
        self._commands.append(work)

    async def exec(self) -> list[Any]:
        """Apply everything in one SQLite transaction."""
        if self._executed:
            raise AlreadyDone("this transaction was executed already; begin a new one")
        self._executed = True
        commands = self._commands
        if not commands:
            return []
        return await self.database.write(lambda session: _run_all(session, commands))


def _run_all(session: Session, commands: list[Work[Any]]) -> list[Any]:
    return [command(session) for command in commands]


async def run_or_queue(database: Database, work: Work[T], transaction: Transaction | None, placeholder: T) -> T:
    """Run ``work`` now, or queue it in ``transaction`` and return ``placeholder``."""
    if transaction is None:
        return await database.write(work)
    join(database, transaction).add(work)
    return placeholder


def join(database: Database, transaction: Transaction) -> SqliteTransaction:
    """The transaction, if it is one of this database; else raises `CrossProviderTransaction`."""
    if not isinstance(transaction, SqliteTransaction) or not transaction.database.same_file(database):
        raise CrossProviderTransaction("the transaction belongs to another database than the call")
    return transaction
