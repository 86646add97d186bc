"""What the parts of the store share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hotmesh_temporal.contracts.errors import InvalidArgument
from hotmesh_temporal.contracts.types import Transaction

from .database import Command, Database, Decode, scalar
from .queues import Queues
from .transaction import PostgresTransaction, run_or_queue

T = TypeVar("T")


class Service:
    """A service of one backend: a database, and the app that it is bound to."""

    def __init__(self, database: Database, queues: Queues) -> None:
        self._db = database
        self._queues = queues

    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names and make the schema ready; see the contract."""
        await self._db.bind(namespace, app_id)
        self._queues.bind(self._db.app)

    def transaction(self) -> PostgresTransaction:
        """A new, empty transaction; see the contract."""
        return PostgresTransaction(self._db)

    async def _write(
        self,
        sql: str,
        *args: Any,
        transaction: Transaction | None,
        placeholder: T,
        decode: Decode = scalar,
        repeatable: bool = False,
        job: str | None = None,
        after: Callable[[], None] | None = None,
    ) -> T:
        """Run one statement, whose first parameter is the app, or queue it in the transaction."""
        command = Command(sql, (self._db.app, *args), decode, repeatable, job, after)
        return await run_or_queue(self._db, transaction, command, placeholder)

    def _check_app(self, app_id: str) -> None:
        bound = self._db.names[1]
        if app_id != bound:
            raise InvalidArgument(f"this store serves the app {bound!r}, not {app_id!r}")
