"""Taking part in a transaction on a connection of the user's: the same statements, sent over that connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakSet

from hotmesh_temporal.contracts.commit import Commit, CommitResult, Mark, RunRecord
from hotmesh_temporal.contracts.errors import ContractError, TransactionAborted, TransactionUnusable
from hotmesh_temporal.contracts.joining import JoinedTransaction, UsersConnection
from hotmesh_temporal.contracts.types import JsonObject

from .database import Database
from .driver import Row, asyncpg_module
from .errors import DRIVER_ERRORS, RETRY_STATES, contract_error, sqlstate
from .queues import Queues
from .store_execution import PostgresExecutionStore
from .stream import PostgresStream
from .sub import PostgresSub

_SAVEPOINT = "hotmesh_temporal"

# Two connections with the same answer are to one database of one running server. Both are open to every role.
_WHERE = """
SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text,
    (SELECT oid FROM pg_database WHERE datname = current_database())::text"""

_LOCK_TIMEOUT, _STATEMENT_TIMEOUT, _FAILED_BEFORE = "55P03", "57014", "25P02"
_READ_ONLY, _NO_RIGHT = "25006", "42501"


class KnownPlaces:
    """Connections of users that were seen to be to the right database: a connection never changes that."""

    def __init__(self) -> None:
        self._ours: tuple[str, ...] = ()
        self._seen: WeakSet[Any] = WeakSet()

    async def are_same(self, base: Database, users: Database, connection: _Connection) -> bool:
        """Whether the user's connection is to the database of ``base``."""
        if connection.lasting in self._seen:
            return True
        theirs = tuple((await users.read(_WHERE))[0])
        if theirs != self._ours:
            # The server may have been started anew since.
            self._ours = tuple((await base.read(_WHERE))[0])
        if theirs == self._ours:
            self._seen.add(connection.lasting)
        return theirs == self._ours


class _Connection(Protocol):
    """What is asked of a driver's connection. ``lasting`` stays the same for as long as it is connected."""

    lasting: Any

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]: ...
    async def execute(self, sql: str) -> None: ...
    def in_transaction(self) -> bool: ...


