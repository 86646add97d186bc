"""Activities that end when something outside happens, found by an id of the outside: a payment, an order, a document.

A Temporal activity can leave its end to somebody else (``activity.raise_complete_async``); whoever ends it needs to
know which activity of which workflow that is. Here the database remembers it, under the id that the outside knows::

    @activity.defn
    async def wait_for_payment(payment: str) -> str:
        await external_ids.expect(payment)
        activity.raise_complete_async()

    # anywhere else, say where the payment provider reports:
    await external_ids.complete("payment-17", "paid")
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any

import msgspec
import temporalio.activity
import temporalio.client
from temporalio.client import AsyncActivityHandle
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import Self

from .contracts.backend import Backend
from .contracts.store import StoreService
from .contracts.types import HookSignal
from .runtime.keys import APP_ID, HOTMESH_NAMESPACE
from .service_client import HotMeshServiceClient

__all__ = ["EXPIRES_AFTER", "AlreadyExpected", "ExternalIds", "NobodyExpects"]

EXPIRES_AFTER = timedelta(days=30)
"""How long an id is remembered if the activity has no schedule-to-close timeout."""


class NobodyExpects(LookupError):
    """No activity waits for this id: not yet, not any more, or its time is over. Whoever reports it may try again."""


class AlreadyExpected(ValueError):
    """An activity of another workflow run waits for this id."""


class _Activity(msgspec.Struct, frozen=True):
    """Which activity waits; the same in each of its attempts."""

    workflow_id: str
    run_id: str
    activity_id: str


class ExternalIds:
    """The ids that activities of one namespace wait for. Make it with `connect`, once per process; close it."""

    def __init__(self, client: temporalio.client.Client, backend: Backend, store: StoreService) -> None:
        """Use `connect`."""
        self._client = client
        self._backend = backend
        self._store = store
        self._topic = f"external/{client.namespace}"

    @classmethod
    async def connect(cls, client: temporalio.client.Client) -> Self:
        """On the database and in the namespace of a client, which must stay open.

        Raises:
            ValueError: The client is connected to a Temporal server.
            Unavailable: The database cannot be reached.
        """
        service = client.service_client
        if not isinstance(service, HotMeshServiceClient):
            raise ValueError("external ids are kept in your own database: connect the client with HotMeshPlugin")
        backend = service.connections.backend()
        await backend.open(HOTMESH_NAMESPACE, APP_ID, f"external-{uuid.uuid4().hex}")
        assert backend.store is not None, "connections have every service"
        return cls(client, backend, backend.store)

    async def close(self) -> None:
        """Close the connection to the database, not the client. Idempotent."""
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def expect(self, external_id: str) -> None:
        """Within an activity: let it be the one that ``external_id`` ends. Then call ``activity.raise_complete_async``.

        Remembered until the id comes or the activity's schedule-to-close timeout is over. Each attempt may say it
        again; a later activity of the same run takes the id over.

        Raises:
            AlreadyExpected: An activity of another workflow run waits for the id.
        """
        info = temporalio.activity.info()
        waiting = _Activity(info.workflow_id or "", info.workflow_run_id or "", info.activity_id)
        expire = info.schedule_to_close_timeout or EXPIRES_AFTER
        hook = HookSignal(self._topic, external_id, _encode(waiting), max(1, int(expire.total_seconds())))
        while not await self._store.set_hook_signal(hook):
            other = await self._find(external_id)
            if other is not None and (other.workflow_id, other.run_id) != (waiting.workflow_id, waiting.run_id):
                raise AlreadyExpected(f"workflow {other.workflow_id!r} waits for {external_id!r} already")
            await self._store.delete_hook_signal(self._topic, external_id)

    async def complete(self, external_id: str, *result: Any) -> None:
        """End the activity with a result, or none. Exactly one of several reports of an id ends it.

        Raises:
            NobodyExpects: No activity waits for the id.
        """
        await self._end(external_id, lambda handle: handle.complete(*result))

    async def fail(self, external_id: str, error: Exception) -> None:
        """Fail the activity's attempt; its retry policy says what comes then.

        Raises:
            NobodyExpects: No activity waits for the id.
        """
        await self._end(external_id, lambda handle: handle.fail(error))

    async def _end(self, external_id: str, end: Callable[[AsyncActivityHandle], Awaitable[None]]) -> None:
        waiting = await self._find(external_id)
        if waiting is None:
            raise NobodyExpects(f"no activity waits for {external_id!r}")
        handle = self._client.get_async_activity_handle(
            workflow_id=waiting.workflow_id, run_id=waiting.run_id, activity_id=waiting.activity_id
        )
        try:
            await end(handle)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            raise NobodyExpects(f"the activity that waited for {external_id!r} has ended: {error}") from error
        # Only now: if this process dies before it, the next report finds an activity that has ended.
        await self._store.delete_hook_signal(self._topic, external_id)

    async def _find(self, external_id: str) -> _Activity | None:
        found = await self._store.get_hook_signal(self._topic, external_id)
        return _decoder.decode(found) if found is not None else None


_decoder = msgspec.json.Decoder(_Activity)


def _encode(waiting: _Activity) -> str:
    return msgspec.json.encode(waiting).decode()
