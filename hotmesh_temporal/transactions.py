"""Workflow starts, signals and activity results that commit, or roll back, with your own rows.

The client of a transaction is a client as any other; what it begins becomes true when you commit, and never if you do
not::

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO orders (id, item) VALUES ($1, $2)", order_id, item)
        tx = client.in_transaction(connection)
        handle = await tx.start_workflow(OrderWorkflow.run, order_id, id=f"order-{order_id}", task_queue="orders")

Your tables and the workflows are in one database, Postgres or SQLite. See docs/transactions.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import temporalio.client
import temporalio.service
from google.protobuf.message import Message
from temporalio.service import RPCError, RPCStatusCode, ServiceResponse

from .contracts.errors import TransactionAborted, TransactionError, TransactionUnusable
from .frontend.current import WITHIN
from .service_client import HotMeshServiceClient

__all__ = ["TransactionAborted", "TransactionClient", "TransactionError", "TransactionUnusable", "in_transaction"]

_T = TypeVar("_T")

_PARTS = frozenset(
    {
        "start_workflow_execution",
        "signal_workflow_execution",
        "signal_with_start_workflow_execution",
        "request_cancel_workflow_execution",
        "terminate_workflow_execution",
        "respond_activity_task_completed",
        "respond_activity_task_completed_by_id",
        "respond_activity_task_failed",
        "respond_activity_task_failed_by_id",
        "respond_activity_task_canceled",
        "respond_activity_task_canceled_by_id",
        "record_activity_task_heartbeat",
        "record_activity_task_heartbeat_by_id",
    }
)
"""What can be part of a transaction."""

_GRACE_SECONDS = 0.5
"""For how long a statement may go on after its caller has given up."""

_READS = ("get_", "describe_", "list_", "count_", "scan_", "query_", "poll_workflow_execution_update", "check")
"""How the names of calls begin that change nothing; they are made as by the client itself."""


class TransactionClient(temporalio.client.Client):
    """The SDK's client, whose calls are part of the transaction that is open on a connection while they are made.

    Starts (with a signal, too), signals, cancellations, terminations, heartbeats and results of activities are part of
    it. Reading is not: it shows what is committed. Everything else is refused. Made by `in_transaction`.
    """


def in_transaction(client: temporalio.client.Client, connection: Any) -> TransactionClient:
    """A client for the transactions on a connection of yours; no I/O. It has the settings of ``client``.

    Args:
        client: Connected to the database that the connection is to.
        connection: For Postgres a connection of asyncpg (or one on loan from its pool) or an ``AsyncConnection`` of
            psycopg; for SQLite one of ``sqlite3`` or aiosqlite; for both an ``AsyncSession`` or ``AsyncConnection``
            of SQLAlchemy on one of them. It must belong to the event loop (sqlite3: the thread) of the calls.

    The calls raise, beside what they raise on any client:
        TransactionUnusable: No transaction is open, or the connection cannot be used; nothing was done.
        TransactionAborted: Another transaction was in the way: roll back, and run all of it again.

    Raises:
        TransactionUnusable: The engine of the client does not run in this process.
    """
    base = client.service_client
    if not isinstance(base, HotMeshServiceClient):
        raise TransactionUnusable(
            "this client talks to a server, which cannot take part in a transaction of yours: connect to the database "
            "itself (hotmesh_temporal.client.Client.connect, or HotMeshPlugin)"
        )
    config = client.config(active_config=True)
    config["service_client"] = _ServiceClient(base, connection)
    # They have had their say: what they changed is in the configuration.
    config["plugins"] = []
    return TransactionClient(**config)


class _ServiceClient(temporalio.service.ServiceClient):
    """Calls of one transaction, one after the other."""

    def __init__(self, base: HotMeshServiceClient, connection: Any) -> None:
        super().__init__(base.config)
        self._base, self._connection = base, connection
        self._lock = asyncio.Lock()

    @property
    def worker_service_client(self) -> temporalio.service._BridgeServiceClient:  # pyright: ignore[reportPrivateUsage]
        """There is none."""
        raise TransactionUnusable("a worker cannot be part of a transaction: give it the client itself")

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See base class."""
        self._base.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See base class."""
        self._base.update_api_key(api_key)

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        if rpc in _PARTS:
            async with self._lock:
                return await self._within(rpc, req, resp_type, service, metadata, timeout)
        if not rpc.startswith(_READS):
            raise TransactionUnusable(
                f"{rpc} cannot be part of a transaction. These can: {', '.join(sorted(_PARTS))}. For anything else use "
                "the client itself, before the transaction or after it"
            )
        try:
            return await self._base.call(
                rpc, req, resp_type, service=service, retry=retry, metadata=metadata, timeout=timeout
            )
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            text = f"{error.message} (what a transaction has begun is seen after its commit)"
            raise RPCError(text, error.status, error.raw_grpc_status) from None

    async def _within(
        self,
        rpc: str,
        req: Message,
        resp_type: type[ServiceResponse],
        service: str,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> ServiceResponse:
        way = _Way(await _driver_connection(self._connection))
        token = WITHIN.set(way)
        try:
            return await self._base.call_once(rpc, req, resp_type, service=service, metadata=metadata, timeout=timeout)
        finally:
            WITHIN.reset(token)
            await way.end()


class _Way:
    """From the engine's event loop to the user's, where the connection is. See `UsersConnection`."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Task[Any] | None = None
        self._ended = False
        home: object = getattr(connection, "_loop", None)
        if isinstance(home, asyncio.AbstractEventLoop) and home is not self._loop:
            raise TransactionUnusable("the connection belongs to another event loop: make the call there")

    async def run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Called on the engine's loop."""
        future = asyncio.run_coroutine_threadsafe(self._run(work), self._loop)
        return await asyncio.shield(asyncio.wrap_future(future))

    async def _run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        if self._ended:
            raise TransactionUnusable("whoever asked for it has been cancelled")
        self._running = asyncio.current_task()
        try:
            return await work()
        finally:
            self._running = None

    async def end(self) -> None:
        """The connection is the user's alone again, also if the call was cancelled in the middle of a statement.

        A statement that takes longer (it waits for a lock) is cancelled, which fails the transaction on Postgres.
        """
        self._ended = True
        if self._running is not None:
            await asyncio.wait([self._running], timeout=_GRACE_SECONDS)
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])


async def _driver_connection(given: Any) -> Any:
    """The driver's own connection under one of SQLAlchemy, with the transaction begun that SQLAlchemy has promised."""
    if type(given).__module__.partition(".")[0] != "sqlalchemy":
        return given
    connection = given
    if not hasattr(given, "exec_driver_sql"):  # a session
        connection = given.connection()
        if asyncio.iscoroutine(connection):
            connection = await connection
    # It begins with the first statement only.
    begun = connection.exec_driver_sql("SELECT 1")
    if asyncio.iscoroutine(begun):
        await begun
        return (await connection.get_raw_connection()).driver_connection
    return connection.connection.driver_connection
