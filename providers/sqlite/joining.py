"""Taking part in a transaction on a connection of the user's: the same work, on that connection."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from hotmesh_temporal.contracts.commit import Commit, CommitResult, Mark, RunRecord
from hotmesh_temporal.contracts.errors import ContractError, TransactionAborted, TransactionUnusable
from hotmesh_temporal.contracts.joining import JoinedTransaction, UsersConnection
from hotmesh_temporal.contracts.types import JsonObject

from . import runs
from .commits import apply_commit, check_commit
from .database import Database, Session, Work
from .errors import is_busy, to_contract_error

T = TypeVar("T")

_SAVEPOINT = "hotmesh_temporal"
_LEGACY_TRANSACTIONS = -1
"""What ``sqlite3.Connection.autocommit`` is where the module begins transactions by itself, before the first write."""


class _UsersSession(Session):
    """A session on a connection that the user has set up to their own taste."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.execute = self._execute  # pyright: ignore[reportAttributeAccessIssue]  the same call, by another way

    def _execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor = sqlite3.Cursor(self.connection)
        cursor.row_factory = None
        return cursor.execute(sql, parameters)


class SqliteJoined(JoinedTransaction):
    """See `JoinedTransaction`. The connection is one of ``sqlite3`` or of ``aiosqlite``."""

    def __init__(self, database: Database, scope: int, way: UsersConnection) -> None:
        self._database, self._scope, self._way = database, scope, way
        self._given = way.connection
        if not isinstance(self._given, sqlite3.Connection) and not _is_aiosqlite(self._given):
            kind = cast("type[object]", type(self._given))
            raise TransactionUnusable(
                f"the workflows are in SQLite, and {kind.__module__}.{kind.__qualname__} is no connection that can be "
                "joined there: give a sqlite3.Connection, a connection of aiosqlite, or one of SQLAlchemy on these"
            )
        if database.in_memory:
            raise TransactionUnusable(
                "a SQLite database in memory has one connection, which is the engine's: to write your own rows in the "
                "same transaction, use a file"
            )

    async def check(self) -> None:
        """Raise `TransactionUnusable` unless a transaction is open (or begins with the next write), in this file."""
        await self._run(self._check)

    async def commit(self, commit: Commit) -> CommitResult:
        """See `RunStore`."""
        check_commit(commit)
        return await self._run(lambda session: self._in_savepoint(session, commit))

    async def load_run(self, job_id: str, known_revision: int = 0) -> RunRecord | None:
        """See `RunStore`."""
        return await self._run(lambda session: runs.load_run(session, self._scope, job_id, known_revision))

    async def load_current_run(self, pointer_id: str, known: tuple[str, int] = ("", 0)) -> RunRecord | None:
        """See `RunStore`."""
        return await self._run(lambda session: runs.load_current_run(session, self._scope, pointer_id, known))

    async def has_mark(self, mark: Mark) -> bool:
        """See `RunStore`."""
        return await self._run(lambda session: runs.has_mark(session, self._scope, mark))

    async def say(self, message: JsonObject, app_id: str) -> None:
        """See `JoinedTransaction`."""
        raise NotImplementedError("hints between processes are datagrams, which know nothing of transactions")

    def is_over(self) -> bool:
        """See `JoinedTransaction`."""
        try:
            return not self._given.in_transaction
        except (sqlite3.ProgrammingError, ValueError):  # closed
            return True

    # -- on the user's thread ---------------------------------------------------------------------------------

    async def _run(self, work: Work[T]) -> T:
        return await self._way.run(lambda: self._on_their_thread(work))

    async def _on_their_thread(self, work: Work[T]) -> T:
        if isinstance(self._given, sqlite3.Connection):
            return self._on(self._given, work)
        # Its own thread has the connection; there is no public way to run a function there.
        run = cast("Callable[..., Awaitable[T]]", self._given._execute)
        return await run(lambda: self._on(self._given._conn, work))

    def _on(self, connection: sqlite3.Connection, work: Work[T]) -> T:
        try:
            text_factory, connection.text_factory = connection.text_factory, str
            try:
                return work(_UsersSession(connection))
            finally:
                connection.text_factory = text_factory
        except sqlite3.Error as error:
            raise self._problem(error) from error

    def _problem(self, error: sqlite3.Error) -> BaseException:
        if is_busy(error):
            return TransactionAborted(
                "another connection has written since this transaction began to read, or holds the lock for too long: "
                f"roll back, and run the whole transaction again, begun with BEGIN IMMEDIATE ({error})"
            )
        if isinstance(error, sqlite3.ProgrammingError):
            return TransactionUnusable(
                "the connection cannot be used: it is closed, or it was made in another thread than that of the event "
                f"loop (make it there, or with check_same_thread=False) ({error})"
            )
        return to_contract_error(error, self._database.options.path)

    def _check(self, session: Session) -> None:
        self._check_place(session)
        connection = session.connection
        if connection.in_transaction:
            return
        legacy = sys.version_info < (3, 12) or getattr(connection, "autocommit", None) == _LEGACY_TRANSACTIONS
        if not legacy or connection.isolation_level is None:
            raise TransactionUnusable(
                "no transaction is open on this connection: begin one first (connection.execute('BEGIN IMMEDIATE'))"
            )
        # As the module does before a write of the user's own.
        session.execute("BEGIN IMMEDIATE")

    def _check_place(self, session: Session) -> None:
        try:
            row = session.execute("SELECT value FROM main.hm_meta WHERE name = 'database_id'").fetchone()
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise
            row = None
        if row is None or row[0] != self._database.database_id:
            raise TransactionUnusable(
                "the connection is to another file than the workflows, which are in "
                f"{self._database.options.path}: one transaction cannot hold both (attached files are no help: a crash "
                'may part them). Connect the client to the file of your tables: connection="sqlite:///…"'
            )

    def _in_savepoint(self, session: Session, commit: Commit) -> CommitResult:
        if not session.connection.in_transaction:
            raise TransactionUnusable("the transaction was ended in the middle of a call")
        session.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            result = apply_commit(session, self._scope, commit)
        except (ContractError, sqlite3.Error):
            if session.connection.in_transaction:
                session.execute(f"ROLLBACK TO {_SAVEPOINT}")
                session.execute(f"RELEASE {_SAVEPOINT}")
            raise
        session.execute(f"RELEASE {_SAVEPOINT}")
        return result


def _is_aiosqlite(given: Any) -> bool:
    named = any(base.__module__.partition(".")[0] == "aiosqlite" for base in type(given).__mro__)
    return named and hasattr(given, "_execute") and hasattr(given, "_conn")
