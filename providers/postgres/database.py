"""Running statements: connections, retries, error mapping, and the app that all services of a backend are bound to."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hotmesh_temporal.contracts.errors import ContractError, InvalidArgument, NotInitialized
from hotmesh_temporal.contracts.keys import validate_names

from .driver import Connection, Row
from .errors import DRIVER_ERRORS, RETRY_STATES, contract_error, is_lost_connection, sqlstate
from .migrate import in_schema, migrate
from .pool import ConnectionPool
from .settings import Settings

T = TypeVar("T")

OUTAGE_S = 15.0
"""For how long a call waits for a server that is away, before it raises `Unavailable`."""

MAX_DEADLOCK_RETRIES = 8
STARTING_UP = "57P03"

log = logging.getLogger(__name__)

Decode = Callable[[list[Row]], Any]


def scalar(rows: list[Row]) -> Any:
    """The first column of the first row, or None."""
    return rows[0][0] if rows else None


def nothing(_: list[Row]) -> None:
    """The result of a command that has none."""


@dataclass(frozen=True, slots=True)
class Command:
    """One statement. ``decode`` turns its rows into the result and may raise, which undoes a transaction.

    ``repeatable``: running it twice is as good as once, so it is sent again when the connection is lost under it.
    ``job``: a job whose row the statement locks; a transaction locks all of them first, in a fixed order.
    ``after`` is called once the change is committed.
    """

    sql: str
    args: tuple[Any, ...] = ()
    decode: Decode = scalar
    repeatable: bool = False
    job: str | None = None
    after: Callable[[], None] | None = None


class Database:
    """A pool of connections to one database, bound by `bind` to one app."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pool = ConnectionPool(settings)
        self._app: int | None = None
        self._names: tuple[str, str] | None = None
        self._binding = asyncio.Lock()
        self._away_since: float | None = None

    # -- binding ----------------------------------------------------------------------------------------------

    @property
    def app(self) -> int:
        """The app key, first column of most keys. Raises `NotInitialized` before `bind`."""
        if self._app is None:
            raise NotInitialized("the service is not initialized: call init first")
        return self._app

    @property
    def names(self) -> tuple[str, str]:
        """``(namespace, app id)``. Raises `NotInitialized` before `bind`."""
        if self._names is None:
            raise NotInitialized("the service is not initialized: call init first")
        return self._names

    async def bind(self, namespace: str, app_id: str) -> None:
        """Migrate and look up the app. Idempotent; `InvalidArgument` for other names than the first time."""
        validate_names(namespace, app_id)
        async with self._binding:
            if self._names is None:
                await self._first_bind(namespace, app_id)
        if self._names != (namespace, app_id):
            raise InvalidArgument(f"this backend is bound to {self._names}: open another one for {(namespace, app_id)}")

    async def _first_bind(self, namespace: str, app_id: str) -> None:
        try:
            self._app = await self.with_connection(lambda connection: self._prepare(connection, namespace, app_id))
        except ContractError:
            await self.pool.close_idle()
            raise
        self._names = (namespace, app_id)

    async def _prepare(self, connection: Connection, namespace: str, app_id: str) -> int:
        await migrate(connection, self.settings.schema)
        sql = self.sql("SELECT app FROM hotmesh.apps WHERE namespace = $1 AND app_id = $2")
        rows = await connection.fetch(sql, namespace, app_id)
        if not rows:
            insert = self.sql("INSERT INTO hotmesh.apps (namespace, app_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            await connection.fetch(insert, namespace, app_id)
            rows = await connection.fetch(sql, namespace, app_id)
        app: int = rows[0][0]
        return app

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.pool.close()

    # -- statements -------------------------------------------------------------------------------------------

    def sql(self, text: str) -> str:
        """SQL written for the schema ``hotmesh``, for the configured one."""
        return in_schema(text, self.settings.schema)

    async def run(self, command: Command) -> Any:
        """Run one command on its own and decode its result."""
        result = command.decode(await self.fetch(command.sql, *command.args, repeatable=command.repeatable))
        if command.after is not None:
            command.after()
        return result

    async def read(self, sql: str, *args: Any) -> list[Row]:
        """Rows of a statement that may be run again when the connection is lost under it."""
        return await self.fetch(sql, *args, repeatable=True)

    async def fetch(self, sql: str, *args: Any, repeatable: bool = False) -> list[Row]:
        """Rows of one statement. Raises errors of the contract."""
        text = self.sql(sql)
        try:
            connection = await self.pool.acquire()
        except DRIVER_ERRORS:
            connection = None  # the server may be away for a moment: the slow path waits for it
        if connection is not None:
            try:
                rows = await connection.fetch(text, *args)
            except DRIVER_ERRORS as error:
                self.pool.release(connection, broken=is_lost_connection(error))
                if not self._may_repeat(error, repeatable):
                    raise contract_error(error, self.settings.place) from error
            except BaseException:
                # Cancelled: whether the statement took effect is unknown, and so is what the server still sends.
                self.pool.release(connection, broken=True)
                raise
            else:
                self.pool.release(connection)
                return rows
        return await self.with_connection(lambda other: other.fetch(text, *args), repeatable=repeatable)

    async def with_connection(self, work: Callable[[Connection], Awaitable[T]], *, repeatable: bool = True) -> T:
        """Run ``work`` with a connection; again after a deadlock, and if ``repeatable`` after a lost connection.

        Waits up to `OUTAGE_S` for a server that is away.
        """
        deadline = time.monotonic() + OUTAGE_S
        retries = 0
        while True:
            connection = await self._acquire(deadline)
            try:
                result = await work(connection)
            except DRIVER_ERRORS as error:
                self.pool.release(connection, broken=is_lost_connection(error))
                retries += 1
                in_time = time.monotonic() < deadline and retries <= MAX_DEADLOCK_RETRIES
                if not (in_time and self._may_repeat(error, repeatable)):
                    raise contract_error(error, self.settings.place) from error
                await asyncio.sleep(random.uniform(0.001, 0.01) * 2**retries)
            except ContractError:
                self.pool.release(connection)
                raise
            except BaseException:
                self.pool.release(connection, broken=True)
                raise
            else:
                self.pool.release(connection)
                return result

    def _may_repeat(self, error: Exception, repeatable: bool) -> bool:
        return sqlstate(error) in RETRY_STATES or (repeatable and is_lost_connection(error))

    async def _acquire(self, deadline: float) -> Connection:
        """A connection, also when the server comes back only in a moment. Nothing was sent yet, so this is safe."""
        delay = 0.05
        while True:
            try:
                connection = await self.pool.acquire()
            except DRIVER_ERRORS as error:
                if not self._worth_waiting(error) or time.monotonic() + delay > deadline:
                    raise contract_error(error, self.settings.place) from error
                self._note_outage()
                await asyncio.sleep(delay * random.uniform(0.7, 1.3))
                delay = min(delay * 2, 1.0)
            else:
                self._note_return()
                return connection

    def _worth_waiting(self, error: Exception) -> bool:
        """A server that was never reached is waited for only if it says that it is starting."""
        return is_lost_connection(error) and (self._app is not None or sqlstate(error) == STARTING_UP)

    def _note_outage(self) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("Postgres at %s does not answer; waiting for it", self.settings.place)

    def _note_return(self) -> None:
        if self._away_since is not None:
            away, self._away_since = time.monotonic() - self._away_since, None
            log.warning("Postgres at %s answers again after %.1f s", self.settings.place, away)
