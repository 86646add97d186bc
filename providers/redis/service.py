"""What the services of one backend share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hotmesh_temporal.contracts import keys as key_rules
from hotmesh_temporal.contracts.errors import InvalidArgument, NotInitialized
from hotmesh_temporal.contracts.types import KeyParams, KeyType, Transaction

from .database import Database
from .transaction import Command, RedisTransaction, run_or_queue

T = TypeVar("T")

_INT64 = 2**63


def as_is(result: Any) -> Any:
    """The result of a call that needs no reading."""
    return result


def nothing(result: Any) -> None:
    """The result of a call that has none."""
    del result


class Service:
    """A service of one backend: a database, and the app that it is bound to."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def init(self, namespace: str, app_id: str) -> None:
        """Bind the names and check the server; see the contract."""
        await self._db.bind(namespace, app_id)

    async def close(self) -> None:
        """The connections are the backend's: nothing to release here."""

    def transaction(self) -> RedisTransaction:
        """A new, empty transaction; see the contract."""
        return RedisTransaction(self._db)

    def mint_key(self, key_type: KeyType, params: KeyParams) -> str:
        """``keys.mint_key`` with the names of `init`."""
        return key_rules.mint_key(*self._db.names, key_type, params)

    async def _write(
        self,
        name: str,
        *arguments: Any,
        transaction: Transaction | None,
        placeholder: T,
        decode: Callable[[Any], T] = as_is,
        wakes: Sequence[str] = (),
    ) -> T:
        if not self._db.root:
            raise NotInitialized("call init first")
        return await run_or_queue(self._db, Command(name, arguments, decode, wakes), transaction, placeholder)

    async def _read(self, name: str, *arguments: Any) -> Any:
        """A call that changes nothing, or nothing more when it is repeated."""
        return await self._db.call(name, *arguments, repeatable=True)

    def _check_app(self, app_id: str) -> None:
        bound = self._db.names[1]
        if app_id != bound:
            raise InvalidArgument(f"this service serves the app {bound!r}, not {app_id!r}")


def int64(number: int) -> str:
    """A whole number as the text that Redis adds exactly. Raises `InvalidArgument` for more than 64 bits."""
    if not -_INT64 <= number < _INT64:
        raise InvalidArgument(f"{number} does not fit into 64 bits")
    return str(int(number))
