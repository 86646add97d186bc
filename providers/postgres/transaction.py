"""A transaction that queues commands and applies them together."""

from __future__ import annotations

from typing import Any, TypeVar

from hotmesh_temporal.contracts.errors import AlreadyDone, CrossProviderTransaction
from hotmesh_temporal.contracts.types import Transaction

from .database import Command, Database
from .driver import Connection, atomically

T = TypeVar("T")


class PostgresTransaction(Transaction):
    """See `Transaction`. Holds no connection before `exec`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commands: list[Command] = []
        self._done = False

    def add(self, database: Database, command: Command) -> None:
        """Queue a command. Raises `AlreadyDone`, and `CrossProviderTransaction` for another backend's service."""
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
        if not self._commands:
            return []
        results = await self._database.with_connection(self._apply, repeatable=False)
        for command in self._commands:
            if command.after is not None:
                command.after()
        return results

    async def _apply(self, connection: Connection) -> list[Any]:
        async def run_all() -> list[Any]:
            await self._lock_jobs(connection)
            return [await self._one(connection, command) for command in self._commands]

        return await atomically(connection, run_all)

    async def _lock_jobs(self, connection: Connection) -> None:
        """Transactions that write the same jobs in different order would deadlock without this."""
        jobs = {command.job for command in self._commands if command.job is not None}
        if len(jobs) > 1:
            sql = "SELECT FROM hotmesh.jobs WHERE app = $1 AND job_id = ANY ($2) ORDER BY job_id FOR UPDATE"
            await connection.fetch(self._database.sql(sql), self._database.app, sorted(jobs))

    async def _one(self, connection: Connection, command: Command) -> Any:
        return command.decode(await connection.fetch(self._database.sql(command.sql), *command.args))


async def run_or_queue(database: Database, transaction: Transaction | None, command: Command, placeholder: T) -> T:
    """Run a command at once, or queue it and return ``placeholder``."""
    if transaction is None:
        result: T = await database.run(command)
        return result
    if not isinstance(transaction, PostgresTransaction):
        raise CrossProviderTransaction("the transaction is not one of Postgres: take one from this service")
    transaction.add(database, command)
    return placeholder