class _Asyncpg:
    """A connection of asyncpg, or one on loan from its pool (then the lasting one is under it)."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.lasting: Any = getattr(connection, "_con", None) or connection

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        return await self._connection.fetch(sql, *args)

    async def execute(self, sql: str) -> None:
        await self._connection.execute(sql)

    def in_transaction(self) -> bool:
        try:
            return not self._connection.is_closed() and self._connection.is_in_transaction()
        except asyncpg_module.InterfaceError:  # it went back to its pool
            return False


class _Psycopg:
    """An ``AsyncConnection`` of psycopg 3.2 or newer. Its raw cursors take our ``$1`` as it is."""

    def __init__(self, connection: Any) -> None:
        import psycopg
        from psycopg import pq, rows

        self._cursor: Any = psycopg.AsyncRawCursor
        self._rows: Any = rows.tuple_row
        self._idle: Any = pq.TransactionStatus.IDLE
        self._connection = self.lasting = connection

    async def fetch(self, sql: str, args: Sequence[Any]) -> list[Row]:
        async with self._cursor(self._connection, row_factory=self._rows) as cursor:
            await cursor.execute(sql, args)
            return await cursor.fetchall()

    async def execute(self, sql: str) -> None:
        async with self._cursor(self._connection) as cursor:
            await cursor.execute(sql)

    def in_transaction(self) -> bool:
        if self._connection.closed:
            return False
        # Without autocommit, psycopg begins by itself with the first statement.
        return self._connection.info.transaction_status != self._idle or not self._connection.autocommit


def _connection_of(given: Any) -> _Connection:
    root = next((base.__module__ for base in type(given).__mro__ if base is not object), "").partition(".")[0]
    if root == "asyncpg" and hasattr(given, "is_in_transaction"):
        return _Asyncpg(given)
    if root == "psycopg" and type(given).__name__ == "AsyncConnection":
        return _Psycopg(given)
    raise TransactionUnusable(
        f"the workflows are in Postgres, and {type(given).__module__}.{type(given).__qualname__} is no connection that "
        "can be joined there: give an asyncpg connection, an AsyncConnection of psycopg, or an AsyncSession or "
        "AsyncConnection of SQLAlchemy on one of these"
    )


class _UsersDatabase(Database):
    """A database whose statements go over the user's connection. One that writes can fail without failing them all."""

    def __init__(self, base: Database, way: UsersConnection, connection: _Connection) -> None:
        super().__init__(base.settings)
        self._app, self._names = base.app, base.names
        self._way, self._connection = way, connection

    async def fetch(self, sql: str, *args: Any, repeatable: bool = False) -> list[Row]:
        text = self.sql(sql)
        send = self._send if repeatable else self._send_in_savepoint
        return await self._way.run(lambda: send(text, args))

    async def _send_in_savepoint(self, text: str, args: Sequence[Any]) -> list[Row]:
        await self._tell(f"SAVEPOINT {_SAVEPOINT}")
        try:
            rows = await self._send(text, args)
        except ContractError:
            await self._tell(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise
        await self._tell(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return rows

    async def _tell(self, text: str) -> None:
        try:
            await self._connection.execute(text)
        except Exception as error:
            raise self._problem(error) from error

    async def _send(self, text: str, args: Sequence[Any]) -> list[Row]:
        try:
            return await self._connection.fetch(text, args)
        except Exception as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> Exception:
        """The error to raise. What is not the driver's is nobody's but the user's."""
        state = sqlstate(error)
        if state in RETRY_STATES or state in (_LOCK_TIMEOUT, _STATEMENT_TIMEOUT):
            return TransactionAborted(
                f"another transaction was in the way: roll back, and run the whole transaction again ({error})"
            )
        if state == _FAILED_BEFORE:
            return TransactionUnusable(
                "a statement before has failed, so that this transaction can only be rolled back"
            )
        if state == _READ_ONLY:
            return TransactionUnusable("the transaction is read-only: begin one that may write")
        if state == _NO_RIGHT:
            return TransactionUnusable(
                f"the role of this connection has no right to the tables of the workflows ({error}): use the role that "
                f"made them, or give this one its rights: GRANT ... ON ALL TABLES IN SCHEMA {self.settings.schema}"
            )
        if state or isinstance(error, DRIVER_ERRORS):
            return contract_error(error, self.settings.place)
        return error


class PostgresJoined(JoinedTransaction):
    """See `JoinedTransaction`."""

    def __init__(
        self, base: Database, queues: Queues, stream: PostgresStream, sub: PostgresSub, way: UsersConnection
    ) -> None:
        """Call `check` before anything else."""
        self._base, self._queues, self._stream, self._sub = base, queues, stream, sub
        self._connection = _connection_of(way.connection)
        self._db = _UsersDatabase(base, way, self._connection)
        self._store = PostgresExecutionStore(self._db, queues)

    async def check(self, known: KnownPlaces) -> None:
        """Raise `TransactionUnusable` unless a transaction is open, in this database."""
        if self.is_over():
            raise TransactionUnusable(
                "no transaction is open on this connection: begin one first (async with connection.transaction(): ...)"
            )
        if not await known.are_same(self._base, self._db, self._connection):
            raise TransactionUnusable(
                "the connection is to another database than the workflows, which are in "
                f"{self._base.settings.place}: one transaction cannot hold both. Connect the client to the database of "
                "your tables (it keeps its own in a schema of their own)"
            )

    async def commit(self, commit: Commit) -> CommitResult:
        """See `RunStore`."""
        # Not in the transaction: others must not wait for its end to learn of a queue, nor believe in one that is gone.
        for stream in self._queues.unknown({publish.stream for publish in commit.publishes}):
            await self._stream.create_stream(stream)
            self._queues.learn([stream])
        return await self._store.commit(commit)

    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        """See `RunStore`."""
        return await self._store.load_run(job_id, known_revision)

    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        """See `RunStore`."""
        return await self._store.load_current_run(pointer_id, known)

    async def has_mark(self, mark: Mark) -> bool:
        """See `RunStore`."""
        return await self._store.has_mark(mark)

    async def say(self, message: JsonObject, app_id: str) -> None:
        """See `JoinedTransaction`."""
        sql, args = self._sub.notice(message, None)
        await self._db.read(sql, *args)

    def is_over(self) -> bool:
        """See `JoinedTransaction`."""
        return not self._connection.in_transaction()
