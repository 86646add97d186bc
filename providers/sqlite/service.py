"""What the services of one backend share: the database and the names that they are bound to."""

from __future__ import annotations

from typing import TypeVar

from hotmesh_temporal.contracts import keys
from hotmesh_temporal.contracts.errors import InvalidArgument, NotInitialized
from hotmesh_temporal.contracts.types import KeyParams, KeyType, Transaction

from .database import Database, Session, Work
from .transaction import SqliteTransaction, run_or_queue

T = TypeVar("T")


class Service:
    """Bound to a ``(namespace, app)`` pair by `init`; ``scope`` is the key of that pair in every table."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._namespace = ""
        self._app_id = ""
        self._bound_scope = 0

    @property
    def scope(self) -> int:
        """The key of the names that it is bound to. Raises `NotInitialized` before `init`."""
        return self._scope

    @property
    def _scope(self) -> int:
        if not self._bound_scope:
            raise NotInitialized("call init first")
        return self._bound_scope

    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names. Idempotent."""
        keys.validate_names(namespace, app_id)
        if (namespace, app_id) != (self._namespace, self._app_id) or not self._bound_scope:
            self._bound_scope = await self._database.write(lambda session: _find_scope(session, namespace, app_id))
            self._namespace, self._app_id = namespace, app_id

    async def close(self) -> None:
        """The threads and the file are the backend's: nothing to release here."""

    def transaction(self) -> SqliteTransaction:
        """A new transaction of this database."""
        return SqliteTransaction(self._database)

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """``keys.mint_key`` with the names of `init`."""
        return keys.mint_key(self._namespace, self._app_id, key_type, params)

    def _check_app(self, app_id: str) -> None:
        if self._scope and app_id != self._app_id:
            raise InvalidArgument(f"app {app_id!r} is not the app {self._app_id!r} of init")

    async def _run(self, work: Work[T], transaction: Transaction | None, placeholder: T) -> T:
        return await run_or_queue(self._database, work, transaction, placeholder)


def _find_scope(session: Session, namespace: str, app_id: str) -> int:
    names = (namespace, app_id)
    row = session.execute("SELECT scope FROM hm_scopes WHERE namespace = ? AND app_id = ?", names).fetchone()
    if row is None:
        row = session.execute(
            "INSERT INTO hm_scopes (namespace, app_id) VALUES (?, ?) RETURNING scope", names
        ).fetchone()
    return row[0]
